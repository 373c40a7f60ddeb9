"""What an engine does with the invocations that were running when the last one died."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest

from durable import Context, ObjectContext, Options, Service, VirtualObject, handler
from durable.core import suspects
from durable.core.ids import write_invocation
from durable.core.suspects import FREE, Suspect
from durable.testing import TestEngine
from durable.testing.audit import audit_disk

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
OPTIONS = Options(grace=timedelta(0))


@pytest.fixture(autouse=True)
def short_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspects, "SHORTEST_MS", 20)


class Work(Service):
    def __init__(self) -> None:
        self.begun = 0
        self.released = asyncio.Event()
        self.engine: TestEngine | None = None

    @handler
    async def hang(self, ctx: Context) -> str:
        await ctx.run("hang", self._hang)
        return "done"

    @handler
    async def sleep(self, ctx: Context) -> None:
        await ctx.sleep(MINUTE)

    @handler
    async def known(self, ctx: Context) -> bool:
        """Whether it is on the disk when it begins."""
        assert self.engine is not None
        return ctx.invocation_id in {write_invocation(id) for id in self.engine.disk.numbers}

    async def _hang(self) -> None:
        self.begun += 1
        await self.released.wait()


async def hang() -> None:
    await asyncio.Event().wait()


class Till(VirtualObject):
    @handler
    async def open(self, ctx: ObjectContext) -> None:
        await ctx.run("hang", hang)

    @handler
    async def look(self, ctx: ObjectContext) -> str:
        return "looked"


async def turns() -> None:
    """Enough for all that can move: a step that hangs never lets an engine settle."""
    for _ in range(300):
        await asyncio.sleep(0)


async def skip(engine: TestEngine, duration: timedelta) -> None:
    for _ in range(60):
        engine.clock.move_to(engine.clock.now_ms() + round(duration.total_seconds() * 1000 / 60))
        await turns()


async def die(engine: TestEngine) -> None:
    """As a process does that is killed: nothing more is written."""
    await turns()
    await skip(engine, SECOND / 10)  # what was decided is on the disk
    assert engine._running is not None
    engine._running.kernel.writer.fail(RuntimeError("killed"))
    await engine.__aexit__()
    engine.disk.clean = False


@asynccontextmanager
async def again(work: Work, engine: TestEngine, deaths: int = 1) -> AsyncIterator[TestEngine]:
    """The engine after so many deaths."""
    for _ in range(deaths):
        await die(engine)
        work.engine = engine = TestEngine(work, Till(), after=engine, options=OPTIONS)
        await engine.__aenter__()
        await turns()
    yield engine
    await engine.__aexit__()


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
async def engine(work: Work) -> TestEngine:
    return await TestEngine(work, Till(), options=OPTIONS).__aenter__()


def convict(engine: TestEngine) -> None:
    """One death alone more, and it is enough."""
    (n, seen), *_ = engine.disk.suspects.items()
    engine.disk.suspects[n] = msgspec.structs.replace(seen, deaths=3, alone=1, trial=1)


async def test_after_an_engine_that_was_closed_nobody_is_suspected(work: Work, engine: TestEngine) -> None:
    await engine.send(Work.hang)
    await turns()
    await engine.__aexit__()

    async with TestEngine(work, after=engine, options=OPTIONS) as second:
        await turns()
        assert (work.begun, second.disk.suspects) == (2, {})


async def test_a_first_death_is_counted_and_everybody_is_started(work: Work, engine: TestEngine) -> None:
    await engine.send(Work.hang)

    async with again(work, engine) as second:
        assert work.begun == 2
        assert second.disk.suspects == {1: Suspect(n=1, position=0, epoch=2)}


async def test_whoever_survives_its_trial_goes_on(work: Work, engine: TestEngine) -> None:
    sent = await engine.send(Work.hang)

    async with again(work, engine, deaths=2) as third:
        assert third.disk.suspects == {1: Suspect(n=1, deaths=2, position=0, epoch=3, trial=FREE)}
        work.released.set()
        assert await third.invocation(sent.id).result() == "done"


async def test_how_long_it_survives_is_written_down(work: Work, engine: TestEngine) -> None:
    await engine.send(Work.hang)

    async with again(work, engine) as second:
        await skip(second, 5 * SECOND)
        assert second.disk.suspects[1].survived_ms >= 1000


async def test_whoever_gets_on_is_no_suspect_any_more(work: Work, engine: TestEngine) -> None:
    await engine.send(Work.hang)

    async with again(work, engine) as second:
        work.released.set()
        await skip(second, MINUTE)
        assert second.disk.suspects == {}


async def test_whoever_waits_on_trial_is_suspended(work: Work, engine: TestEngine) -> None:
    sent = await engine.send(Work.sleep)

    async with again(work, engine, deaths=2) as third:
        assert await third.invocation(sent.id).status() == "suspended"
        assert third.disk.suspects == {}
        await skip(third, 2 * MINUTE)
        assert await third.invocation(sent.id).status() == "completed"


async def test_whoever_is_caught_is_paused_and_keeps_its_key(work: Work, engine: TestEngine) -> None:
    sent = await engine.send(Till.open, "east")
    await engine.send(Till.look, "east")
    async with again(work, engine) as second:
        convict(second)
        async with again(work, second) as third:
            caught = third.invocation(sent.id)
            assert await caught.status() == "paused"
            assert "died 4 times while this invocation ran" in str(await caught.why())
            assert await third.call(Till.look, "west") == "looked"
            assert third.disk.suspects == {}
            assert audit_disk(third.disk).clean


async def test_a_resume_begins_the_count_anew(work: Work, engine: TestEngine) -> None:
    sent = await engine.send(Work.hang)
    async with again(work, engine) as second:
        convict(second)
        async with again(work, second) as third:
            await third.invocation(sent.id).resume()

            async with again(work, third) as fourth:
                assert await fourth.invocation(sent.id).status() == "running"
                assert fourth.disk.suspects[1].deaths == 1


async def test_a_purge_leaves_no_suspect(work: Work, engine: TestEngine) -> None:
    sent = await engine.send(Work.hang)
    async with again(work, engine) as second:
        await second.invocation(sent.id).kill()
        await second.invocation(sent.id).purge()

        assert (second.disk.suspects, second.disk.invocations) == ({}, {})


async def test_for_half_a_minute_after_a_death_nobody_runs_whom_the_disk_does_not_know(
    work: Work, engine: TestEngine
) -> None:
    async with again(work, engine) as second:
        assert await second.call(Work.known)
        await skip(second, MINUTE)
        assert not await second.call(Work.known)
