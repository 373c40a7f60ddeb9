"""Many timers that are due at once, page by page."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from durable import Context, Options, Service, handler
from durable.core.invocation import Commit
from durable.runtime.timekeeper import PAGE
from durable.store import Store
from durable.store.memory import MemoryStore
from durable.testing import TestEngine

HOUR = timedelta(hours=1)


class Sleepers(Service):
    @handler
    async def sleep(self, ctx: Context) -> None:
        await ctx.sleep(HOUR)


class HeldStore(MemoryStore):
    """Its commits wait for the way to be open."""

    def __init__(self, engine: TestEngine) -> None:
        super().__init__(engine.disk)
        self.way = asyncio.Event()
        self.way.set()
        self.begun: list[Commit] = []

    async def commit(self, commit: Commit, /) -> None:
        self.begun.append(commit)
        await self.way.wait()
        await super().commit(commit)


class HeldEngine(TestEngine):
    def _open_store(self) -> Store:
        self.held = HeldStore(self)
        return self.held

    def fired(self) -> int:
        """Timers whose end was decided since the way was closed."""
        assert self._running is not None
        commits = [*self.held.begun, self._running.kernel.ledger.commit]
        return sum(not is_set for commit in commits for is_set in commit.timers.values())


async def test_no_more_than_two_pages_fire_before_the_first_is_on_the_disk() -> None:
    count = 4 * PAGE
    async with HeldEngine(Sleepers(), options=Options(inactivity=timedelta(0))) as engine:
        for _ in range(count):
            await engine.send(Sleepers.sleep)
        await engine.settle()
        engine.held.begun.clear()
        engine.held.way.clear()

        engine.clock.move_to(engine.clock.now_ms() + 3_600_000)
        for _ in range(1_000):  # turns of the loop: more than all of them need
            await asyncio.sleep(0)
        held = engine.fired()
        engine.held.way.set()
        await engine.settle()

        assert held == 2 * PAGE
        assert engine.fired() == count
