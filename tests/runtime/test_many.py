"""Much of one kind, on a real file: what has no limit of its own. Larger numbers are measured by ``make bench``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from durable import Context, Engine, ObjectContext, Service, State, VirtualObject, handler
from durable.options import Options

STATES = [State(int, name=f"state {n}") for n in range(1_000)]
STEPS = 5_000
"""Of one handler: twice as many entries."""


class Wide(VirtualObject):
    @handler
    async def fill(self, ctx: ObjectContext) -> None:
        for n, state in enumerate(STATES):
            ctx.set(state, n)

    @handler
    async def sum(self, ctx: ObjectContext) -> int:
        return sum([await ctx.get(state) or 0 for state in STATES])

    @handler
    async def empty(self, ctx: ObjectContext) -> int:
        ctx.clear_all()
        return len(await ctx.state_keys())


class Long(Service):
    def __init__(self) -> None:
        self.ran = 0

    @handler
    async def walk(self, ctx: Context) -> int:
        for n in range(STEPS):
            await ctx.run(f"step {n}", self.step)
        await ctx.sleep(timedelta(milliseconds=10))
        return await ctx.run("last", self.step)

    async def step(self) -> int:
        self.ran += 1
        return self.ran


async def test_a_key_with_a_thousand_states(tmp_path: Path) -> None:
    async with Engine(tmp_path / "db", Wide()) as engine:
        await engine.call(Wide.fill, "mary")
    async with Engine(tmp_path / "db", Wide()) as engine:
        assert await engine.call(Wide.sum, "mary") == sum(range(1_000))
        assert await engine.call(Wide.empty, "mary") == 0
        assert await engine.call(Wide.sum, "mary") == 0


async def test_a_journal_of_ten_thousand_entries_is_replayed_and_no_step_runs_again(tmp_path: Path) -> None:
    long = Long()
    async with Engine(tmp_path / "db", long, options=Options(inactivity=timedelta(0), durability="process")) as engine:
        assert await engine.call(Long.walk) == STEPS + 1

    assert long.ran == STEPS + 1
