"""A closed loop: so many at a time, each waiting for its answer before it asks again, for so long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

Work = Callable[[], Awaitable[object]]
"""One invocation, from the request to its answer."""


class Load(msgspec.Struct, frozen=True):
    concurrency: int
    seconds: float
    warm_up: float
    """In seconds, not counted."""


class Run(msgspec.Struct, frozen=True):
    """What came of a load."""

    done: int
    rate: float
    """Invocations per second."""
    cpu_us: float
    """Microseconds of processor time per invocation, of the process that does the work, all its threads."""
    p50_ms: float
    p90_ms: float
    p99_ms: float


async def drive(work: Work, load: Load, cpu: Callable[[], float] = time.process_time) -> Run:
    """Put the load on, and count what ends between the end of the warm-up and the deadline.

    ``cpu`` tells the seconds of processor time that whoever does the work has used.
    """
    deadline = time.perf_counter() + load.warm_up + load.seconds
    ended: list[tuple[float, float]] = []

    async def repeat() -> None:
        while (asked := time.perf_counter()) < deadline:
            await work()
            ended.append((asked, time.perf_counter()))

    async with asyncio.TaskGroup() as group:
        for _ in range(load.concurrency):
            group.create_task(repeat())
        await asyncio.sleep(load.warm_up)
        used, began = cpu(), time.perf_counter()
        await asyncio.sleep(deadline - began)
        used, stopped = cpu() - used, time.perf_counter()
    # Before the first answer there is nothing to tell; a load that is too short for one says so.
    latencies = sorted(end - asked for asked, end in ended if began <= end <= stopped)
    if not latencies:
        raise RuntimeError(f"nothing ended within {stopped - began:.2f} s; measure for longer")
    return _summary(latencies, stopped - began, used)


def _summary(latencies: list[float], seconds: float, cpu_seconds: float) -> Run:
    done = len(latencies)
    quantiles = [1e3 * latencies[min(int(part * done), done - 1)] for part in (0.5, 0.9, 0.99)]
    return Run(done, done / seconds, 1e6 * cpu_seconds / done, *quantiles)
