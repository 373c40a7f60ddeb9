"""The system's clock, as the engine sees it."""

from __future__ import annotations

import time

import pytest

from durable.runtime.clock import SystemClock


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
