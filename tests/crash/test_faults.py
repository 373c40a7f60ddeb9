"""A disk that fails at any call: nothing is acknowledged that did not survive, and the next engine goes on.

The figures of a long run are in docs/reliability.md, with its command.
"""

from __future__ import annotations

import re

import pytest

from tests.calls import shown

POINTS = 60


@pytest.mark.slow
def test_a_disk_that_fails_anywhere_is_told_and_nothing_is_lost() -> None:
    said = shown("-m", "tests.crash.faults", "--points", POINTS, vital=True)

    counts = {what: int(count) for what, count in re.findall(r"(.*): (\d+)", said)}
    stopped = sum(count for what, count in counts.items() if what.endswith("stopped"))
    assert f"nothing was lost or claimed in {POINTS} faults" in said
    assert sum(counts.values()) == POINTS
    # Each kind of fault did strike, and a full disk stops hardly any engine.
    assert stopped > POINTS / 2
    assert counts["ENOSPC, went on"] > counts.get("ENOSPC, stopped", 0)
