"""The system's clock, as the engine sees it."""

from __future__ import annotations

import time

import pytest

from durable.runtime.clock import SystemClock


def test_engine_time_stands_still_while_the_wall_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, wall = SystemClock(), iter([5_000, 3_000, 4_999, 5_001])
    monkeypatch.setattr(time, "time_ns", lambda: next(wall) * 1_000_000)

    assert [clock.now_ms() for _ in range(4)] == [5_000, 5_000, 5_000, 5_001]
