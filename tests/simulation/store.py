"""A disk with latencies and faults: what a commit or a read may come to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from durable.core.ids import InvocationId
from durable.core.invocation import Commit, Flow, InstanceId, Loaded, LoadedInstance, Timer
from durable.core.suspects import Left, Suspect
from durable.errors import DiskFullError, StoreError
from durable.runtime.clock import Clock
from durable.store import LoadedSchedules, Opened
from durable.store.memory import MemoryStore
from tests.simulation.audit import audit_commit
from tests.simulation.loop import Process
from tests.simulation.sqlite import InlineStore

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")


class InjectedError(StoreError):
    """A store error that the simulation asked for."""


class FaultyStore:
    def __init__(self, world: World, process: Process, clock: Clock) -> None:
        self._world, self._process, self._clock = world, process, clock
        self._inner = MemoryStore(world.disk) if world.file is None else InlineStore(world.file, world.disk)
        self._calls = 0
        self._dies_at = world.deaths.get(process.number)

    async def open(self) -> Opened:
        return await self._visit(lambda: self._inner.open())

    async def commit(self, commit: Commit, /) -> None:
        number = self._world.next_commit()
        fault = self._world.commit_faults.get(number)
        kind = fault.kind if fault else ""
        self._world.note("commit", number, kind)
        self._world.tempo.take(self._clock.now_ms())
        await self._hop()
        if kind == "disk full":
            raise DiskFullError("the disk is full")
        if kind == "crash before":
            await self._die()
        if kind == "error before":
            raise self._broken("it did not write")
        audit_commit(self._world, commit, self._clock.now_ms())
        await self._inner.commit(commit)
        self._world.committed(commit)
        await self._hop()
        if kind == "crash after":
            await self._die()
        if kind == "error after":
            raise self._broken("it wrote, and does not know")

    async def load(self, id: InvocationId, /) -> Loaded | None:
        return await self._read(lambda: self._inner.load(id))

    async def load_instance(self, instance: InstanceId, /) -> LoadedInstance:
        return await self._read(lambda: self._inner.load_instance(instance))

    async def running(self, *, after: int, limit: int) -> list[tuple[int, InvocationId]]:
        return await self._read(lambda: self._inner.running(after=after, limit=limit))

    async def left(self) -> list[Left]:
        return await self._read(lambda: self._inner.left())

    async def suspects(self) -> dict[int, Suspect]:
        return await self._read(lambda: self._inner.suspects())

    async def flow(self) -> Flow:
        return await self._read(lambda: self._inner.flow())

    async def ready(self, lane: str, /, *, after: int, limit: int) -> list[tuple[int, InvocationId]]:
        return await self._read(lambda: self._inner.ready(lane, after=after, limit=limit))

    async def holders(self, *, after: int, limit: int) -> list[tuple[int, InvocationId]]:
        return await self._read(lambda: self._inner.holders(after=after, limit=limit))

    async def schedules(self) -> LoadedSchedules:
        return await self._read(lambda: self._inner.schedules())

    async def timers(self, *, after: Timer | None, limit: int) -> list[tuple[Timer, InvocationId]]:
        return await self._read(lambda: self._inner.timers(after=after, limit=limit))

    async def expired(self, now_ms: int, /, *, limit: int) -> list[InvocationId]:
        return await self._read(lambda: self._inner.expired(now_ms, limit=limit))

    async def close(self) -> None:
        if not self._process.dead:
            await self._inner.close()

    async def kill(self) -> None:
        """What the end of its process does to it."""
        if isinstance(self._inner, InlineStore):
            await self._inner.kill(InjectedError("killed"))

    async def _read(self, read: Callable[[], Awaitable[T]]) -> T:
        number = self._world.next_read()
        fault = self._world.read_faults.get(number)
        if fault is not None:
            self._world.note("read", number, fault.kind)
            if fault.kind == "read error":
                await self._hop()
                raise InjectedError("it did not read")
            await asyncio.sleep(fault.by / 1000)
        return await self._visit(read)

    async def _visit(self, work: Callable[[], Awaitable[T]]) -> T:
        """A process may die at each of its first calls: it is going on with what the last one left then."""
        self._calls += 1
        dies = self._calls == self._dies_at
        await self._hop()
        if dies and self._world.chance("death").random() < 0.5:
            await self._die()
        done = await work()
        await self._hop()
        if dies:
            await self._die()
        return done

    async def _hop(self) -> None:
        """To the disk's thread, or back; a process that dies meanwhile goes nowhere."""
        await asyncio.sleep(self._world.chance("store").choice((0, 0.0001, 0.002, 0.03)))
        if self._process.dead:
            await asyncio.get_running_loop().create_future()

    async def _die(self) -> None:
        self._world.note("dies")
        self._process.mark_dead()
        await asyncio.get_running_loop().create_future()

    def _broken(self, what: str) -> InjectedError:
        error = InjectedError(what)
        if isinstance(self._inner, InlineStore):
            self._inner.abandon(error)
        return error
