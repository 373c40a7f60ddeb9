"""An engine that is killed again and again, with much under way: it gets on, and whoever is innocent is not blamed.

The figures of a long run are in docs/reliability.md, with its command.
"""

from __future__ import annotations

import pytest

from tests.crash.customers import WrongError
from tests.crash.restarts import Look, check_looks, report, storm

LIVE, CYCLES = 1500, 15


@pytest.mark.slow
def test_a_restart_storm_keeps_nothing_from_getting_done(capsys: pytest.CaptureFixture[str]) -> None:
    result = storm(LIVE, CYCLES)

    with capsys.disabled():
        print(f"\n{report(result)}")
    assert len(result.looks) == CYCLES + 1
    assert result.looks[0].completed < LIVE
    assert result.looks[-1].completed == LIVE
    assert result.again > 0  # so kills did hit steps


SOUND = [Look(epoch=1, completed=0, failed=0, recorded=10, log_bytes=9), Look(2, 5, 0, 20, 9), Look(3, 9, 0, 30, 0)]
"""After one kill, after another, and after all was done."""


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(Look(3, 5, 0, 20, 9), id="an epoch left out"),
        pytest.param(Look(2, 5, 1, 20, 9), id="an innocent blamed"),
        pytest.param(Look(2, 0, 0, 10, 9), id="nothing moved"),
        pytest.param(Look(2, 10, 0, 20, 9), id="an outcome lost"),
        pytest.param(Look(2, 5, 0, 20, 1 << 30), id="a log without bounds"),
    ],
)
def test_what_must_not_be_between_two_kills_is_found(second: Look) -> None:
    check_looks(SOUND, 9)

    with pytest.raises(WrongError):
        check_looks([SOUND[0], second, SOUND[2]], 9)
