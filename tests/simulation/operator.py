"""An operator: puts, removes and looks at limits, and goes on until it is known that this was done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from durable import TerminalError
from durable.engine import Engine
from durable.flow import Limit
from durable.limiting import Usage
from tests.simulation.client import Customer
from tests.simulation.host import Host, imbalance
from tests.simulation.limits import Change


class Operator:
    def __init__(self, host: Host) -> None:
        self._customer, self._world = Customer(host, "limiter"), host.world

    async def work(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            await asyncio.sleep(max(change.at_ms / 1000 - asyncio.get_running_loop().time(), 0))
            await self._do(change)

    async def look(self) -> None:
        """At the slots: those that are counted are of who runs or holds."""

        async def look(engine: Engine) -> list[str]:
            return imbalance(engine)

        for wrong in await self._customer.insist(look):
            self._world.violated(wrong)

    async def conclude(self) -> None:
        """Nothing is left to do, and nothing uses anything."""
        await self.look()

        async def usage(engine: Engine) -> list[str]:
            return [f"{use.path}: {use.running} run, {use.waiting} wait" for use in engine.limits.usage() if _used(use)]

        for use in await self._customer.insist(usage):
            self._world.violated(f"at the end, of {use}")

    async def _do(self, change: Change) -> None:
        limit = change.limit
        self._world.note("limits", change.kind, repr(limit))
        self._world.counts["changes of limits"] += 1
        match change.kind:
            case "look":
                await self.look()
            case "remove":
                await self._remove(limit.pattern)
            case "stop":
                await self._put(msgspec.structs.replace(limit, concurrency=0))
                await asyncio.sleep(3)
                await self._remove(limit.pattern)
            case "put":
                await self._put(limit)

    async def _put(self, limit: Limit) -> None:
        await self._change(limit.pattern, limit, lambda engine: engine.limits.put(limit))

    async def _remove(self, pattern: str) -> None:
        await self._change(pattern, None, lambda engine: engine.limits.remove(pattern))

    async def _change(self, pattern: str, limit: Limit | None, ask: Callable[[Engine], Awaitable[None]]) -> None:
        self._world.begin_change(pattern, limit)
        with suppress(TerminalError):  # it is not there: it never was, or this is the second time
            await self._customer.insist(ask)
        self._world.end_change()


def _used(use: Usage) -> bool:
    return bool(use.running or use.waiting)
