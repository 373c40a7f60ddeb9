"""What is read into memory: when the read fails, and who decides first once it was read."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from durable import Context, ObjectContext, Service, State, VirtualObject, handler
from durable.core.ids import InvocationId, write_invocation
from durable.core.invocation import Loaded
from durable.engine import Engine
from durable.errors import StoreError
from durable.store.memory import MemoryStore
from durable.testing import TestEngine


class Failing(MemoryStore):
    """Reads nothing, once it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.gate = asyncio.Event(), asyncio.Event()

    async def load(self, id: InvocationId, /) -> Loaded | None:
        self.asked.set()
        await self.gate.wait()
        raise StoreError("it did not read")


async def test_a_read_that_fails_after_everybody_left_is_nobodys_unheard_error() -> None:
    store, unheard = Failing(), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    engine = Engine("unused.db")
    engine._make_store = lambda: store

    async with engine:
        asking = asyncio.ensure_future(engine.invocation(write_invocation(InvocationId(bytes(16)))).status())
        await store.asked.wait()
        asking.cancel()
        await asyncio.wait([asking])
        del asking  # its traceback would keep the read that it waited for
        store.gate.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not engine._open.kernel.residency.loading
        gc.collect()

    assert unheard == []


class Log(VirtualObject):
    lines = State(list[int], default=list)

    @handler
    async def add(self, ctx: ObjectContext, line: int) -> None:
        ctx.set(self.lines, [*await ctx.get(self.lines), line])

    @handler
    async def read(self, ctx: ObjectContext) -> list[int]:
        return await ctx.get(self.lines)


class Caller(Service):
    @handler
    async def add(self, ctx: Context, line: int) -> None:
        await ctx.call(Log.add, "a key that is not in memory", line)


async def test_callers_reach_a_key_in_order_although_it_has_to_be_loaded() -> None:
    async with TestEngine(Log(), Caller()) as engine:
        for line in range(5):
            await engine.send(Caller.add, line)  # the first is still waiting for the key when the last one comes
        await engine.settle()

        assert await engine.call(Log.read, "a key that is not in memory") == [0, 1, 2, 3, 4]


async def test_a_load_that_is_given_up_holds_nobody_back() -> None:
    async with TestEngine(Log(), Caller()) as engine:
        given_up = asyncio.ensure_future(engine.call(Log.add, "k", 1))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)

        await engine.call(Log.add, "k", 2)

        assert (await engine.call(Log.read, "k"))[-1] == 2
        assert engine.idle
