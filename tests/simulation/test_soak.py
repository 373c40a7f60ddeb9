"""What a seed that fails in a long run tells, whatever it is that it fails with."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable import Engine
from durable.runtime.timekeeper import Timekeeper
from durable.store.queries import QUERIES
from tests.simulation import __main__ as program
from tests.simulation import simulation
from tests.simulation.test_planted import SQL_PLANTS


def soak(capsys: pytest.CaptureFixture[str], seeds: int, sqlite: bool | None = None) -> str:
    assert program.soak(0, seeds, sqlite) == 1
    return capsys.readouterr().out


def test_the_first_that_fails_is_told_and_all_can_be_seen_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(QUERIES, "set_timer", SQL_PLANTS["set_timer"])

    said = soak(capsys, 8, sqlite=True)

    assert said.count("shrunk to:") == said.count("what happened:") == 1
    (failed,) = (int(line.split()[-2]) for line in said.splitlines() if line.endswith(" failed"))
    assert failed > 1
    assert said.count(" --store sqlite\n") == failed + 1
    assert said.count("python -m tests.simulation ") == failed + 1


def test_an_exception_is_the_seeds_and_ends_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(*arguments: Any, **options: Any) -> None:
        raise KeyError("told to a caller")

    monkeypatch.setattr(Engine, "send_later", fail)
    monkeypatch.setattr(program, "SHRINKING_S", 0)

    said = soak(capsys, 12)

    assert "was cut short: Traceback" in said
    assert "KeyError: 'told to a caller'" in said
    assert "12 seeds from 0 in" in said


@pytest.mark.parametrize("waits", [True, False], ids=["in turns of the loop", "in one turn"])
def test_a_loop_in_which_no_time_passes_is_cut_short_with_its_seed(
    waits: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def spin(self: Timekeeper) -> None:
        while True:
            if waits:
                await asyncio.sleep(0)

    monkeypatch.setattr(Timekeeper, "_fire_all", spin)
    monkeypatch.setattr(simulation, "WALL_S", 1.0)
    monkeypatch.setattr(program, "SHRINKING_S", 0)

    said = soak(capsys, 1)

    assert "seed 0: it was cut short: Traceback" in said
    assert "StuckError: it has not ended after 1 s" in said
    assert "in spin" in said or waits
