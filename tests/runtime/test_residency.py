"""What is read into memory, when the read fails."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from durable.core.ids import InvocationId, write_invocation
from durable.core.invocation import Loaded
from durable.engine import Engine
from durable.errors import StoreError
from durable.store.memory import MemoryStore


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
