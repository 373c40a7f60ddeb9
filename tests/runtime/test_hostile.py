"""Whatever one handler does, the engine goes on for the others, and the handler's own invocation is accounted for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import timedelta

import pytest

from durable import (
    Context,
    EngineStoppedError,
    ObjectContext,
    ObjectSharedContext,
    Options,
    RetryableError,
    RetryPolicy,
    Service,
    State,
    TerminalError,
    VirtualObject,
    handler,
)
from durable.testing import TestEngine
from tests.runtime.flows import Approval, Counter

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SUSPENDING = Options(inactivity=timedelta(0))
LAX = Options(strict=False)
Program = Callable[[Context], Awaitable[object]]


class Any(Service):
    def __init__(self, program: Program) -> None:
        self.program = program

    @handler(retry=RetryPolicy(max_attempts=3))
    async def go(self, ctx: Context) -> str:
        return str(await self.program(ctx))


class Text(str):
    """Like markup: a str, and not quite."""


class Broken(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("no words")


class OutOfStock(TerminalError):
    def __init__(self, item: str) -> None:
        self.item = item


class Odd(BaseException):
    """Not an Exception."""


async def status_after(program: Program, options: Options | None = None) -> str:
    """How it stands a day later; the engine must still serve others."""
    async with TestEngine(Any(program), Counter(), Approval(), options=options) as engine:
        sent = await engine.send(Any.go)
        await engine.skip(DAY - HOUR)

        assert await engine.call(Counter.add, "other", 1) == 1
        return await sent.status()


async def raising(ctx: Context) -> object:
    raise Odd


async def raising_in_a_step(ctx: Context) -> object:
    async def body() -> None:
        raise Odd

    return await ctx.run("odd", body)


async def without_words(ctx: Context) -> object:
    raise Broken


async def at_length(ctx: Context) -> object:
    raise ValueError("x" * 1_000_000)


async def in_a_hurry(ctx: Context) -> object:
    raise RetryableError("busy", retry_after=5)


async def exiting(ctx: Context) -> object:
    raise SystemExit(3)


async def exiting_in_a_step(ctx: Context) -> object:
    return await ctx.run("exit", sys.exit, 1)


async def interrupted_in_a_step(ctx: Context) -> object:
    async def body() -> None:
        raise KeyboardInterrupt

    return await ctx.run("interrupt", body)


async def cancelling_itself(ctx: Context) -> object:
    task = asyncio.current_task()
    assert task
    task.cancel()
    await asyncio.sleep(0)
    return "not reached"


async def a_cancelled_step(ctx: Context) -> object:
    async def body() -> None:
        other = asyncio.create_task(asyncio.sleep(0))
        other.cancel()
        await other

    return await ctx.run("cancelled", body)


async def a_step_that_uses_a_closed_engine(ctx: Context) -> object:
    closed = TestEngine(Counter())
    return await ctx.run("closed", closed.call, Counter.read, "k")


@pytest.mark.parametrize(
    "program",
    [
        raising,
        raising_in_a_step,
        without_words,
        at_length,
        in_a_hurry,
        exiting,
        exiting_in_a_step,
        interrupted_in_a_step,
        cancelling_itself,
        a_cancelled_step,
        a_step_that_uses_a_closed_engine,
    ],
)
async def test_an_attempt_that_ends_oddly_is_a_failed_attempt(program: Program) -> None:
    assert await status_after(program, LAX) == "paused"


async def test_a_terminal_error_of_any_shape_reaches_the_caller() -> None:
    async def program(ctx: Context) -> object:
        raise OutOfStock("laptop")

    async with TestEngine(Any(program)) as engine:
        with pytest.raises(TerminalError, match="laptop") as error:
            await engine.call(Any.go)

        assert error.value.status == 500


async def test_a_suspension_may_leave_in_a_group() -> None:
    ids: list[str] = []

    async def program(ctx: Context) -> object:
        awakeable = ctx.awakeable(str)
        ids.append(awakeable.id)

        async def wait() -> str:
            return await awakeable

        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(wait())
        return waiting.result()

    async with TestEngine(Any(program), options=Options(inactivity=timedelta(0), strict=False)) as engine:
        sent = await engine.send(Any.go)
        await engine.skip(HOUR)
        assert await sent.status() == "suspended"

        await engine.awakeable(ids[0]).resolve("here")

        assert await sent.result() == "here"


async def test_text_and_bytes_of_a_subclass_are_plain_in_the_journal() -> None:
    async def program(ctx: Context) -> object:
        def body() -> Text:
            return Text("x")

        await ctx.call(Counter.add.options(headers={Text("h"): Text("v")}), Text("k"), 1)
        return await ctx.run(Text("step"), body)

    assert await status_after(program) == "completed"


async def test_an_identity_is_text() -> None:
    async with TestEngine(Counter()) as engine:
        with pytest.raises(TypeError, match="an identity is a str, got 42"):
            await engine.call(Counter.add.options(identity=42), "k", 1)


async def test_a_wait_that_is_given_up_does_not_count_as_waiting() -> None:
    gate = asyncio.Event()

    async def program(ctx: Context) -> object:
        awakeable = ctx.awakeable(str)
        task = asyncio.ensure_future(awakeable)
        await asyncio.sleep(0)
        task.cancel()
        await gate.wait()
        return "computed"

    async with TestEngine(Any(program), options=LAX) as engine:
        sent = await engine.send(Any.go)
        for _ in range(20):
            await asyncio.sleep(0)
        engine.clock.move_to(engine.clock.now_ms() + 3_600_000)  # far past the inactivity

        gate.set()

        assert await sent.result() == "computed"


async def test_a_handler_that_waits_after_a_step_is_suspended_too() -> None:
    async def program(ctx: Context) -> object:
        await ctx.run("step", str)
        return await ctx.sleep(2 * DAY)

    assert await status_after(program) == "suspended"


async def test_a_handler_may_kill_itself() -> None:
    class Own(VirtualObject):
        @handler
        async def go(self, ctx: ObjectContext) -> str:
            ctx.kill(ctx.invocation_id)
            return "not told"

    async with TestEngine(Own(), Counter()) as engine:
        with pytest.raises(TerminalError, match="killed"):
            await engine.call(Own.go, "k")

        assert await engine.call(Counter.add, "k", 1) == 1


async def test_a_refused_send_is_refused_again_on_replay() -> None:
    class Elsewhere(Service):
        @handler
        async def x(self, ctx: Context) -> None: ...

    async def program(ctx: Context) -> object:
        try:
            ctx.send(Elsewhere.x)
        except TerminalError as error:
            refusal = error.status
        await ctx.now()
        await ctx.sleep(HOUR)
        return refusal

    assert await status_after(program, SUSPENDING) == "completed"


@pytest.mark.parametrize("end", ["cancel", "kill"])
async def test_a_workflow_that_others_started_is_not_ended_with_a_caller_that_was_refused(end: str) -> None:
    async def program(ctx: Context) -> object:
        try:
            await ctx.call(Approval.run, "w")
        except TerminalError:
            return await ctx.sleep(DAY)

    async with TestEngine(Any(program), Approval()) as engine:
        run = await engine.send(Approval.run, "w")
        refused = await engine.send(Any.go)
        await engine.settle()

        await getattr(refused, end)()
        await engine.settle()
        await engine.call(Approval.decide, "w", "yes")

        assert await run.result() == "yes"


async def test_a_cancellation_that_an_exhausted_handler_never_heard_of_ends_it() -> None:
    failed, gate = asyncio.Event(), asyncio.Event()

    class Last(Service):
        @handler(retry=RetryPolicy(max_attempts=1))
        async def go(self, ctx: Context) -> None:
            slow = ctx.run("slow", gate.wait)
            await ctx.run("bad", self.fail)
            await slow

        async def fail(self) -> None:
            failed.set()
            raise OSError("down")

    async with TestEngine(Last()) as engine:
        sent = await engine.send(Last.go)
        await failed.wait()
        await sent.cancel()
        gate.set()
        await engine.settle()

        with pytest.raises(TerminalError, match="cancelled"):
            await sent.result()


class Watch(VirtualObject):
    value = State(int)

    @handler
    async def write(self, ctx: ObjectContext, value: int) -> None:
        ctx.set(self.value, value)

    @handler
    async def watch(self, ctx: ObjectSharedContext) -> int:
        while (value := await ctx.get(self.value)) is None:
            await ctx.sleep(timedelta(seconds=1))
        return value


@pytest.mark.parametrize("options", [None, SUSPENDING], ids=["resident", "suspending"])
async def test_a_shared_handler_sees_what_was_written_while_it_waited(options: Options | None) -> None:
    async with TestEngine(Watch(), options=options) as engine:
        watching = await engine.send(Watch.watch, "k")
        await engine.settle()
        await engine.call(Watch.write, "k", 4)

        await engine.skip(timedelta(seconds=5))

        assert await watching.result() == 4


async def test_a_handle_of_a_closed_engine_says_so() -> None:
    async with TestEngine(Counter()) as engine:
        sent = await engine.send(Counter.add, "k", 1)

    for ask in (sent.cancel, sent.kill):
        with pytest.raises(EngineStoppedError):
            await ask()


async def test_a_handler_does_not_inherit_the_context_of_its_caller() -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")

    async def program(ctx: Context) -> object:
        return tenant.get()

    async with TestEngine(Any(program)) as engine:
        tenant.set("alice")

        assert await engine.call(Any.go) == "nobody"
