"""One seed, from the first operation to the verdict."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from durable import mapper
from durable.core.ids import write_invocation
from durable.core.invocation import Status
from durable.store.memory import MemoryDisk
from tests.simulation.audit import audit
from tests.simulation.client import Customer
from tests.simulation.host import Host
from tests.simulation.loop import SimulatedLoop
from tests.simulation.operator import Operator
from tests.simulation.oracle import judge
from tests.simulation.replay import replay
from tests.simulation.ringer import Ringer
from tests.simulation.scenario import Scenario, scenario
from tests.simulation.watchdog import StuckError, watchdog
from tests.simulation.world import World

PATIENCE = 3 * 3600
"""Simulated seconds until all must be over: an engine opened after the clock fell back may wait for an hour."""

WALL_S = 120.0
"""Real seconds: most take a tenth of one."""


class Report(NamedTuple):
    violations: list[str]
    trace: str
    """A hash over everything that happened."""
    lines: list[str]
    counts: Counter[str]
    disk: MemoryDisk
    """What is left at the end."""


MEMORY = Path("/dev/shm")  # where there is one, files need no disk


def simulate(what: Scenario | int) -> Report:
    what = scenario(what) if isinstance(what, int) else what
    directory = TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) if what.sqlite else nullcontext()
    with silent(), small_parts(), directory as name, closing(SimulatedLoop()) as loop:
        file = None if name is None else Path(name) / "simulated.db"
        return _ended(loop, World(what, file))


def _ended(loop: SimulatedLoop, world: World) -> Report:
    """Whatever it is that ends it: what was not foreseen is a violation, too."""
    try:
        with watchdog(WALL_S):
            return loop.run_until_complete(_simulate(world))
    except (Exception, StuckError):
        world.violations.append(f"it was cut short: {traceback.format_exc()}")
    report = _report(world)
    with suppress(Exception, StuckError), watchdog(WALL_S / 10):
        loop.run_until_complete(_clear())
    return report


async def _simulate(world: World) -> Report:
    what = world.scenario
    host = Host(world)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, unheard: world.violated(f"nobody was told: {unheard}"))
    hosting, _ = loop.create_task(host.run()), loop.create_task(_answer(host))
    operator = loop.create_task(_resume(host))
    trouble = loop.create_task(host.trouble())
    limiter = Operator(host)
    changing = loop.create_task(limiter.work(what.limits.changes))
    ringing = loop.create_task(Ringer(host).work(what.bells.orders))
    clients = [
        loop.create_task(Customer(host, f"client {client}").work(list(operations)))
        for client, operations in groupby(what.operations, lambda each: each.client)
    ]
    await _first(_all_of([*clients, trouble, changing, ringing]), world.broken.wait())
    if not world.violations and (left := [each for each in clients if not each.done()]):
        world.violated(f"{len(left)} clients never got an answer")
    await _rest(world)
    if not world.violations:
        await limiter.conclude()
    operator.cancel()
    host.shut()
    await asyncio.wait([hosting], timeout=60)
    await _clear()
    if hosting.done() and not hosting.cancelled():
        hosting.result()
    audit(world)
    if not world.violations:
        judge(world)
        world.chimes.conclude()
        await replay(world)
    world.counts["invocations"] = len(world.disk.invocations)
    return _report(world)


def _report(world: World) -> Report:
    lines = [*world.lines]
    return Report([*world.violations], world.trace.hexdigest(), lines, world.counts, world.disk)


async def _all_of(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks)


async def _clear() -> None:
    """Leave no task behind, be it of a run that was cut short."""
    for _ in range(100):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            return
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _first(*works: Coroutine[Any, Any, object]) -> None:
    """Until one of them is over, or patience is; what failed is raised."""
    tasks = [asyncio.get_running_loop().create_task(work) for work in works]
    done, left = await asyncio.wait(tasks, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    for task in done:
        task.result()


async def _rest(world: World) -> None:
    """Wait until every invocation is over."""
    for _ in range(PATIENCE // 5):
        left = [row for row in world.disk.invocations.values() if row.status is not Status.COMPLETED]
        if world.violations or not (left or world.chimes.ringing):
            await asyncio.sleep(1)
            if world.violations or all(row.outcome for row in world.disk.invocations.values()):
                return
        await asyncio.sleep(5)
    if world.chimes.ringing:
        world.violated("a schedule still has runs to start")
    for row in left:
        world.violated(f"{row.request.target} never ended: it is {row.status}")


async def _answer(host: Host) -> None:
    """People complete the awakeables that were given to them."""
    people: list[asyncio.Task[None]] = []
    while True:
        id = await host.world.published.get()
        person = Customer(host, f"person {len(people)}")
        people.append(asyncio.get_running_loop().create_task(person.answer(id)))


async def _resume(host: Host) -> None:
    """An operator lets go on what is paused because the process died: here it is never the handler's doing."""
    operator = Customer(host, "operator")
    while True:
        await asyncio.sleep(60)
        for row in list(host.world.disk.invocations.values()):
            if row.status is Status.PAUSED and row.failure and row.failure.message.startswith("the process died"):
                await operator.resume(write_invocation(row.id))


@contextmanager
def small_parts() -> Iterator[None]:
    """So that the maps of a simulation have several."""
    before, mapper.PART = mapper.PART, 2
    try:
        yield
    finally:
        mapper.PART = before


@contextmanager
def silent() -> Iterator[None]:
    logger = logging.getLogger("durable")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
