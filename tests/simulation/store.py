"""A disk with latencies and faults: what a commit may come to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from durable.core.ids import InvocationId
from durable.core.invocation import Commit, InstanceId, Loaded, LoadedInstance
from durable.errors import DiskFullError
from durable.store.memory import MemoryStore
from tests.simulation.loop import Process

if TYPE_CHECKING:
    from tests.simulation.world import World


class InjectedError(Exception):
    """A store error that the simulation asked for."""


class FaultyStore(MemoryStore):
    def __init__(self, world: World, process: Process) -> None:
        super().__init__(world.disk)
        self._world, self._process = world, process

    async def commit(self, commit: Commit, /) -> None:
        number = self._world.next_commit()
        fault = self._world.commit_faults.get(number)
        kind = fault.kind if fault else ""
        self._world.note("commit", number, kind)
        await self._hop()
        if kind == "disk full":
            raise DiskFullError("the disk is full")
        if kind == "crash before":
            await self._die()
        if kind == "error before":
            raise InjectedError("it did not write")
        await super().commit(commit)
        await self._hop()
        if kind == "crash after":
            await self._die()
        if kind == "error after":
            raise InjectedError("it wrote, and does not know")

    async def load(self, id: InvocationId, /) -> Loaded | None:
        await self._hop()
        loaded = await super().load(id)
        await self._hop()
        return loaded

    async def load_instance(self, instance: InstanceId, /) -> LoadedInstance:
        await self._hop()
        loaded = await super().load_instance(instance)
        await self._hop()
        return loaded

    async def _hop(self) -> None:
        """To the disk's thread, or back; a process that dies meanwhile goes nowhere."""
        await asyncio.sleep(self._world.chance("store").choice((0, 0.0001, 0.002, 0.03)))
        if self._process.dead:
            await asyncio.get_running_loop().create_future()

    async def _die(self) -> Any:
        self._process.mark_dead()
        await asyncio.get_running_loop().create_future()
