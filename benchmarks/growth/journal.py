"""One long journal: what a step costs at its end, and what it costs to replay it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.apart import apart
from benchmarks.growth.crowd import SUSPENDING, suspended, until
from benchmarks.rounds import Spread
from benchmarks.scale import Scale
from benchmarks.services import GO, TEXT, Steps, Walker
from benchmarks.table import Row, at_most
from durable import Engine

PARTS = 10

_WARM_UP = 300
"""Calls before: until SQLite begins to use its log again, a commit makes the file longer, and takes twice as long."""


class Journal(msgspec.Struct, frozen=True):
    entries: int
    steps_ms: list[list[float]]
    """Per round: the median time of a step, in each tenth of the journal."""
    replays: list[float]
    """Seconds from a signal to the result, in a new process."""

    @property
    def growth(self) -> Spread:
        return Spread.of([parts[-1] / parts[0] for parts in self.steps_ms])


def measure(scale: Scale) -> Journal:
    steps_ms: list[list[float]] = []
    replays: list[float] = []
    for _ in range(scale.journals):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
            database = Path(directory, "engine.db")
            id, parts = apart(_walk, database, scale.entries // 2)
            steps_ms.append(parts)
            replays.append(apart(_replay, database, id))
    return Journal(scale.entries, steps_ms, replays)


def rows(found: Journal) -> list[Row]:
    what = f"journal of {found.entries:,} entries"
    return [
        at_most(f"{what}: a step at its end, to one at its start", 1.2, found.growth),
        at_most(f"{what}: replay, s", 1.0, Spread.of(found.replays)),
    ]


def _walk(database: Path, steps: int) -> tuple[str, list[float]]:
    async def walk() -> str:
        async with Engine(database, walker, Steps(), options=SUSPENDING) as engine:
            for _ in range(_WARM_UP):
                await engine.call(Steps.three, TEXT)
            invocation = await engine.send(Walker.walk, steps)
            await until(lambda: len(walker.ends) == steps)
            await suspended([invocation])
            return invocation.id

    walker = Walker()
    id = asyncio.run(walk())
    times = [1e3 * (end - begin) for begin, end in pairwise(walker.ends)]
    size = len(times) // PARTS
    return id, [median(times[part * size : (part + 1) * size]) for part in range(PARTS)]


def _replay(database: Path, id: str) -> float:
    async def replay() -> float:
        async with Engine(database, Walker(), Steps(), options=SUSPENDING) as engine:
            invocation, began = engine.invocation(id), time.perf_counter()
            await invocation.signal(GO, "")
            await invocation.result()
            return time.perf_counter() - began

    return asyncio.run(replay())
