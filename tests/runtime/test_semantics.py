"""Restate's semantics, as restate.md section 1.1 has them, on the engine in memory."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from datetime import timedelta

import pytest

from durable import Context, Service, TerminalError, handler
from durable.errors import InvocationNotFoundError
from durable.testing import TestEngine
from tests.runtime.flows import Approval, Counter

MINUTE = timedelta(minutes=1)


async def test_exclusive_handlers_of_a_key_run_one_after_the_other_in_order() -> None:
    async with TestEngine(Counter()) as engine:
        slow = await engine.send(Counter.add_slowly, "k", 1)
        quick = await engine.send(Counter.add, "k", 10)
        await engine.settle()
        assert await quick.status() == "pending"

        await engine.skip(10 * MINUTE)

        assert (await slow.result(), await quick.result()) == (1, 11)


async def test_another_key_does_not_wait() -> None:
    async with TestEngine(Counter()) as engine:
        await engine.send(Counter.add_slowly, "k", 1)

        assert await engine.call(Counter.add, "other", 5) == 5


async def test_a_shared_handler_runs_beside_the_exclusive_one() -> None:
    async with TestEngine(Counter()) as engine:
        await engine.call(Counter.add, "k", 2)
        await engine.send(Counter.add_slowly, "k", 1)

        assert await engine.call(Counter.read, "k") == 2


async def test_state_set_before_a_terminal_error_persists() -> None:
    async with TestEngine(Counter()) as engine:
        with pytest.raises(TerminalError, match="set and gone"):
            await engine.call(Counter.fail_after_set, "k")

        assert await engine.call(Counter.read, "k") == 99


async def test_state_keys_follow_set_clear_and_clear_all() -> None:
    async with TestEngine(Counter()) as engine:
        await engine.call(Counter.add, "k", 1)

        assert await engine.call(Counter.forget, "k") == ["count", "note", "count"]


async def test_what_is_cleared_is_gone_from_the_disk_too() -> None:
    async with TestEngine(Counter()) as engine:
        await engine.call(Counter.add, "k", 1)
        await engine.call(Counter.forget, "k")

    async with TestEngine(Counter(), after=engine) as engine:
        assert await engine.call(Counter.add, "k", 5) == 5


async def test_a_key_is_held_while_its_handler_is_suspended() -> None:
    async with TestEngine(Counter()) as engine:
        slow = await engine.send(Counter.add_slowly, "k", 1)
        await engine.skip(2 * MINUTE)
        assert await slow.status() == "suspended"
        quick = await engine.send(Counter.add, "k", 10)
        await engine.settle()

        assert await quick.status() == "pending"


async def test_a_promise_may_be_completed_before_run_starts() -> None:
    async with TestEngine(Approval()) as engine:
        await engine.call(Approval.decide, "w", "yes")

        assert await engine.call(Approval.run, "w") == "yes"


async def test_a_promise_is_completed_once() -> None:
    async with TestEngine(Approval()) as engine:
        await engine.call(Approval.decide, "w", "yes")

        with pytest.raises(TerminalError, match="promise was already completed") as error:
            await engine.call(Approval.decide, "w", "no")

        assert error.value.status == 409
        assert await engine.call(Approval.peek, "w") == "yes"


async def test_a_rejected_promise_raises_where_it_is_awaited_and_peeked() -> None:
    async with TestEngine(Approval()) as engine:
        await engine.call(Approval.refuse, "w", "never")

        for ask in (Approval.run, Approval.peek):
            with pytest.raises(TerminalError, match="never") as error:
                await engine.call(ask, "w")
            assert error.value.status == 451


async def test_a_workflow_runs_once_per_key() -> None:
    async with TestEngine(Approval()) as engine:
        first = await engine.send(Approval.run, "w")
        again = await engine.send(Approval.run, "w")
        await engine.call(Approval.decide, "w", "yes")

        with pytest.raises(TerminalError, match="already invoked") as error:
            await engine.call(Approval.run, "w")

        assert (again.id, await again.result(), error.value.status) == (first.id, "yes", 409)


async def test_peek_of_an_open_promise_is_none() -> None:
    async with TestEngine(Approval()) as engine:
        assert await engine.call(Approval.peek, "w") is None


class Caller(Service):
    @handler
    async def twice(self, ctx: Context, key: str) -> list[int]:
        first = ctx.call(Counter.add, key, 1)
        second = ctx.call(Counter.add, key, 2)
        return [await second, await first]

    @handler
    async def unknown(self, ctx: Context) -> int:
        return await ctx.call(Counter.add, "k", 1)

    @handler
    async def provoke(self, ctx: Context) -> None:
        await ctx.call(Counter.fail_after_set, "k")

    @handler
    async def later(self, ctx: Context) -> str:
        return ctx.send_later(10 * MINUTE, Counter.add, "k", 7).id


async def test_calls_of_one_handler_to_one_key_keep_their_order() -> None:
    async with TestEngine(Caller(), Counter()) as engine:
        assert await engine.call(Caller.twice, "k") == [3, 1]


async def test_a_failure_of_the_callee_reaches_the_caller_as_it_is() -> None:
    async with TestEngine(Caller(), Counter()) as engine:
        with pytest.raises(TerminalError, match="set and gone") as error:
            await engine.call(Caller.provoke)

        assert error.value.status == 409


async def test_a_call_of_a_handler_that_does_not_exist_is_a_terminal_404() -> None:
    async with TestEngine(Caller()) as engine:
        with pytest.raises(TerminalError, match="no handler Counter/add") as error:
            await engine.call(Caller.unknown)

        assert error.value.status == 404


async def test_a_delayed_send_starts_when_its_time_has_come() -> None:
    async with TestEngine(Caller(), Counter()) as engine:
        id = await engine.call(Caller.later)
        await engine.skip(9 * MINUTE)
        assert await engine.invocation(id).status() == "scheduled"

        await engine.skip(MINUTE)

        assert await engine.invocation(id).result() == 7


async def test_equal_idempotency_keys_make_one_invocation() -> None:
    async with TestEngine(Counter()) as engine:
        add = Counter.add.options(idempotency_key="a")

        results = await asyncio.gather(*(engine.call(add, "k", 5) for _ in range(10)))

        assert results == [5] * 10
        assert await engine.call(Counter.read, "k") == 5


async def test_an_idempotency_key_with_another_input_is_refused() -> None:
    async with TestEngine(Counter()) as engine:
        add = Counter.add.options(idempotency_key="a")
        await engine.call(add, "k", 5)

        with pytest.raises(TerminalError, match="different input") as error:
            await engine.call(add, "k", 6)

        assert error.value.status == 409


async def test_idempotency_keys_of_two_identities_are_two_keys() -> None:
    async with TestEngine(Counter()) as engine:
        add = Counter.add.options(idempotency_key="a")

        await engine.call(add.options(identity="alice"), "k", 5)

        assert await engine.call(add.options(identity="bob"), "k", 5) == 10


async def test_a_call_may_attach_to_a_workflow_that_was_invoked_before() -> None:
    async with TestEngine(Approval()) as engine:
        await engine.send(Approval.run, "w")
        attached = asyncio.create_task(engine.call(Approval.run.options(attach=True), "w"))
        await engine.call(Approval.decide, "w", "yes")

        assert await attached == "yes"


class Lenient(Service):
    @handler(strict_idempotency=False, journal_retention=timedelta(0))
    async def echo(self, ctx: Context, text: str) -> str:
        return text


async def test_a_handler_may_take_another_input_for_the_same_call() -> None:
    async with TestEngine(Lenient()) as engine:
        echo = Lenient.echo.options(idempotency_key="a")

        assert [await engine.call(echo, text) for text in ("one", "two")] == ["one", "one"]


async def test_a_journal_may_go_before_the_outcome() -> None:
    async with TestEngine(Lenient()) as engine:
        sent = await engine.send(Lenient.echo, "x")
        await engine.skip(timedelta(hours=2))

        assert await sent.result() == "x"
        with pytest.raises(TerminalError, match="the input is not available"):
            await sent.restart()


async def test_a_callee_belongs_to_the_trace_of_its_caller() -> None:
    seen: list[str | None] = []

    class Traced(Service):
        @handler
        async def outer(self, ctx: Context) -> None:
            await ctx.call(Traced.inner)
            await ctx.call(Traced.inner.options(headers={"traceparent": "00-own"}))

        @handler
        async def inner(self, ctx: Context) -> None:
            seen.append(ctx.headers.get("traceparent"))

    async with TestEngine(Traced()) as engine:
        await engine.call(Traced.outer.options(headers={"traceparent": "00-abc", "other": "x"}))

    assert seen == ["00-abc", "00-own"]


async def test_a_handler_may_attach_to_a_workflow_that_was_invoked_before() -> None:
    class Attacher(Service):
        @handler
        async def go(self, ctx: Context) -> str:
            return await ctx.call(Approval.run.options(attach=True), "w")

    async with TestEngine(Approval(), Attacher()) as engine:
        await engine.send(Approval.run, "w")
        attached = await engine.send(Attacher.go)
        await engine.call(Approval.decide, "w", "yes")

        assert await attached.result() == "yes"


async def test_what_is_cancelled_before_it_starts_leaves_its_idempotency_key_free() -> None:
    async with TestEngine(Counter()) as engine:
        add = Counter.add.options(idempotency_key="a")
        later = await engine.send_later(MINUTE, add, "k", 5)
        await later.cancel()

        assert await engine.call(add, "k", 6) == 6


async def test_an_outcome_is_told_only_to_who_waits_for_that_invocation() -> None:
    async with TestEngine(Counter()) as engine:
        await engine.send(Counter.add_slowly, "k", 1)
        once = Counter.add_slowly.options(idempotency_key="i")
        removed = await engine.send(once, "k", 2)
        told = asyncio.create_task(engine.call(once, "k", 2))
        await engine.settle()

        cancelling = asyncio.create_task(removed.cancel())
        await asyncio.sleep(0)  # removed, and not on the disk yet
        again = asyncio.create_task(engine.call(once, "k", 2))
        await engine.skip(timedelta(minutes=20))

        await cancelling
        with pytest.raises(TerminalError, match="cancelled"):
            await told
        assert await again == 3


REQUEST = ContextVar("REQUEST", default="none")


class Traced(Service):
    @handler
    async def go(self, ctx: Context) -> list[str]:
        REQUEST.set(ctx.invocation_id)
        seen = [await ctx.run("first", REQUEST.get), await ctx.run("second", self.read)]
        return [*seen, ctx.invocation_id]

    async def read(self) -> str:
        return REQUEST.get()


async def test_a_step_sees_the_context_variables_of_its_handler() -> None:
    async with TestEngine(Traced()) as engine:
        assert len(set(await engine.call(Traced.go))) == 1


async def test_a_restart_is_kept_as_long_as_a_call_without_an_idempotency_key() -> None:
    class Short(Counter, retention=timedelta(hours=2), idempotency_retention=timedelta(hours=9)): ...

    async with TestEngine(Short()) as engine:
        first = await engine.send(Short.add.options(idempotency_key="x"), "k", 1)
        await engine.settle()
        again = await first.restart()
        await engine.skip(timedelta(hours=4))

        assert await first.output() == 1
        with pytest.raises(InvocationNotFoundError):
            await again.output()
