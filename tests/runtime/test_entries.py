"""Every kind of journal entry three times: it suspends, it completes, it replays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple

import pytest

from durable import Context, Options, TerminalError, settled
from durable.testing import TestEngine
from tests.runtime.flows import Approval, Counter, Plain, Program, World

HOUR = timedelta(hours=1)
AT_ONCE = Options(inactivity=timedelta(0))
"""Whoever waits is suspended."""


class Case(NamedTuple):
    name: str
    program: Callable[[World], Program]
    result: str
    poke: Callable[[TestEngine, World], Awaitable[None]] | None = None
    """What must happen outside before it completes; ``None``: nothing, it does not wait."""


async def pass_time(engine: TestEngine, world: World) -> None:
    await engine.skip(HOUR)


async def resolve(engine: TestEngine, world: World) -> None:
    await engine.awakeable(world.awakeables[0]).resolve("paid")


async def reject(engine: TestEngine, world: World) -> None:
    await engine.awakeable(world.awakeables[0]).reject("broke")


async def decide(engine: TestEngine, world: World) -> None:
    await engine.call(Approval.decide, "w", "yes")


def sleep(world: World) -> Program:
    async def program(ctx: Context) -> object:
        return await ctx.sleep(HOUR)

    return program


def run(world: World) -> Program:
    async def program(ctx: Context) -> object:
        return await ctx.run("charge", world.step, "charge")

    return program


def failing_run(world: World) -> Program:
    async def program(ctx: Context) -> object:
        try:
            return await ctx.run("charge", world.fail)
        except TerminalError as error:
            return error.status

    return program


def call(world: World) -> Program:
    async def program(ctx: Context) -> object:
        return await ctx.call(Counter.add_slowly, "k", 3)

    return program


def failing_call(world: World) -> Program:
    async def program(ctx: Context) -> object:
        try:
            return await ctx.call(Counter.fail_after_set, "k")
        except TerminalError as error:
            return error.status

    return program


def send(world: World) -> Program:
    async def program(ctx: Context) -> object:
        ctx.send(Counter.add, "k", 3)
        return ctx.send_later(HOUR, Counter.add, "k", 3).id.startswith("inv_1")

    return program


def awakeable(world: World) -> Program:
    async def program(ctx: Context) -> object:
        paid = ctx.awakeable(str)
        world.awakeables.append(paid.id)
        try:
            return await paid
        except TerminalError as error:
            return str(error)

    return program


def complete_awakeable(world: World) -> Program:
    async def program(ctx: Context) -> object:
        mine = ctx.awakeable(str)
        ctx.resolve_awakeable(mine.id, "self")
        other = ctx.awakeable(str)
        ctx.reject_awakeable(other.id, "self")
        failures = await settled(other)
        return [await mine, *map(str, failures)]

    return program


def signal(world: World) -> Program:
    async def program(ctx: Context) -> object:
        ctx.send_signal(ctx.invocation_id, "go", 1)
        ctx.send_signal(ctx.invocation_id, "go", 2)
        return [await ctx.signal("go", int), await ctx.signal("go", int)]

    return program


def attach(world: World) -> Program:
    async def program(ctx: Context) -> object:
        sent = ctx.send(Counter.add_slowly, "k", 4)
        return await ctx.attach(sent.id, int)

    return program


def output(world: World) -> Program:
    async def program(ctx: Context) -> object:
        sent = ctx.send(Counter.add_slowly, "k", 4)
        try:
            early = await ctx.output(sent.id, int)
        except TerminalError as error:
            early = error.status
        return [early, await ctx.attach(sent.id, int), await ctx.output(sent.id, int)]

    return program


def attach_to_nothing(world: World) -> Program:
    async def program(ctx: Context) -> object:
        try:
            return await ctx.attach("inv_1" + "0" * 33, int)
        except TerminalError as error:
            return error.status

    return program


def workflow(world: World) -> Program:
    async def program(ctx: Context) -> object:
        return await ctx.call(Approval.run, "w")

    return program


def promises(world: World) -> Program:
    async def program(ctx: Context) -> object:
        before = await ctx.call(Approval.peek, "v")
        await ctx.call(Approval.decide, "v", "no")
        return [before, await ctx.call(Approval.peek, "v"), await ctx.call(Approval.run, "v")]

    return program


def state(world: World) -> Program:
    async def program(ctx: Context) -> object:
        await ctx.call(Counter.add, "k", 2)
        return [await ctx.call(Counter.add, "k", 2), await ctx.call(Counter.forget, "k")]

    return program


def chance(world: World) -> Program:
    async def program(ctx: Context) -> object:
        first = (ctx.random.random(), ctx.uuid(), await ctx.now())
        await ctx.sleep(HOUR)
        again = await ctx.now()
        return len({*first, again}) == 4 and again - first[2] == HOUR

    return program


CASES = [
    Case("sleep", sleep, "None", pass_time),
    Case("run", run, "'CHARGE'"),
    Case("failing run", failing_run, "418"),
    Case("call", call, "3", pass_time),
    Case("failing call", failing_call, "409"),
    Case("send", send, "True"),
    Case("resolved awakeable", awakeable, "'paid'", resolve),
    Case("rejected awakeable", awakeable, "'broke'", reject),
    Case("complete awakeable", complete_awakeable, "['self', 'self']"),
    Case("signal", signal, "[1, 2]"),
    Case("attach", attach, "4", pass_time),
    Case("output", output, "[470, 4, 4]", pass_time),
    Case("attach to nothing", attach_to_nothing, "404"),
    Case("workflow and promise", workflow, "'yes'", decide),
    Case("promises", promises, "[None, 'no', 'no']"),
    Case("state", state, "[4, ['count', 'note', 'count']]"),
    Case("chance and time", chance, "True", pass_time),
]
WAITING = [case for case in CASES if case.poke]


def engine_for(case: Case, world: World, options: Options | None = None, old: TestEngine | None = None) -> TestEngine:
    services = (Plain(world, case.program(world)), Counter(), Approval())
    return TestEngine(*services, options=options, after=old)


@pytest.mark.parametrize("case", WAITING, ids=lambda case: case.name)
async def test_it_suspends_until_it_is_answered(case: Case) -> None:
    world = World()
    async with engine_for(case, world, AT_ONCE) as engine:
        sent = await engine.send(Plain.go)
        await engine.settle()
        await engine.skip(timedelta(0))
        assert await sent.status() == "suspended"
        assert case.poke

        await case.poke(engine, world)

        assert await sent.result() == case.result


@pytest.mark.parametrize("options", [None, AT_ONCE], ids=["resident", "suspending"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_it_completes(case: Case, options: Options | None) -> None:
    world = World()
    async with engine_for(case, world, options) as engine:
        sent = await engine.send(Plain.go)
        await engine.settle()
        if case.poke:
            await case.poke(engine, world)

        assert await sent.result() == case.result


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_it_replays_to_the_same_result_and_runs_no_recorded_step(case: Case) -> None:
    world = World()
    async with engine_for(case, world) as engine:
        sent = await engine.send(Plain.go_then_wait)
        await engine.settle()
        if case.poke:
            await case.poke(engine, world)
        await engine.settle()
        ran = list(world.ran)

    async with engine_for(case, world, old=engine) as engine:
        await engine.settle()
        await engine.awakeable(world.awakeables[-1]).resolve("open")

        assert await engine.invocation(sent.id).result() == f"{case.result} open"
        assert world.ran == ran
