"""Deadlocks are found when the call is made; why an invocation waits can be asked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from durable import Context, ObjectContext, Options, Service, TerminalError, VirtualObject, handler, select
from durable.testing import TestEngine
from tests.runtime.flows import Approval, Counter

HOUR = timedelta(hours=1)


class Knot(VirtualObject):
    @handler
    async def itself(self, ctx: ObjectContext) -> int:
        return await ctx.call(Knot.itself, ctx.key)

    @handler
    async def call(self, ctx: ObjectContext, keys: list[str]) -> str:
        if not keys:
            return "untied"
        return await ctx.call(Knot.call, keys[0], keys[1:])

    @handler
    async def through(self, ctx: ObjectContext) -> str:
        return await ctx.call(Between.back, ctx.key)

    @handler
    async def attach(self, ctx: ObjectContext, id: str) -> str:
        return await ctx.attach(id, str)

    @handler
    async def wait(self, ctx: ObjectContext) -> None:
        await ctx.sleep(HOUR)


class Between(Service):
    @handler
    async def back(self, ctx: Context, key: str) -> str:
        return await ctx.call(Knot.call, key, [])


@pytest.mark.parametrize("options", [None, Options(inactivity=timedelta(0))], ids=["resident", "suspending"])
@pytest.mark.parametrize(
    ("call", "circle"),
    [
        ((Knot.itself, "a"), "deadlock: Knot/a/itself -> Knot/a/itself;"),
        ((Knot.through, "a"), "deadlock: Between/back -> Knot/a/through -> Between/back;"),
        ((Knot.call, "a", ["b", "c", "a"]), "deadlock: Knot/c/call -> Knot/a/call -> Knot/b/call -> Knot/c/call;"),
    ],
    ids=["self", "through a service", "a circle of three"],
)
async def test_a_call_that_would_wait_for_ever_fails_with_the_circle(
    call: tuple[object, ...], circle: str, options: Options | None
) -> None:
    async with TestEngine(Knot(), Between(), options=options) as engine:
        with pytest.raises(TerminalError) as error:
            await engine.call(*call)

        assert error.value.status == 409
        assert str(error.value).startswith(circle)


async def test_attaching_to_oneself_is_a_deadlock() -> None:
    async with TestEngine(Selfish()) as engine:
        with pytest.raises(TerminalError, match="deadlock: Selfish/go -> Selfish/go"):
            await engine.call(Selfish.go)


class Selfish(Service):
    @handler
    async def go(self, ctx: Context) -> str:
        return await ctx.attach(ctx.invocation_id, str)


async def test_waiting_for_a_key_that_will_be_free_is_none() -> None:
    async with TestEngine(Knot(), Between()) as engine:
        await engine.send(Knot.wait, "b")
        sent = await engine.send(Knot.call, "a", ["b"])
        await engine.skip(HOUR)

        assert await sent.result() == "untied"


async def test_why_follows_keys_calls_and_timers() -> None:
    async with TestEngine(Knot(), Between()) as engine:
        await engine.send(Knot.wait, "c")
        await engine.send(Knot.call, "b", ["c"])
        sent = await engine.send(Knot.call, "a", ["b"])
        await engine.settle()

        why = await sent.why()

        lines = [line.strip().split(" (")[0] for line in str(why).splitlines()]
        assert lines == [
            "Knot/a/call",
            "a call has no outcome",
            "Knot/b/call",
            "the key Knot/b is held",
            "Knot/b/call",
            "a call has no outcome",
            "Knot/c/call",
            "the key Knot/c is held",
            "Knot/c/wait",
            "a timer has not fired",
        ]


async def test_why_names_promises_schedules_and_pauses() -> None:
    async with TestEngine(Approval(), Counter(), Knot()) as engine:
        run = await engine.send(Approval.run, "w")
        later = await engine.send_later(HOUR, Counter.add, "k", 1)
        paused = await engine.send(Knot.wait, "k")
        await engine.settle()
        await paused.pause()

        said = [str((await each.why()).reasons[0].what) for each in (run, later, paused)]

        assert said == [
            "promise 'answer' is not completed",
            "its time to start has not come",
            "it is paused until it is resumed: a person paused it",
        ]


async def test_nothing_holds_back_what_is_completed() -> None:
    async with TestEngine(Counter()) as engine:
        sent = await engine.send(Counter.add, "k", 1)
        await sent.result()

        assert (await sent.why()).reasons == []


class Asker(Service):
    @handler
    async def ask(self, ctx: Context) -> str:
        first, second = ctx.awakeable(str), ctx.awakeable(str)
        name, answer = await select(first=first, second=second, told=ctx.signal("told", str)).or_timeout(HOUR)
        return f"{name}: {answer}"


@pytest.mark.parametrize("inactivity", [timedelta(0), HOUR])
async def test_why_names_awakeables_and_signals(inactivity: timedelta) -> None:
    options = Options(inactivity=inactivity)
    async with TestEngine(Asker(), options=options) as engine:
        sent = await engine.send(Asker.ask)
        await engine.settle()
        before = await sent.why()

        async with TestEngine(Asker(), options=options, after=engine) as restarted:
            await restarted.settle()
            after = await restarted.invocation(sent.id).why()
            await restarted.invocation(sent.id).signal("told", "yes")

            assert await restarted.invocation(sent.id).result() == "told: yes"

    said = [reason.what for reason in before.reasons]
    assert said == [
        "awakeable 1 of this invocation is not completed",
        "awakeable 2 of this invocation is not completed",
        "signal 'told' has not arrived",
        "a timer has not fired",
    ]
    assert [reason.what for reason in after.reasons] == said
