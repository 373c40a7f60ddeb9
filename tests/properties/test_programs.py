"""Random programs: replayed at every prefix, they do the same and run no recorded step again."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from durable import (
    EngineStoppedError,
    ObjectContext,
    Options,
    State,
    TerminalError,
    VirtualObject,
    gather,
    handler,
    select,
)
from durable.testing import TestEngine
from tests.examples import examples

Program = list[Any]
"""Commands as plain values; a list within is done by another program that is called."""

leaves = st.sampled_from(
    [
        "run",
        "fail",
        "sleep",
        "now",
        "uuid",
        "set",
        "get",
        "clear",
        "keys",
        "send",
        "later",
        "awake",
        "race",
        "both",
        "slow",
    ]
)
programs = st.recursive(
    st.lists(leaves, max_size=6), lambda inner: st.lists(st.one_of(leaves, inner), max_size=6), max_leaves=12
)


class World:
    """What steps did outside, by invocation and step."""

    def __init__(self) -> None:
        self.begun: Tally[tuple[str, int]] = Tally()

    async def step(self, where: tuple[str, int], n: int) -> int:
        self.begun[where] += 1
        return n * 2

    async def item(self, where: tuple[str, int]) -> int:
        return await self.step(where, where[1])

    async def never(self, where: tuple[str, int]) -> bool:
        """Each poll counts by itself."""
        key, n = where
        polls = sum(1 for other, place in self.begun if other == key and place // 100 == n + 1)
        self.begun[key, 100 * (n + 1) + polls] += 1
        return False

    async def refuse(self, where: tuple[str, int]) -> int:
        self.begun[where] += 1
        raise TerminalError("refused", status=418)


class Interpreter(VirtualObject):
    value = State(int, default=int)

    def __init__(self, world: World) -> None:
        self.world = world

    @handler
    async def work(self, ctx: ObjectContext, program: list[Any]) -> list[Any]:
        log: list[Any] = []
        for n, command in enumerate(program):
            if isinstance(command, list):
                log.append(await ctx.call(Interpreter.work, f"{ctx.key}.{n}", command))
            else:
                log.append(str(await self.do(ctx, command, n)))
        return log

    async def do(self, ctx: ObjectContext, command: str, n: int) -> object:
        where = (ctx.key, n)
        match command:
            case "run":
                return await ctx.run("step", self.world.step, where, n)
            case "fail":
                return await self.caught(ctx.run("refuse", self.world.refuse, where))
            case "sleep":
                return await ctx.sleep(timedelta(seconds=n + 1))
            case "now":
                return await ctx.now()
            case "uuid":
                return ctx.uuid()
            case _:
                return await self.combine(ctx, command, n)

    async def combine(self, ctx: ObjectContext, command: str, n: int) -> object:
        match command:
            case "race":
                return await select(quick=ctx.sleep(timedelta(seconds=1)), slow=ctx.sleep(timedelta(seconds=2)))
            case "both":
                return await gather(ctx.run("step", self.world.step, (ctx.key, n), n), ctx.sleep(timedelta(seconds=1)))
            case "slow":
                return await self.caught(ctx.sleep(timedelta(minutes=1)).or_timeout(timedelta(seconds=1)))
            case "each" | "poll":
                return await self.repeat(ctx, command, n)
            case _:
                return await self.keep(ctx, command, n)

    async def keep(self, ctx: ObjectContext, command: str, n: int) -> object:
        match command:
            case "set":
                return ctx.set(self.value, await ctx.get(self.value) + n)
            case "clear":
                return ctx.clear(self.value)
            case "keys":
                return await ctx.state_keys()
            case "send":
                return ctx.send(Interpreter.work, f"{ctx.key}.{n}", ["set", "run"]) and "sent"
            case "later":
                return ctx.send_later(timedelta(seconds=5), Interpreter.work, f"{ctx.key}.{n}", ["set"]) and "sent"
            case "awake":
                awakeable = ctx.awakeable(int)
                ctx.resolve_awakeable(awakeable.id, n)
                return await awakeable
            case _:
                return await ctx.get(self.value)

    async def repeat(self, ctx: ObjectContext, command: str, n: int) -> object:
        if command == "each":
            places = [(ctx.key, 100 * (n + 1) + i) for i in range(3)]
            return await ctx.map_run("item", self.world.item, places, concurrency=2)
        second = timedelta(seconds=1)
        return await self.caught(
            ctx.wait_until("never", self.world.never, (ctx.key, n), every=second, timeout=2.5 * second)
        )

    async def caught(self, future: Awaitable[object]) -> object:
        try:
            return await future
        except TerminalError as error:
            return error.status


async def outcome_of(
    world: World, program: Program, options: Options | None = None
) -> tuple[list[Any], int, TestEngine]:
    """The result without a crash, and how many commits it took."""
    async with TestEngine(Interpreter(world), options=options) as engine:
        work = Interpreter.work.options(idempotency_key="one")
        sent = await engine.send(work, "k", program)
        await engine.skip(timedelta(minutes=10))
        return await sent.result(), engine.commits, engine


async def crashed(world: World, program: Program, crash_at: int, after: bool) -> list[Any]:
    """The result with a crash at one commit; the client sends again until it has an answer."""
    first = TestEngine(Interpreter(world), crash_at=crash_at, written=after)
    work = Interpreter.work.options(idempotency_key="one")
    async with first:
        with suppress(EngineStoppedError):
            await first.send(work, "k", program)
            await first.skip(timedelta(minutes=10))
    assert (await first.audit()).findings == ()
    async with TestEngine(Interpreter(world), after=first) as engine:
        sent = await engine.send(work, "k", program)
        await engine.skip(timedelta(minutes=10))
        result = await sent.result()
    assert (await engine.audit()).findings == ()
    return result


def plain(log: Any) -> Any:
    """Without what differs between two engines: moments and random numbers."""
    if isinstance(log, list):
        return [plain(each) for each in log]
    return "varies" if str(log).count("-") >= 2 else log


@settings(max_examples=examples(60), deadline=None)
@given(programs)
def test_a_crash_at_any_commit_changes_no_result_and_repeats_at_most_what_was_open(program: Program) -> None:
    async def check() -> None:
        expected, commits, _ = await outcome_of(World(), program)
        for crash_at in range(1, commits + 1):
            for after in (False, True):
                world = World()
                assert plain(await crashed(world, program, crash_at, after)) == plain(expected)
                # Every step begins once, but for those that were open when the one crash came.
                assert all(count <= 2 for count in world.begun.values())

    anyio.run(check)


@settings(max_examples=examples(60), deadline=None)
@given(programs)
def test_handlers_that_are_suspended_at_every_await_do_the_same(program: Program) -> None:
    async def check() -> None:
        resident, suspending = World(), World()
        expected, _, _ = await outcome_of(resident, program)

        result, _, _ = await outcome_of(suspending, program, Options(inactivity=timedelta(0)))

        assert plain(result) == plain(expected)
        assert suspending.begun == resident.begun
        assert all(count == 1 for count in suspending.begun.values())

    anyio.run(check)
