"""What a handler costs: n sequential runs, n + 1 commits from accept to reply; nothing else adds one.

Commits are counted at the store, and the fsyncs of a process at the kernel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from durable import Context, Engine, ObjectContext, Service, State, VirtualObject, handler, select
from durable.core.invocation import Commit
from durable.runtime.writer import LINGER_MS
from durable.store import Store
from durable.store.sqlite import SQLiteStore
from durable.testing import TestEngine
from tests.syncs import counted

MOMENT = timedelta(milliseconds=1)


async def bump(n: int) -> int:
    return n + 1


class Steps(Service):
    @handler
    async def sequential(self, ctx: Context, count: int) -> int:
        n = 0
        for _ in range(count):
            n = await ctx.run("bump", bump, n)
        return n

    @handler
    async def everything_but_run(self, ctx: Context) -> int:
        ctx.send(Box.add, "sent", 1)
        ctx.send_later(timedelta(days=1), Box.add, "later", 1)
        awakeable = ctx.awakeable(int)
        ctx.resolve_awakeable(awakeable.id, 4)
        total = await ctx.call(Box.add, "k", 2) + await ctx.call(Box.add, "k", 3)
        await select(done=awakeable, late=ctx.call(Box.add, "k", 1))
        await ctx.now()
        return total

    @handler
    async def naps(self, ctx: Context) -> None:
        await ctx.sleep(MOMENT)
        await ctx.sleep(MOMENT)


class Box(VirtualObject):
    total = State(int, default=int)
    old = State(int)

    @handler
    async def add(self, ctx: ObjectContext, n: int) -> int:
        total = await ctx.get(self.total) + n
        ctx.set(self.total, total)
        ctx.clear(self.old)
        return total

    @handler
    async def add_in_steps(self, ctx: ObjectContext, n: int) -> int:
        ctx.set(self.total, await ctx.run("bump", bump, n))
        ctx.set(self.total, await ctx.run("bump", bump, await ctx.get(self.total)))
        return await ctx.get(self.total)


Work = Callable[[Engine], Awaitable[object]]


async def commits_of(work: Work) -> int:
    async with TestEngine(Steps(), Box()) as engine:
        await work(engine)
        return engine.commits


@pytest.mark.parametrize("runs", range(6))
async def test_n_sequential_runs_cost_n_plus_one_commits(runs: int) -> None:
    assert await commits_of(lambda engine: engine.call(Steps.sequential, runs)) == runs + 1


async def test_state_costs_no_commit_of_its_own() -> None:
    assert await commits_of(lambda engine: engine.call(Box.add, "k", 1)) == 1
    assert await commits_of(lambda engine: engine.call(Box.add_in_steps, "k", 1)) == 3


async def test_calls_sends_and_awakeables_cost_no_commit_of_their_own() -> None:
    assert await commits_of(lambda engine: engine.call(Steps.everything_but_run)) == 1


async def test_a_sleep_costs_no_commit_of_its_own() -> None:
    async with TestEngine(Steps(), Box()) as engine:
        sent = await engine.send(Steps.naps)
        await engine.settle()
        accepted = engine.commits

        await engine.skip(2 * MOMENT)
        await sent.result()

        assert engine.commits - accepted == 1  # the outcome's


class Patient(Service):
    """Awaits something of its own: neither a step nor anything that the engine knows of."""

    def __init__(self) -> None:
        self.arrived, self.done = asyncio.Event(), asyncio.Event()

    @handler
    async def wait(self, ctx: Context) -> None:
        self.arrived.set()
        await self.done.wait()


@pytest.mark.parametrize(("waited", "commits"), [(LINGER_MS - 1, 1), (LINGER_MS, 2)])
async def test_a_handler_without_steps_costs_one_commit_unless_it_takes_long(waited: int, commits: int) -> None:
    patient = Patient()
    async with TestEngine(patient) as engine:
        call = asyncio.create_task(engine.call(Patient.wait))
        await patient.arrived.wait()
        engine.clock.move_to(engine.clock.now_ms() + waited)
        for _ in range(10):  # turns of the loop: a commit in memory takes fewer
            await asyncio.sleep(0)
        patient.done.set()
        await call

        assert engine.commits == commits


async def test_invocations_at_once_share_their_commits() -> None:
    async with TestEngine(Steps(), Box()) as engine:
        results = await asyncio.gather(*(engine.call(Steps.sequential, 3) for _ in range(50)))

        assert results == [3] * 50
        assert engine.commits == 4


class OnSQLite(TestEngine):
    """The clock of a test, so that no decision lingers; the store of production, and its commits counted."""

    def __init__(self, path: Path) -> None:
        super().__init__(Steps(), Box())
        self.sqlite = CountedSQLite(path)

    def _open_store(self) -> Store:
        return self.sqlite


class CountedSQLite(SQLiteStore):
    written = 0

    async def commit(self, commit: Commit, /) -> None:
        self.written += 1
        await super().commit(commit)


async def test_the_rule_holds_on_sqlite(tmp_path: Path) -> None:
    async with OnSQLite(tmp_path / "x.db") as engine:
        await engine.call(Steps.sequential, 4)

        assert engine.sqlite.written == 5


PROCESS = """
import asyncio, os, sys
from durable import Engine
from tests.runtime.test_fsync import Steps
from tests.syncs import Syncs

syncs = Syncs()

async def cost(engine, runs):
    before = syncs.count
    await engine.call(Steps.sequential, runs)
    return syncs.count - before

async def main():
    async with Engine(sys.argv[1], Steps()) as engine:
        for runs in (0, 1, 3, 5):
            # The first commit in a new log syncs the log's header too, and a process that is held up for 50 ms between
            # two steps writes the first one's result on its own.
            print(runs, min([await cost(engine, runs) for _ in range(5)]))

asyncio.run(main())
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.slow
def test_n_sequential_runs_cost_a_process_n_plus_one_fsyncs(tmp_path: Path) -> None:
    assert counted(PROCESS, tmp_path / "x.db").splitlines() == ["0 1", "1 2", "3 4", "5 6"]


@pytest.mark.slow
def test_durability_of_the_process_alone_costs_no_fsync(tmp_path: Path) -> None:
    relaxed = PROCESS.replace(
        "Engine(sys.argv[1], Steps())", 'Engine(sys.argv[1], Steps(), options=Options(durability="process"))'
    )
    relaxed = relaxed.replace("import Engine", "import Engine, Options")

    assert counted(relaxed, tmp_path / "x.db").splitlines() == ["0 0", "1 0", "3 0", "5 0"]
