"""Many that sleep for days: what they weigh, how long an engine takes to open over them, and how it wakes one up."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import msgspec

from benchmarks.apart import apart
from benchmarks.growth.crowd import SUSPENDING, resident_bytes, send, suspended
from benchmarks.process import memory
from benchmarks.rounds import Spread
from benchmarks.scale import Scale
from benchmarks.services import Sleeper
from benchmarks.table import Row, at_most, cell, markdown
from durable import Engine

_DAYS = 5 * 86_400.0
_NAP = 0.05


class Opened(msgspec.Struct, frozen=True):
    """An engine over a file of sleepers, in a new process."""

    ready_seconds: float
    """From opening it to when it takes requests."""
    resident_bytes: int
    """After some were woken up, of the whole process."""
    wake_ups_ms: list[float]
    """From when a sleep ends to the reply to whoever waits, a commit among it; each was suspended."""


class Point(msgspec.Struct, frozen=True):
    sleepers: int
    file_bytes: int
    making_seconds: float
    making_peak_bytes: int
    """Resident in the process that accepted them."""
    opened: Opened


class Sleepers(msgspec.Struct, frozen=True):
    points: list[Point]
    after_crash: Opened
    """The last point again, after a process that did not close its engine."""


def measure(scale: Scale) -> Sleepers:
    points: list[Point] = []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        database, made = Path(directory, "engine.db"), 0
        for count in scale.sleepers:
            seconds, peak = apart(_make, database, count - made)
            made = count
            size = database.stat().st_size
            points.append(Point(count, size, seconds, peak, apart(_open, database, scale.wake_ups)))
        _crash(database)
        return Sleepers(points, apart(_open, database, scale.wake_ups))


def rows(found: Sleepers) -> list[Row]:
    last = found.points[-1]
    what = f"{last.sleepers:,} suspended"
    return [
        at_most(f"{what}: resident, MB", 150, last.opened.resident_bytes / 1e6, "{:,.0f}"),
        at_most(f"{what}: file, MB", 500, last.file_bytes / 1e6, "{:,.0f}"),
        at_most(f"{what}: open to ready, s, after a close", 2, last.opened.ready_seconds),
        at_most(f"{what}: open to ready, s, after a crash", 2, found.after_crash.ready_seconds),
        at_most(f"{what}: a wake-up, ms", 5, Spread.of(last.opened.wake_ups_ms), "{:.1f}"),
    ]


def details(found: Sleepers) -> str:
    lines = [
        [
            f"{point.sleepers:,}",
            f"{point.file_bytes / 1e6:,.1f}",
            f"{point.making_seconds:,.1f}",
            f"{point.making_peak_bytes / 1e6:,.0f}",
            f"{point.opened.ready_seconds:.2f}",
            f"{point.opened.resident_bytes / 1e6:,.0f}",
            cell(Spread.of(point.opened.wake_ups_ms), "{:.1f}"),
        ]
        for point in found.points
    ]
    head = ["suspended", "file MB", "made in s", "peak MB meanwhile", "open to ready s", "resident MB", "wake-up ms"]
    return markdown(head, lines)


def _make(database: Path, count: int) -> tuple[float, int]:
    async def make() -> None:
        async with Engine(database, Sleeper(), options=SUSPENDING) as engine:
            await suspended(await send(count, lambda: engine.send(Sleeper.doze, _DAYS)))

    began = time.perf_counter()
    asyncio.run(make())
    return time.perf_counter() - began, memory()["VmHWM"]


def _open(database: Path, wake_ups: int) -> Opened:
    async def opened() -> Opened:
        began = time.perf_counter()
        async with Engine(database, Sleeper(), options=SUSPENDING) as engine:
            ready = time.perf_counter() - began
            lateness: list[float] = []
            for _ in range(wake_ups):
                due = await engine.call(Sleeper.nap, _NAP)
                lateness.append(1e3 * (time.time() - due))
            return Opened(ready, resident_bytes(), lateness)

    return asyncio.run(opened())


def _crash(database: Path) -> None:
    process = get_context("spawn").Process(target=_abandon, args=(database,))
    process.start()
    process.join()


def _abandon(database: Path) -> None:
    async def abandon() -> None:
        async with Engine(database, Sleeper(), options=SUSPENDING):
            os._exit(0)

    asyncio.run(abandon())
