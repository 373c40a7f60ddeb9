"""A disk that fills: new work is refused, what is known is told, and with room the engine goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from durable import Context, DiskFullError, Engine, EngineStoppedError, Service, handler
from durable.core.invocation import Commit
from durable.errors import InvocationNotFoundError
from durable.ingress import ingress
from durable.ingress.admin.app import admin
from durable.runtime.writer import FIRST_RETRY_MS, LONGEST_RETRY_MS
from durable.store import Store
from durable.store.connection import pragma
from durable.store.memory import MemoryDisk, MemoryStore
from durable.store.sqlite import SQLiteStore
from durable.testing import TestEngine
from tests.runtime.flows import Counter

LONG = timedelta(milliseconds=LONGEST_RETRY_MS)


class Steps(Service):
    def __init__(self) -> None:
        self.done: list[int] = []

    @handler
    async def work(self, ctx: Context, n: int) -> int:
        await ctx.run("do", self.done.append, n)
        return n

    @handler
    async def ask(self, ctx: Context) -> str:
        return await ctx.awakeable(str)


class FullStore(MemoryStore):
    full = False
    tries = 0

    async def commit(self, commit: Commit, /) -> None:
        self.tries += 1
        if self.full:
            raise DiskFullError("the disk of shop.db is full")
        await super().commit(commit)


class FullEngine(TestEngine):
    """With a disk that has room, or not."""

    def __init__(self, *, after: TestEngine | None = None) -> None:
        self.steps = Steps()
        super().__init__(Counter(), self.steps, after=after)
        self.full_store = FullStore(self.disk)

    def _open_store(self) -> Store:
        return self.full_store


@pytest.fixture
async def engine() -> AsyncGenerator[FullEngine]:
    async with FullEngine() as engine:
        yield engine
        engine.full_store.full = False


async def fill(engine: FullEngine) -> None:
    """The disk fills while a step's result is written."""
    engine.full_store.full = True
    with pytest.raises(DiskFullError, match=r"shop.db is full: what was asked for may be done or not.*make some"):
        await engine.send(Steps.work, 0)


async def test_whoever_waits_for_a_commit_is_told_that_the_disk_is_full(engine: FullEngine) -> None:
    engine.full_store.full = True
    sent, called = engine.send(Counter.add, "k", 1), engine.call(Counter.add, "k", 1)

    told = await asyncio.gather(sent, called, return_exceptions=True)

    assert [type(each) for each in told] == [DiskFullError, DiskFullError]


async def test_whoever_asks_again_for_what_is_not_on_the_disk_is_told_again(engine: FullEngine) -> None:
    again = Steps.work.options(idempotency_key="k")
    engine.full_store.full = True

    for _ in range(2):
        with pytest.raises(DiskFullError, match="send it again with the same idempotency key"):
            await engine.call(again, 1)

    engine.full_store.full = False
    await engine.skip(LONG)
    assert (await engine.call(again, 1), engine.steps.done) == (1, [1])


async def test_what_is_not_purged_on_the_disk_is_not_told_to_be_gone(engine: FullEngine) -> None:
    known = await engine.send(Counter.add, "k", 1)
    await known.result()
    engine.full_store.full = True
    with pytest.raises(DiskFullError):
        await known.purge()

    with pytest.raises(DiskFullError):
        await known.status()

    engine.full_store.full = False
    await engine.skip(LONG)
    with pytest.raises(InvocationNotFoundError):
        await known.status()


class HeldStore(MemoryStore):
    """Whose commits wait until they may go on."""

    def __init__(self, disk: MemoryDisk) -> None:
        super().__init__(disk)
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def commit(self, commit: Commit, /) -> None:
        await self.go_on.wait()
        await super().commit(commit)


class HeldEngine(TestEngine):
    def __init__(self) -> None:
        super().__init__(Steps())
        self.held_store = HeldStore(self.disk)

    def _open_store(self) -> Store:
        return self.held_store


async def test_what_is_asked_of_one_that_is_being_purged_is_not_done_to_the_next_of_its_id() -> None:
    async with HeldEngine() as engine:
        again = Steps.work.options(idempotency_key="k")
        known = await engine.send(again, 1)
        await known.result()
        engine.held_store.go_on.clear()
        asked = []
        for ask in (known.purge(), known.kill(), engine.send(again, 2)):
            asked.append(asyncio.ensure_future(ask))
            await asyncio.sleep(0)
        engine.held_store.go_on.set()

        _, killed, sent = await asyncio.gather(*asked, return_exceptions=True)

        assert (type(killed), sent.id) == (InvocationNotFoundError, known.id)
        assert await sent.result() == 2


ASKED: list[Callable[[FullEngine, str], Awaitable[object]]] = [
    lambda engine, id: engine.call(Counter.add, "other", 1),
    lambda engine, id: engine.send(Counter.add, "other", 1),
    lambda engine, id: engine.send_later(LONG, Counter.add, "other", 1),
    lambda engine, id: engine.invocation(id).cancel(),
    lambda engine, id: engine.invocation(id).purge(),
]


