"""Many HTTP callers that wait for results at once."""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.apart import apart
from benchmarks.http_client import Pool
from benchmarks.over_http import FAST, served
from benchmarks.scale import Scale
from benchmarks.table import Row, at_least, at_most

_PATH = "/Sleeper/nap_until"
_CONNECTING = 200
"""How many connect at a time: a listener's backlog is short."""


class Callers(msgspec.Struct, frozen=True):
    count: int
    answered: int
    asking_seconds: float
    """From the first request to the last."""
    answering_seconds: float
    """From when they could all be answered to the last answer."""
    peak_bytes: int
    """Resident in the server."""


def measure(scale: Scale) -> Callers:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        return apart(_call, Path(directory), scale.callers, scale.callers_seconds)


def rows(found: Callers) -> list[Row]:
    what = f"{found.count:,} concurrent HTTP callers"
    return [
        at_least(f"{what}: answered", found.count, found.answered, "{:,.0f}"),
        at_most(f"{what}: resident in the server, MB", 1500, found.peak_bytes / 1e6, "{:,.0f}"),
    ]


def _call(directory: Path, count: int, seconds: float) -> Callers:
    # A file descriptor for each, here and in the server, which inherits this.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with served(FAST, "engine", directory) as (port, server):
        answered, asking, answering = asyncio.run(_ask(port, count, seconds))
        return Callers(count, answered, asking, answering, server.peak_bytes())


async def _ask(port: int, count: int, seconds: float) -> tuple[int, float, float]:
    began = time.time()
    end = began + seconds
    pool, connecting = Pool(port, _PATH, msgspec.json.encode(end)), asyncio.Semaphore(_CONNECTING)

    asked: list[float] = []
    answered: list[float] = []

    async def ask() -> None:
        async with connecting:
            connection = await pool.connect()
        asked.append(time.time())
        await connection.ask(pool.request)
        answered.append(time.time())
        connection.close()

    await asyncio.gather(*(ask() for _ in range(count)), return_exceptions=True)
    return len(answered), max(asked) - began, max(answered, default=end) - end
