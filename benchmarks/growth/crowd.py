"""What the measurements of many have in common."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from benchmarks.process import memory
from durable import Engine, Invocation, Options
from durable.runtime.clock import SystemClock
from durable.service import AnyService

T = TypeVar("T")

AT_ONCE = 256
"""How many are sent at a time."""

SUSPENDING = Options(inactivity=timedelta(0))
"""Nothing that waits stays in memory: the only way for very many, and for few the most work."""


class SkippingClock(SystemClock):
    """Wall time, and what was skipped."""

    def __init__(self) -> None:
        super().__init__()
        self._skipped_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self._skipped_ms

    def skip(self, duration: timedelta) -> None:
        """Timers notice within a second."""
        self._skipped_ms += round(duration.total_seconds() * 1000)


class SkippingEngine(Engine):
    """An engine over a file whose time can be skipped."""

    def __init__(self, database: Path, options: Options, *services: AnyService) -> None:
        super().__init__(database, *services, options=options)
        self.clock = self._clock = SkippingClock()


async def send(times: int, one: Callable[[], Awaitable[Invocation[T]]]) -> list[Invocation[T]]:
    """Send so many; returns the last of them."""
    turns = iter(range(times))
    last: dict[int, Invocation[T]] = {}

    async def some(place: int) -> None:
        for _ in turns:
            last[place] = await one()

    async with asyncio.TaskGroup() as group:
        for place in range(AT_ONCE):
            group.create_task(some(place))
    return list(last.values())


async def suspended(invocations: Sequence[Invocation[object]]) -> None:
    """Return once these are, and with them all that were sent before."""
    for invocation in invocations:
        while await invocation.status() != "suspended":
            await asyncio.sleep(0.01)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def resident_bytes() -> int:
    gc.collect()
    return memory()["VmRSS"]
