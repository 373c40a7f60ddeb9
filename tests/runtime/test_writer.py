"""Group commit: who waits for a decision is told once it is on the disk, whatever else happens."""

from __future__ import annotations

import asyncio

import pytest

from durable import Context, Service, handler
from durable.core.invocation import Commit, Timer
from durable.core.ledger import Ledger
from durable.errors import EngineStoppedError
from durable.runtime import writer
from durable.runtime.writer import Writer
from durable.store.memory import MemoryDisk, MemoryStore
from durable.testing import TestEngine
from durable.testing.clock import TestClock
from durable.testing.crash import CrashingStore


class GatedStore(MemoryStore):
    """Commits once its gate is open, or fails."""

    def __init__(self) -> None:
        super().__init__(MemoryDisk())
        self.begun, self.gate = asyncio.Event(), asyncio.Event()
        self.error: Exception | None = None

    async def commit(self, commit: Commit, /) -> None:
        self.begun.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error


class Bench:
    def __init__(self) -> None:
        self.ledger, self.store = Ledger({}, last_n=0, last_place=0), GatedStore()
        self.stopped: list[BaseException] = []
        self.writer = Writer(self.ledger, self.store, TestClock(), self.stopped.append)

    def change(self) -> int:
        self.ledger.disarm(Timer(1, 1, self.ledger.number))
        return self.writer.decided()

    async def wait_for(self, number: int) -> asyncio.Task[None]:
        task = asyncio.create_task(self.writer.until(number))
        await asyncio.sleep(0)
        return task


async def test_a_decision_that_changed_nothing_is_told_when_the_engine_closes() -> None:
    bench = Bench()
    first = await bench.wait_for(bench.change())
    await bench.store.begun.wait()
    second = await bench.wait_for(bench.writer.decided())

    closing = asyncio.create_task(bench.writer.close())
    await asyncio.sleep(0)
    bench.store.gate.set()
    await closing

    await asyncio.gather(first, second)


async def test_a_callback_comes_with_the_commit_and_at_once_after_it() -> None:
    bench, called = Bench(), list[str]()
    number = bench.change()
    bench.writer.when(number, lambda: called.append("with"))
    await bench.store.begun.wait()
    before = list(called)
    bench.store.gate.set()
    await bench.writer.until(number)
    bench.writer.when(number, lambda: called.append("after"))

    assert (before, called) == ([], ["with", "after"])
    await bench.writer.close()


async def test_a_failed_commit_tells_nobody_that_it_succeeded() -> None:
    bench, called = Bench(), list[str]()
    number = bench.change()
    bench.writer.when(number, lambda: called.append("told"))
    waiting = await bench.wait_for(number)
    bench.store.error = OSError("disk full")
    bench.store.gate.set()

    with pytest.raises(EngineStoppedError, match="disk full"):
        await waiting
    bench.writer.when(number, lambda: called.append("told"))
    assert called == []
    assert [str(error) for error in bench.stopped] == ["disk full"]


async def test_a_callback_that_fails_stops_the_engine() -> None:
    bench = Bench()
    bench.store.gate.set()
    number = bench.change()

    def fail() -> None:
        raise RuntimeError("a defect")

    bench.writer.when(number, fail)
    await asyncio.wait([bench.writer._task])

    assert [str(error) for error in bench.stopped] == ["a defect"]


async def test_memory_that_is_far_ahead_of_the_disk_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MOST_AHEAD", 10)
    bench = Bench()
    for _ in range(10):
        bench.change()
    assert not bench.writer.is_behind
    await bench.writer.catch_up()  # nothing to wait for
    bench.change()
    assert bench.writer.is_behind

    caught_up = asyncio.ensure_future(bench.writer.catch_up())
    await bench.store.begun.wait()
    assert not caught_up.done()
    bench.store.gate.set()
    await caught_up

    assert bench.writer.durable >= 5
    await bench.writer.close()


async def test_nobody_waits_for_a_disk_that_will_not_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MOST_AHEAD", 0)
    bench = Bench()
    bench.change()
    caught_up = asyncio.ensure_future(bench.writer.catch_up())
    bench.store.error = OSError("gone")
    bench.store.gate.set()

    await caught_up

    assert bench.stopped


class Many(Service):
    @handler
    async def one(self, ctx: Context, number: int) -> int:
        return number

    @handler
    async def all(self, ctx: Context, count: int) -> int:
        return sum(await ctx.map(Many.one, range(count), concurrency=20))


class SlowStore(CrashingStore):
    """A commit takes many turns of the loop, so that decisions could run ahead."""

    async def commit(self, commit: Commit, /) -> None:
        for _ in range(300):
            await asyncio.sleep(0)
        await super().commit(commit)


async def test_handlers_run_only_so_far_ahead_of_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MOST_AHEAD", 60)
    engine = TestEngine(Many())
    engine._store = SlowStore(engine.disk, None, written=False)
    async with engine:
        kernel, gaps = engine._open.kernel, list[int]()
        take = kernel.writer._take

        def taken() -> tuple[Commit, int]:
            gaps.append(kernel.ledger.number - kernel.writer.durable)
            return take()

        monkeypatch.setattr(kernel.writer, "_take", taken)
        assert await engine.call(Many.all, 300) == 300 * 299 / 2

    assert max(gaps) <= 60 + 3 * 20  # what was under way then ends
