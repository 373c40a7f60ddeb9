"""Seeds that every run of the tests simulates: the same ones, unless SIMULATION_FROM names others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.__main__ import story
from tests.simulation.simulation import simulate

FIRST = int(os.environ.get("SIMULATION_FROM", "1000"))
SIZE, CHUNKS = 25, 8


@pytest.mark.parametrize("first", [0, *range(FIRST, FIRST + SIZE * (CHUNKS - 1), SIZE)])
def test_nothing_that_must_be_true_is_ever_false(first: int) -> None:
    counts = Counter[str]()
    for seed in range(first, first + SIZE):
        report = simulate(seed)
        assert report.violations == [], story(seed)
        counts += report.counts

    # Where nothing happens, nothing can go wrong.
    assert counts["crashes"] >= SIZE
    assert counts["commits"] >= 20 * SIZE
    assert counts["invocations"] >= 8 * SIZE
    assert counts["replays"] >= 8 * SIZE
    assert counts["prefixes"] >= 20 * SIZE
    others = (
        "histories",
        "purges",
        "journals",
        "reruns",
        "reads",
        "jumps",
        "changes of limits",
        "ready",
        "scheduled runs",
    )
    assert min(counts[each] for each in others) > 0


def test_the_same_seed_is_the_same_history_in_another_process() -> None:
    code = "from tests.simulation.simulation import simulate; print(*(simulate(seed).trace for seed in range(12)))"

    elsewhere = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": salt, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.split()
        for salt in ("1", "2")
    ]

    here = [simulate(seed).trace for seed in range(12)]
    assert elsewhere == [here, here]
    assert len(set(here)) == 12
