"""The Clock port, and the system's clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Alarm(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """Engine time: milliseconds since the epoch, never decreasing."""

    def now_ms(self) -> int: ...

    def call_at(self, due_ms: int, callback: Callable[[], None], /) -> Alarm:
        """Call back at or after ``due_ms``; at once, but not from within this call, if that has passed."""
        ...


class SystemClock:
    """Wall time. A step forward is seen within a second; a step back is not: time goes on, and is ahead by it."""

    def __init__(self) -> None:
        self._ahead_ns = 0
        """The most that the wall clock was ever ahead of the monotonic one."""

    def now_ms(self) -> int:
        monotonic_ns = time.monotonic_ns()
        ahead_ns = time.time_ns() - monotonic_ns
        if ahead_ns > self._ahead_ns:
            self._ahead_ns = ahead_ns
        return (monotonic_ns + self._ahead_ns) // 1_000_000

    def call_at(self, due_ms: int, callback: Callable[[], None], /) -> Alarm:
        return _SystemAlarm(self, due_ms, callback)


class _SystemAlarm:
    def __init__(self, clock: SystemClock, due_ms: int, callback: Callable[[], None]) -> None:
        self._clock, self._due_ms, self._callback = clock, due_ms, callback
        self._handle = self._arm()

    def cancel(self) -> None:
        self._handle.cancel()

    def _arm(self) -> asyncio.TimerHandle:
        # Looking again each second bounds how late a timer is after the wall clock stepped forward.
        delay = min(max(self._due_ms - self._clock.now_ms(), 0) / 1000, 1.0)
        return asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        if self._clock.now_ms() >= self._due_ms:
            self._callback()
        else:
            self._handle = self._arm()
