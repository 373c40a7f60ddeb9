"""Many timers that are due at once: how fast they fire, and what others notice."""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import msgspec

from benchmarks.apart import apart
from benchmarks.growth.crowd import SUSPENDING, SkippingEngine, send, suspended, until
from benchmarks.scale import Scale
from benchmarks.services import TEXT, Sleeper, Steps
from benchmarks.table import Row, at_least, at_most

_DAY = timedelta(days=1)
_OTHERS = 4
"""Who call meanwhile, each after the other."""


class Timers(msgspec.Struct, frozen=True):
    count: int
    seconds: float
    """From the first that fired to the last, their handlers done."""
    quiet_p99_ms: float
    """Of three steps, before."""
    busy_p99_ms: float
    """Of three steps, meanwhile."""


def measure(scale: Scale) -> Timers:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        return apart(_fire, Path(directory, "engine.db"), scale.timers, scale.quiet_seconds)


def rows(found: Timers) -> list[Row]:
    what = f"{found.count:,} timers due at once"
    rate, p99 = found.count / found.seconds, found.busy_p99_ms / found.quiet_p99_ms
    return [
        at_least(f"{what}: all fired, per second", 3000, rate, "{:,.0f}"),
        at_most(f"{what}: p99 of others, to before", 3, p99, "{:.1f}"),
    ]


def _fire(database: Path, count: int, quiet_seconds: float) -> Timers:
    async def fire() -> Timers:
        async with SkippingEngine(database, SUSPENDING, sleeper, Steps()) as engine:
            await suspended(await send(count, lambda: engine.send(Sleeper.doze, _DAY.total_seconds())))
            quiet = _Others(engine)
            await asyncio.sleep(quiet_seconds)
            quiet_p99_ms = await quiet.p99_ms()
            engine.clock.skip(_DAY)
            await until(lambda: bool(sleeper.ends))
            busy = _Others(engine)
            await until(lambda: len(sleeper.ends) == count)
            return Timers(count, sleeper.ends[-1] - sleeper.ends[0], quiet_p99_ms, await busy.p99_ms())

    sleeper = Sleeper()
    return asyncio.run(fire())


class _Others:
    """Callers of three steps, who notice what else goes on."""

    def __init__(self, engine: SkippingEngine) -> None:
        self._engine = engine
        self._seconds: list[float] = []
        self._ending = False
        self._tasks = [asyncio.create_task(self._repeat()) for _ in range(_OTHERS)]

    async def p99_ms(self) -> float:
        """Of all that they called; they call no more."""
        self._ending = True
        await asyncio.gather(*self._tasks)
        return 1e3 * sorted(self._seconds)[int(0.99 * len(self._seconds))]

    async def _repeat(self) -> None:
        while not self._seconds or not self._ending:
            began = time.perf_counter()
            await self._engine.call(Steps.three, TEXT)
            self._seconds.append(time.perf_counter() - began)
