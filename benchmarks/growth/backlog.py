"""Many that queue for one key: what they weigh, and how long each takes to be admitted."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import msgspec

from benchmarks.apart import apart
from benchmarks.growth.crowd import resident_bytes, send, until
from benchmarks.scale import Scale
from benchmarks.services import GO, Line
from benchmarks.table import Row, at_most
from durable import Engine, Options

_KEY = "key"


class Backlog(msgspec.Struct, frozen=True):
    count: int
    some_bytes: int
    """Resident with a tenth of them queued."""
    all_bytes: int
    """Resident with all of them queued."""
    first_us: float
    """Per admission, over the first tenth."""
    last_us: float
    """Per admission, over the last tenth."""


def measure(scale: Scale) -> Backlog:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        return apart(_queue, Path(directory, "engine.db"), scale.backlog)


def rows(found: Backlog) -> list[Row]:
    what = f"{found.count:,} queued on one key"
    memory, admission = found.all_bytes / found.some_bytes, found.last_us / found.first_us
    return [
        at_most(f"{what}: memory, to a tenth of them", 1.1, memory),
        at_most(f"{what}: time to admit the last, to the first", 1.2, admission),
    ]


def _queue(database: Path, count: int) -> Backlog:
    async def queue() -> tuple[int, int]:
        async with Engine(database, line, options=options) as engine:
            holder = await engine.send(Line.hold, _KEY)
            await send(count // 10, lambda: engine.send(Line.take, _KEY))
            some = resident_bytes()
            await send(count - count // 10, lambda: engine.send(Line.take, _KEY))
            every = resident_bytes()
            await holder.signal(GO, "")
            await until(lambda: len(line.admissions) == count)
            return some, every

    line, options = Line(), Options(resident=max(count // 100, 1))
    some, every = asyncio.run(queue())
    tenth, times = count // 10, line.admissions
    first, last = times[tenth - 1] - times[0], times[-1] - times[-tenth]
    return Backlog(count, some, every, 1e6 * first / tenth, 1e6 * last / tenth)
