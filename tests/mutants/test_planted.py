"""Every defect can still be planted, and some are; whether a test notices all is for ``python -m tests.mutants``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import __main__ as mutants
from tests.mutants.__main__ import PACKAGE, ROOT, Noticed, killer, plant, sound_s
from tests.mutants.planted import MUTANTS, OFTEN, Mutant


@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.name) for mutant in MUTANTS])
def test_a_defect_has_one_place_and_compiles(mutant: Mutant) -> None:
    compile(plant(mutant, PACKAGE), mutant.file, "exec")

    assert all((ROOT / "tests" / test).exists() for test in mutant.tests)


@pytest.mark.slow
@pytest.mark.parametrize("name", OFTEN)
def test_a_test_notices(name: str) -> None:
    (mutant,) = [mutant for mutant in MUTANTS if mutant.name == name]

    # With nothing planted the tests run beside this one; who takes longer than the least patience does not belong here.
    noticed = killer(mutant, lambda tests: 0)

    assert noticed is not None, f"{mutant.name}: no test among {mutant.tests} fails"
    assert not noticed.hung, noticed.by


def test_there_are_enough_of_them_and_no_two_of_a_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 50


TIMERS, TAKE = ("core/test_timers.py",), "            taken.append(self.pop())"


def timers(broken: str) -> Mutant:
    return Mutant("of timers", "", "core/timers.py", TAKE, broken, TIMERS)


@pytest.mark.slow
def test_what_breaks_nothing_survives_however_slow_its_tests_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "LEAST_S", 0.01)

    assert killer(timers(f"            # the same\n{TAKE}"), lambda tests: 100) is None


@pytest.mark.slow
def test_a_defect_that_hangs_a_test_is_told_from_one_that_fails_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "LEAST_S", 0.01)
    spinning = timers(f"            while True:\n                pass\n{TAKE}")

    assert killer(spinning, lambda tests: 1) == Noticed("tests/core/test_timers.py for 3 s", hung=True)


@pytest.mark.slow
def test_tests_that_fail_with_nothing_planted_are_no_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_failing.py").write_text("def test_it(): assert False")
    monkeypatch.setattr(mutants, "ROOT", tmp_path)

    with pytest.raises(RuntimeError, match="does not pass with nothing planted"):
        sound_s("test_failing.py")