@pytest.mark.parametrize("ask", ASKED)
async def test_new_work_is_refused_while_the_disk_is_full(
    engine: FullEngine, ask: Callable[[FullEngine, str], Awaitable[object]]
) -> None:
    known = await engine.send(Counter.add, "k", 1)
    await known.result()
    await fill(engine)

    with pytest.raises(DiskFullError, match="nothing was accepted; make room on it, and ask again"):
        await ask(engine, known.id)

    engine.full_store.full = False
    await engine.skip(LONG)
    assert await engine.door.state("Counter", "other") == {}
    assert await known.result() == 1


async def test_what_is_known_is_told_while_the_disk_is_full(engine: FullEngine) -> None:
    keyed = Counter.add.options(idempotency_key="one")
    known = await engine.send(keyed, "k", 1)
    await known.result()
    await fill(engine)

    assert await known.output() == 1
    assert await known.status() == "completed"
    assert await engine.call(keyed, "k", 1) == 1
    assert await engine.door.state("Counter", "k") == {"count": b"1"}


async def test_whoever_waited_before_goes_on_waiting(engine: FullEngine) -> None:
    waiting = await engine.send(Steps.ask)
    await engine.settle()
    result = asyncio.create_task(waiting.result())
    await fill(engine)
    await engine.skip(LONG)

    assert not result.done()

    engine.full_store.full = False
    await engine.skip(LONG)
    await waiting.cancel()
    with pytest.raises(Exception, match="cancelled"):
        await result


async def test_no_step_begins_while_the_disk_is_full_and_each_does_once_there_is_room(engine: FullEngine) -> None:
    await fill(engine)
    await engine.skip(10 * LONG)
    begun = list(engine.steps.done)

    engine.full_store.full = False
    await engine.skip(LONG)

    assert (begun, engine.steps.done) == ([], [0])
    assert await engine.call(Steps.work, 1) == 1


async def test_the_disk_is_tried_less_and_less_often(engine: FullEngine) -> None:
    await fill(engine)
    before = engine.full_store.tries

    await engine.skip(timedelta(milliseconds=FIRST_RETRY_MS * (1 + 2 + 4)))
    assert engine.full_store.tries - before == 3
    await engine.skip(10 * LONG)

    assert engine.full_store.tries - before <= 3 + 2 + 10


async def test_an_engine_that_closes_on_a_full_disk_loses_nothing_that_it_acknowledged() -> None:
    engine = FullEngine()
    with suppress(EngineStoppedError):
        async with engine:
            assert await engine.call(Counter.add, "k", 1) == 1
            await fill(engine)

    async with FullEngine(after=engine) as engine:
        assert await engine.call(Counter.add, "k", 1) == 2
        assert engine.steps.done == []


async def test_over_http_new_work_is_a_503_and_reads_and_health_answer(engine: FullEngine) -> None:
    known = await engine.send(Counter.add, "k", 1)
    await known.result()
    await fill(engine)

    async with client(ingress(engine)) as outside, client(admin(engine)) as inside:
        refused = await outside.post("/Counter/k/add", json=1)
        output = await outside.get(f"/restate/invocation/{known.id}/output")
        attached = await outside.get(f"/restate/invocation/{known.id}/attach")
        healthy = await outside.get("/restate/health")
        purged = await inside.patch(f"/invocations/{known.id}/purge")
        state = await inside.get("/services/Counter/state?key=k")
        inside_health = await inside.get("/health")

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert "is full: nothing was accepted" in refused.json()["message"]
    assert (output.json(), attached.json()) == (1, 1)
    assert (healthy.status_code, healthy.json()["message"]) == (
        200, "the disk is full: nothing new is accepted until there is room",
    )  # fmt: skip
    assert (purged.status_code, inside_health.json()) == (503, {"message": healthy.json()["message"]})
    assert state.status_code == 200


def client(app: Callable[..., Awaitable[None]]) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


class OnSQLite(Engine):
    """Whose database may not grow beyond as many pages as a test says."""

    def __init__(self, path: Path) -> None:
        self.steps = Steps()
        super().__init__(path, Counter(), self.steps)
        self.store = SQLiteStore(path)
        self._make_store = lambda: self.store

    async def limit(self, pages: int) -> None:
        assert self.store._writer is not None
        await self.store._writer.run(pragma, self.store._writer._conn, f"max_page_count={pages}")


async def test_an_engine_on_sqlite_goes_on_when_there_is_room(tmp_path: Path) -> None:
    async with OnSQLite(tmp_path / "db") as engine:
        assert await engine.call(Counter.add, "k", 1) == 1
        await engine.limit(1)  # what it has, and no more
        refused = 0
        for n in range(200):
            try:
                await engine.send(Steps.work.options(idempotency_key=f"{n}"), n)
            except DiskFullError:
                refused += 1

        await engine.limit(1 << 30)
        results = [await engine_retries(engine, n) for n in range(200)]

        assert refused
        assert results == list(range(200))
        assert sorted(engine.steps.done) == list(range(200))
        assert await engine.call(Counter.add, "k", 1) == 2


async def engine_retries(engine: Engine, n: int) -> int:
    while True:
        try:
            return await engine.call(Steps.work.options(idempotency_key=f"{n}"), n)
        except DiskFullError:
            await asyncio.sleep(0.05)
