"""Group commit: who waits for a decision is told once it is on the disk, whatever else happens."""

from __future__ import annotations

import asyncio

import pytest

from durable.core.invocation import Commit, Timer
from durable.core.ledger import Ledger
from durable.errors import EngineStoppedError
from durable.runtime.writer import Writer
from durable.store.memory import MemoryDisk, MemoryStore
from durable.testing.clock import TestClock


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
