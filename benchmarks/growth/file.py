"""What an invocation of three steps leaves in the file, and what the file is worth once it is forgotten."""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import msgspec

from benchmarks.apart import apart
from benchmarks.growth.crowd import SkippingEngine, send
from benchmarks.scale import Scale
from benchmarks.services import TEXT, Steps
from benchmarks.table import Row, at_most
from durable import Engine, Options

_PURGING = Options(cleanup=timedelta(seconds=1))
_RETENTION = timedelta(days=1)


class File(msgspec.Struct, frozen=True):
    invocations: int
    full_bytes: int
    purged_bytes: int
    """After their retention, and a close."""
    purge_seconds: float


def measure(scale: Scale) -> File:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        database = Path(directory, "engine.db")
        last = apart(_fill, database, scale.stored)
        full = database.stat().st_size
        seconds = apart(_purge, database, last)
        return File(scale.stored, full, database.stat().st_size, seconds)


def rows(found: File) -> list[Row]:
    each = found.full_bytes / found.invocations
    return [
        at_most("bytes on disk per invocation of three steps (100-byte payloads)", 900, each, "{:,.0f}"),
        at_most("file after a purge of everything, to before", 0.5, found.purged_bytes / found.full_bytes),
    ]


def _fill(database: Path, count: int) -> str:
    """The id of the one that ends last."""

    async def fill() -> str:
        async with Engine(database, Steps()) as engine:
            for invocation in await send(count - 1, lambda: engine.send(Steps.three, TEXT)):
                await invocation.result()
            last = await engine.send(Steps.three, TEXT)
            await last.result()
            return last.id

    return asyncio.run(fill())


def _purge(database: Path, last: str) -> float:
    async def purge() -> float:
        async with SkippingEngine(database, _PURGING, Steps()) as engine:
            engine.clock.skip(2 * _RETENTION)
            began = time.perf_counter()
            while await engine.door.peek(last) is not None:
                await asyncio.sleep(0.01)
            return time.perf_counter() - began

    return asyncio.run(purge())
