"""The system's clock, as the engine sees it."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing

import pytest

from durable.runtime.clock import SystemClock
from tests.simulation.loop import SimulatedLoop


class Clocks:
    """The system's two clocks, in milliseconds, moved by the test."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.wall_ms, self.monotonic_ms = 5_000, 100
        patch.setattr(time, "time_ns", lambda: self.wall_ms * 1_000_000)
        patch.setattr(time, "monotonic_ns", lambda: self.monotonic_ms * 1_000_000)

    def pass_ms(self, ms: int) -> None:
        self.wall_ms += ms
        self.monotonic_ms += ms


def test_engine_time_goes_on_as_before_when_the_wall_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks, clock = Clocks(monkeypatch), SystemClock()
    assert clock.now_ms() == 5_000

    clocks.wall_ms -= 3_600_000
    assert clock.now_ms() == 5_000
    clocks.pass_ms(250)

    assert clock.now_ms() == 5_250


def test_engine_time_follows_a_wall_clock_that_steps_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks, clock = Clocks(monkeypatch), SystemClock()
    assert clock.now_ms() == 5_000

    clocks.wall_ms += 3_600_000  # also what a machine that slept sees: its monotonic clock stood still
    assert clock.now_ms() == 3_605_000
    clocks.wall_ms -= 1_000
    clocks.pass_ms(10)

    assert clock.now_ms() == 3_605_010


def test_an_alarm_rings_within_a_second_of_a_step_of_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks, clock = Clocks(monkeypatch), SystemClock()
    rung_at = list[float]()

    async def wait(loop: SimulatedLoop) -> None:
        clock.call_at(clock.now_ms() + 8 * 3_600_000, lambda: rung_at.append(loop.time()))
        await asyncio.sleep(10)
        assert rung_at == []
        clocks.wall_ms += 8 * 3_600_000
        await asyncio.sleep(3_600)

    with closing(SimulatedLoop()) as loop:
        loop.run_until_complete(wait(loop))

    assert len(rung_at) == 1
    assert 10 <= rung_at[0] <= 11
