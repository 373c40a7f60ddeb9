"""Every defect can still be planted, and some are; whether a test notices all is for ``python -m tests.mutants``."""

from __future__ import annotations

import pytest

from tests.mutants.__main__ import PACKAGE, ROOT, killer, plant
from tests.mutants.planted import MUTANTS, OFTEN, Mutant


@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.name) for mutant in MUTANTS])
def test_a_defect_has_one_place_and_compiles(mutant: Mutant) -> None:
    compile(plant(mutant, PACKAGE), mutant.file, "exec")

    assert all((ROOT / "tests" / test).exists() for test in mutant.tests)


@pytest.mark.slow
@pytest.mark.parametrize("name", OFTEN)
def test_a_test_notices(name: str) -> None:
    (mutant,) = [mutant for mutant in MUTANTS if mutant.name == name]

    assert killer(mutant) is not None, f"{mutant.name}: no test among {mutant.tests} fails"


def test_there_are_enough_of_them_and_no_two_of_a_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 50
