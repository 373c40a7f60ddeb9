"""A replay takes the recorded path, or stops where it leaves it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from durable import Context, Options, Service, TerminalError, gather, handler, select
from durable.testing import TestEngine

HOUR = timedelta(hours=1)
AT_ONCE = Options(inactivity=timedelta(0))
LAX = Options(inactivity=timedelta(0), strict=False)
Program = Callable[[Context], Awaitable[object]]


class Changed(Service):
    """A handler whose code is whatever the test says."""

    def __init__(self, program: Program) -> None:
        self.program = program

    @handler
    async def go(self, ctx: Context) -> str:
        return str(await self.program(ctx))


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> str:
        self.lines.append(line)
        return line


async def replayed_with(old: Program, new: Program) -> tuple[str, TestEngine]:
    """The status after a crash and a change of the code, while the old code was waiting."""
    async with TestEngine(Changed(old)) as before:
        sent = await before.send(Changed.go)
        await before.settle()
        async with TestEngine(Changed(new), after=before) as engine:
            await engine.settle()
            return await engine.invocation(sent.id).status(), engine


def paying(log: Log, *, name: str = "charge") -> Program:
    async def program(ctx: Context) -> object:
        await ctx.run(name, log.write, name)
        await ctx.sleep(HOUR)
        return await ctx.run("after", log.write, "after")

    return program


async def napping(ctx: Context) -> object:
    await ctx.sleep(HOUR)
    return None


async def leaving(ctx: Context) -> object:
    return "nothing"


async def failing(ctx: Context) -> object:
    raise TerminalError("no")


@pytest.mark.parametrize("change", [paying(Log(), name="pay"), napping, leaving, failing])
async def test_code_that_takes_another_path_is_paused(change: Program) -> None:
    status, _ = await replayed_with(paying(Log()), change)

    assert status == "paused"


async def test_nothing_past_the_difference_is_executed() -> None:
    log = Log()

    async def changed(ctx: Context) -> object:
        try:
            await ctx.run("other", log.write, "other")
        except BaseException:
            await ctx.run("handled", log.write, "handled")
        finally:
            ctx.send(Changed.go)
            await ctx.run("cleaned", log.write, "cleaned")
        return log.write("returned")

    status, _ = await replayed_with(paying(Log()), changed)

    assert (status, log.lines) == ("paused", [])


async def test_the_report_shows_both_sides_the_place_and_the_cause() -> None:
    _, engine = await replayed_with(paying(Log()), napping)

    [row] = engine.disk.invocations.values()
    assert row.failure is not None
    for part in ("entry 1", "Run(completion=1, name='charge')", "Sleep(completion=1)", "Changed/go", "test_replay.py:"):
        assert part in row.failure.message
    assert "clocks" in row.failure.message


@pytest.mark.parametrize(("change", "end"), [(leaving, ""), (failing, ", which ended with no")])
async def test_the_report_of_a_handler_that_ended_early_shows_where_and_with_what(change: Program, end: str) -> None:
    _, engine = await replayed_with(paying(Log()), change)

    [row] = engine.disk.invocations.values()
    assert row.failure is not None
    assert re.search(rf"in        Changed/go, .*test_replay\.py:\d+{end}\n", row.failure.message)


async def test_code_that_came_back_goes_on() -> None:
    log = Log()
    async with TestEngine(Changed(paying(log))) as before:
        sent = await before.send(Changed.go)
        await before.settle()

    async with TestEngine(Changed(paying(log)), after=before) as engine:
        await engine.skip(HOUR)

        assert await engine.invocation(sent.id).result() == "after"
        assert log.lines == ["charge", "after"]


async def test_select_has_the_same_winner_on_replay_when_both_are_there() -> None:
    winners: list[str] = []

    async def race(ctx: Context) -> object:
        late, early = ctx.sleep(2 * HOUR), ctx.sleep(HOUR)
        await gather(late, early)
        winner, _ = await select(late=late, early=early)
        winners.append(winner)
        await ctx.sleep(HOUR)
        return winner

    async with TestEngine(Changed(race), options=AT_ONCE) as engine:
        sent = await engine.send(Changed.go)
        await engine.skip(4 * HOUR)

        assert await sent.result() == "early"
        assert set(winners) == {"early"}


async def test_nested_combinators_agree_on_replay() -> None:
    async def nested(ctx: Context) -> object:
        a, b, c = ctx.sleep(HOUR), ctx.sleep(2 * HOUR), ctx.sleep(3 * HOUR)
        winner, _ = await select(pair=gather(a, b), quick=gather(a, c).or_timeout(timedelta(minutes=90)))
        return winner

    async with TestEngine(Changed(nested), options=AT_ONCE) as engine:
        sent = await engine.send(Changed.go)
        await engine.skip(5 * HOUR)

        with pytest.raises(TerminalError, match="no result within 1:30:00"):
            await sent.result()


async def test_futures_made_first_and_awaited_later_run_at_once() -> None:
    log, gate = Log(), asyncio.Event()

    async def both(ctx: Context) -> object:
        async def wait_for_the_other() -> str:
            await gate.wait()
            return log.write("first")

        async def open_the_gate() -> str:
            gate.set()
            return log.write("second")

        first = ctx.run("first", wait_for_the_other)
        second = ctx.run("second", open_the_gate)
        return f"{await first} {await second}"

    async with TestEngine(Changed(both)) as engine:
        assert await engine.call(Changed.go) == "first second"
        assert log.lines == ["second", "first"]


async def test_a_future_that_is_never_awaited_does_no_harm() -> None:
    async def careless(ctx: Context) -> object:
        ctx.run("never", asyncio.Event().wait)
        ctx.sleep(HOUR)
        ctx.awakeable(str)
        return "done"

    async with TestEngine(Changed(careless), options=LAX) as engine:
        assert await engine.call(Changed.go) == "done"
        await engine.skip(2 * HOUR)

        assert not engine.disk.timers


async def test_a_handler_that_swallows_its_suspension_does_no_harm() -> None:
    log = Log()

    async def stubborn(ctx: Context) -> object:
        while True:
            try:
                await ctx.sleep(HOUR)
            except BaseException:
                log.write("swallowed")
            else:
                break
        return await ctx.run("once", log.write, "once")

    async with TestEngine(Changed(stubborn), options=LAX) as engine:
        sent = await engine.send(Changed.go)
        await engine.skip(2 * HOUR)

        assert await sent.result() == "once"
        assert log.lines.count("once") == 1


async def test_what_a_handler_does_on_its_way_out_has_no_effect() -> None:
    log = Log()

    async def tidy(ctx: Context) -> object:
        try:
            await ctx.sleep(HOUR)
        finally:
            await ctx.run("tidy", log.write, "tidy")
        return "slept"

    async with TestEngine(Changed(tidy), options=AT_ONCE) as engine:
        sent = await engine.send(Changed.go)
        await engine.skip(timedelta(minutes=1))
        assert (await sent.status(), log.lines) == ("suspended", [])

        await engine.skip(HOUR)

        assert (await sent.result(), log.lines) == ("slept", ["tidy"])


class Impatient(Service):
    def __init__(self) -> None:
        self.arrived = asyncio.Event()

    @handler
    async def go(self, ctx: Context) -> str:
        ctx.send(Impatient.arrive)
        await self.arrived.wait()
        return "arrived"

    @handler
    async def arrive(self, ctx: Context) -> None:
        self.arrived.set()


async def test_a_command_is_decided_although_the_handler_waits_for_something_else() -> None:
    async with TestEngine(Impatient()) as engine:
        assert await engine.call(Impatient.go) == "arrived"


async def test_a_closing_engine_suspends_who_waits_so_that_the_next_one_has_nothing_to_recover() -> None:
    walks: list[str] = []

    async def program(ctx: Context) -> object:
        walks.append("walk")
        await ctx.sleep(HOUR)
        return "slept"

    async with TestEngine(Changed(program)) as before:
        sent = await before.send(Changed.go)
        await before.settle()
    async with TestEngine(Changed(program), after=before) as engine:
        await engine.settle()
        assert (await engine.invocation(sent.id).status(), walks) == ("suspended", ["walk"])
        await engine.skip(HOUR)

        assert await engine.invocation(sent.id).result() == "slept"
