"""A clock that only the test moves."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

EPOCH_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
"""Where a test's time begins: the same for each run."""


class TestAlarm:
    __test__ = False

    def __init__(self, due_ms: int, callback: Callable[[], None]) -> None:
        self.due_ms, self.callback = due_ms, callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class TestClock:
    """Implements :class:`durable.runtime.clock.Clock`."""

    __test__ = False

    def __init__(self) -> None:
        self._now_ms = EPOCH_MS
        self._alarms: list[tuple[int, int, TestAlarm]] = []
        self._order = count()

    def now_ms(self) -> int:
        return self._now_ms

    def call_at(self, due_ms: int, callback: Callable[[], None], /) -> TestAlarm:
        alarm = TestAlarm(due_ms, callback)
        if due_ms <= self._now_ms:
            asyncio.get_running_loop().call_soon(self._ring, alarm)
        else:
            heapq.heappush(self._alarms, (due_ms, next(self._order), alarm))
        return alarm

    def next_ms(self) -> int | None:
        """When the next alarm rings."""
        while self._alarms and self._alarms[0][2].cancelled:
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def move_to(self, now_ms: int) -> None:
        """Set the time, and ring what is due by then."""
        self._now_ms = max(self._now_ms, now_ms)
        while (due_ms := self.next_ms()) is not None and due_ms <= self._now_ms:
            self._ring(heapq.heappop(self._alarms)[2])

    def _ring(self, alarm: TestAlarm) -> None:
        if not alarm.cancelled:
            alarm.callback()
