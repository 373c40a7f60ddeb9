"""Attempts that wait in memory, the longest first; too many, or for too long, and they are suspended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from durable.core.ids import InvocationId
from durable.runtime.clock import Alarm
from durable.runtime.kernel import Kernel


class Parking:
    def __init__(
        self, kernel: Kernel, inactivity: timedelta, places: int, suspend: Callable[[InvocationId], None]
    ) -> None:
        self._clock, self._places, self._suspend = kernel.clock, places, suspend
        self._admission = kernel.ledger.admission
        self._inactivity_ms = round(inactivity.total_seconds() * 1000)
        self._since_ms: dict[InvocationId, int] = {}
        self._alarm: Alarm | None = None

    def enter(self, id: InvocationId) -> None:
        self._since_ms[id] = self._clock.now_ms()
        self._admission.rest(id)
        if len(self._since_ms) > self._places:
            self._evict(next(iter(self._since_ms)))
        self._arm()

    def leave(self, id: InvocationId) -> None:
        self._since_ms.pop(id, None)
        self._admission.stir(id)

    def close(self) -> None:
        self._since_ms.clear()
        if self._alarm is not None:
            self._alarm.cancel()

    def _arm(self) -> None:
        if self._alarm is None and self._since_ms:
            first_ms = next(iter(self._since_ms.values()))
            self._alarm = self._clock.call_at(first_ms + self._inactivity_ms, self._look)

    def _look(self) -> None:
        self._alarm = None
        limit_ms = self._clock.now_ms() - self._inactivity_ms
        for id in [id for id, since_ms in self._since_ms.items() if since_ms <= limit_ms]:
            self._evict(id)
        self._arm()

    def _evict(self, id: InvocationId) -> None:
        self.leave(id)
        self._suspend(id)
