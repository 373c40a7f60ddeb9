"""An engine that is closed leaves nothing behind: no thread, and no task."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from durable import Context, Engine, ObjectContext, Service, VirtualObject, handler
from durable.testing import TestEngine
from durable.threads import Idle


class Mail(Service):
    @handler
    async def send(self, ctx: Context, to: str) -> str:
        return await ctx.run("mail", str.upper, to)  # what is not async runs in a thread


class Cart(VirtualObject):
    @handler
    async def wait(self, ctx: ObjectContext) -> None:
        await ctx.sleep(timedelta(days=1))

    @handler
    async def hear(self, ctx: ObjectContext) -> None:
        await ctx.awakeable(str)


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread of engines that other tests left open, as a crash would."""
    monkeypatch.setattr("durable.threads._idle", Idle())


@pytest.fixture(params=["in memory", "in a file"])
def make_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Engine]:
    in_memory = request.param == "in memory"
    return lambda: TestEngine(Mail(), Cart()) if in_memory else Engine(tmp_path / "shop.db", Mail(), Cart())


def there() -> tuple[set[threading.Thread], set[asyncio.Task[object]]]:
    return set(threading.enumerate()), asyncio.all_tasks()


async def test_a_closed_engine_leaves_no_thread_and_no_task(make_engine: Callable[[], Engine]):
    before = there()
    async with make_engine() as engine:
        await asyncio.gather(*(engine.call(Mail.send, "ada") for _ in range(5)))
        await engine.send(Cart.wait, "jane")
        await engine.send(Cart.wait, "jane")
        await engine.send(Cart.hear, "john")
        during = there()

    assert during != before
    assert there() == before


async def test_an_engine_that_died_leaves_none_either():
    before = there()
    async with TestEngine(Mail(), Cart(), crash_at=2) as engine:
        await engine.send(Cart.wait, "jane")
        sent = [asyncio.create_task(engine.call(Mail.send, "ada")) for _ in range(5)]
        answers = await asyncio.gather(*sent, return_exceptions=True)

    assert any(isinstance(answer, Exception) for answer in answers)
    assert there() == before


async def test_nor_does_one_that_closes_while_its_steps_hang_and_its_keys_are_frozen():
    before = there()
    async with TestEngine(Mail(), Cart()) as engine:
        engine.faults.hang("mail")
        await engine.send(Mail.send, "ada")
        async with engine.freeze(Cart, "jane"):
            await engine.send(Cart.wait, "jane")

    assert there() == before


async def test_nor_does_one_that_could_not_be_opened(tmp_path: Path):
    (tmp_path / "shop.db").write_bytes(b"no database " * 100)
    before = there()

    with pytest.raises(Exception, match="not a database"):
        async with Engine(tmp_path / "shop.db", Mail()):
            pass

    assert there() == before
