"""Every defect can still be planted; whether a test notices is for ``python -m tests.mutants``."""

from __future__ import annotations

import pytest

from tests.mutants.__main__ import PACKAGE, ROOT, plant
from tests.mutants.planted import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.name) for mutant in MUTANTS])
def test_a_defect_has_one_place_and_compiles(mutant: Mutant) -> None:
    compile(plant(mutant, PACKAGE), mutant.file, "exec")

    assert all((ROOT / "tests" / test).exists() for test in mutant.tests)


def test_there_are_enough_of_them_and_no_two_of_a_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 25
