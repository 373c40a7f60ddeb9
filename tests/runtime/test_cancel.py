"""Cancelling asks: the next await raises, and what was called is asked too."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from durable import (
    Context,
    InvocationCancelledError,
    ObjectContext,
    Options,
    Saga,
    Service,
    TerminalError,
    VirtualObject,
    handler,
)
from durable.errors import InvocationNotFoundError
from durable.testing import TestEngine

HOUR = timedelta(hours=1)


class Sleeper(VirtualObject):
    @handler
    async def sleep(self, ctx: ObjectContext) -> str:
        await ctx.sleep(HOUR)
        return "slept"


class Parent(Service):
    def __init__(self) -> None:
        self.undone: list[str] = []

    @handler
    async def call(self, ctx: Context) -> str:
        return await ctx.call(Sleeper.sleep, "called")

    @handler
    async def send(self, ctx: Context) -> str:
        sent = ctx.send(Sleeper.sleep, "sent")
        await ctx.sleep(HOUR)
        return sent.id

    @handler
    async def compensate(self, ctx: Context) -> str:
        async with Saga() as saga:
            saga.undo(lambda: ctx.run("undo", self.undone.append, "undo"))
            await ctx.sleep(HOUR)
        return "done"

    @handler
    async def survive(self, ctx: Context) -> str:
        try:
            await ctx.sleep(HOUR)
        except InvocationCancelledError:
            await ctx.sleep(HOUR)
            return "survived"
        return "not asked"

    @handler
    async def cancel_child(self, ctx: Context) -> str:
        child = ctx.call(Sleeper.sleep, "k")
        child.cancel()
        try:
            return await child
        except TerminalError as error:
            return f"{error.status} {error}"


@pytest.mark.parametrize("options", [None, Options(inactivity=timedelta(0))], ids=["resident", "suspending"])
async def test_a_cancelled_invocation_ends_with_409_unless_it_catches_it(options: Options | None) -> None:
    async with TestEngine(Parent(), Sleeper(), options=options) as engine:
        plain, survivor = await engine.send(Parent.call), await engine.send(Parent.survive)
        await engine.skip(timedelta(minutes=1))

        await plain.cancel()
        await survivor.cancel()
        await engine.skip(2 * HOUR)

        assert await survivor.result() == "survived"
        with pytest.raises(TerminalError, match="cancelled") as error:
            await plain.result()
        assert error.value.status == 409


async def test_compensations_run() -> None:
    parent = Parent()
    async with TestEngine(parent, Sleeper()) as engine:
        sent = await engine.send(Parent.compensate)
        await engine.settle()

        await sent.cancel()
        await engine.settle()

        assert (parent.undone, await sent.status()) == (["undo"], "completed")


async def test_what_was_called_is_cancelled_and_its_key_is_free() -> None:
    async with TestEngine(Parent(), Sleeper()) as engine:
        sent = await engine.send(Parent.call)
        await engine.settle()
        await sent.cancel()
        waiting = await engine.send(Sleeper.sleep, "called")

        await engine.skip(HOUR)

        assert await waiting.result() == "slept"


async def test_what_was_sent_is_not_cancelled() -> None:
    async with TestEngine(Parent(), Sleeper()) as engine:
        sent = await engine.send(Parent.send)
        await engine.settle()
        await sent.cancel()
        await engine.settle()
        waiting = await engine.send(Sleeper.sleep, "sent")
        await engine.settle()

        assert (await sent.status(), await waiting.status()) == ("completed", "pending")


async def test_what_waits_for_its_key_or_its_time_never_runs() -> None:
    async with TestEngine(Sleeper()) as engine:
        await engine.send(Sleeper.sleep, "k")
        pending = await engine.send(Sleeper.sleep, "k")
        scheduled = await engine.send_later(HOUR, Sleeper.sleep, "other")

        waiting = [asyncio.create_task(each.result()) for each in (pending, scheduled)]
        await engine.settle()

        await pending.cancel()
        await scheduled.cancel()

        for each in waiting:
            with pytest.raises(TerminalError, match="cancelled"):
                await each
        for each in (pending, scheduled):
            with pytest.raises(InvocationNotFoundError, match="or is forgotten: purged, cancelled before its start"):
                await each.result()
            with pytest.raises(InvocationNotFoundError):
                await each.status()


async def test_a_call_can_be_cancelled_through_its_future() -> None:
    async with TestEngine(Parent(), Sleeper()) as engine:
        assert await engine.call(Parent.cancel_child) == "409 cancelled"
