"""Combinators: the order of the journal decides, whoever asks and whenever."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable import (
    AllFailedError,
    Context,
    DurableTimeoutError,
    InvocationCancelledError,
    Service,
    TerminalError,
    WorkflowContext,
    as_completed,
    first_success,
    gather,
    handler,
    select,
    settled,
    wait,
)
from durable.futures import DEEPEST
from durable.options import Options
from durable.state import Promise
from durable.testing import TestEngine
from tests.fakes import Attempt, FakeMachine

MINUTE = timedelta(minutes=1)

# What the type checkers would refuse.
unchecked_gather: Any = gather

COMBINATORS: list[Callable[..., Any]] = [gather, first_success, settled, wait, as_completed]


async def test_gather_returns_all_results_in_the_order_of_its_arguments():
    attempt = Attempt(3)
    attempt.answer(3, 1, 2)

    assert await gather(*attempt.futures) == ("1", "2", "3")


async def test_gather_waits_for_every_part():
    attempt = Attempt(2)
    waiting = asyncio.ensure_future(gather(*attempt.futures))
    attempt.answer(1)

    await asyncio.sleep(0)

    assert not waiting.done()
    waiting.cancel()


async def test_gather_raises_the_failure_that_the_journal_holds_first():
    attempt = Attempt(3)
    attempt.machine.fail(3, "third failed first")
    attempt.machine.fail(1, "first failed later")

    with pytest.raises(TerminalError, match="third failed first"):
        await gather(*attempt.futures)


async def test_gather_of_nothing_is_empty():
    assert await gather() == ()
    assert await gather(gather(), gather()) == ((), ())
    assert await gather().or_timeout(MINUTE) == ()


async def test_select_returns_the_name_and_result_of_the_first_answer():
    attempt = Attempt(2)
    attempt.answer(2, 1)

    assert await select(a=attempt.futures[0], b=attempt.futures[1]) == ("b", "2")


async def test_select_raises_a_failure_that_comes_first():
    attempt = Attempt(2)
    attempt.machine.fail(2, "no")
    attempt.answer(1)

    with pytest.raises(TerminalError, match="no"):
        await select(a=attempt.futures[0], b=attempt.futures[1])


def test_select_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"select\(\) of nothing would wait for ever"):
        select()


async def test_combinators_nest():
    attempt = Attempt(3)
    a, b, c = attempt.futures
    both = gather(a, select(b=b, c=c)).or_timeout(MINUTE)
    attempt.answer(3, 1, 2, 4)

    assert await both == ("1", ("c", "3"))


async def test_a_timeout_within_a_gather_fails_it():
    attempt = Attempt(2)
    both = gather(attempt.futures[0], attempt.futures[1].or_timeout(MINUTE))
    attempt.answer(3)

    with pytest.raises(TimeoutError):
        await both


def test_futures_of_two_invocations_do_not_mix():
    with pytest.raises(ValueError, match="futures of different invocations"):
        gather(Attempt(1).futures[0], Attempt(1).futures[0])


async def test_a_coroutine_is_refused_and_told_to_be_a_step():
    with pytest.raises(TypeError, match=r"gather\(\) was given .* make it a step: ctx.run\("):
        unchecked_gather(asyncio.sleep(0))


async def test_an_asyncio_future_is_refused():
    with pytest.raises(TypeError, match="whose order a replay cannot know"):
        unchecked_gather(asyncio.get_running_loop().create_future())


# -- first_success


async def test_first_success_passes_over_failures():
    attempt = Attempt(3)
    attempt.machine.fail(2, "no")
    attempt.answer(3, 1)

    assert await first_success(*attempt.futures) == "3"


async def test_first_success_waits_while_one_may_succeed():
    attempt = Attempt(2)
    waiting = asyncio.ensure_future(first_success(*attempt.futures))
    attempt.machine.fail(1, "no")

    await asyncio.sleep(0)

    assert not waiting.done()
    waiting.cancel()


async def test_first_success_without_one_raises_all_failures_in_the_order_of_the_arguments():
    attempt = Attempt(2)
    attempt.machine.fail(2, "b", 404)
    attempt.machine.fail(1, "a", 404)

    with pytest.raises(AllFailedError, match=r"^all 2 failed: a; b$") as got:
        await first_success(*attempt.futures)
    assert got.value.status == 404
    assert [failure.message for failure in got.value.failures] == ["a", "b"]
    assert isinstance(got.value.__cause__, ExceptionGroup)


async def test_failures_of_different_statuses_are_a_500_together():
    attempt = Attempt(2)
    attempt.machine.fail(1, "a", 404)
    attempt.machine.fail(2, "b", 402)

    with pytest.raises(AllFailedError) as got:
        await first_success(*attempt.futures)
    assert got.value.status == 500


def test_first_success_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"first_success\(\) of nothing cannot succeed"):
        first_success()


# -- settled


async def test_settled_gives_results_and_failures_in_the_order_of_the_arguments():
    attempt = Attempt(3)
    attempt.answer(3, 1)
    attempt.machine.fail(2, "no", 402)

    first, second, third = await settled(*attempt.futures)

    assert (first, third) == ("1", "3")
    assert isinstance(second, TerminalError)
    assert (second.message, second.status) == ("no", 402)


async def test_settled_does_not_end_at_a_failure():
    attempt = Attempt(2)
    waiting = asyncio.ensure_future(settled(*attempt.futures))
    attempt.machine.fail(1, "no")

    await asyncio.sleep(0)

    assert not waiting.done()
    waiting.cancel()


async def test_settled_gives_a_result_that_does_not_decode_as_a_failure():
    attempt = Attempt(1)
    attempt.machine.answer(1, b"7")

    (failure,) = await settled(*attempt.futures)

    assert isinstance(failure, TerminalError)
    assert "does not decode" in failure.message


async def test_settled_of_nothing_is_empty():
    assert await settled() == ()


async def test_a_cancellation_is_raised_also_from_settled():
    attempt = Attempt(1)
    attempt.machine.request_cancel()

    with pytest.raises(InvocationCancelledError):
        await settled(*attempt.futures)


# -- wait


async def test_wait_divides_the_done_in_journal_order_from_the_pending_in_order():
    attempt = Attempt(4)
    a, b, c, d = attempt.futures
    attempt.machine.fail(3, "also an answer")
    attempt.answer(1)

    assert await wait(a, b, c, d, count=2) == ((c, a), (b, d))


async def test_wait_waits_for_so_many():
    attempt = Attempt(2)
    waiting = asyncio.ensure_future(wait(*attempt.futures, count=2))
    attempt.answer(2)

    await asyncio.sleep(0)

    assert not waiting.done()
    waiting.cancel()


async def test_what_is_answered_later_is_pending_however_late_one_asks():
    attempt = Attempt(3)
    a, b, c = attempt.futures
    attempt.answer(2, 1, 3)

    assert await wait(a, b, c) == ((b,), (a, c))


async def test_what_one_moment_answers_is_done_together():
    attempt = Attempt(2)
    a, b = attempt.futures
    both = gather(a, b)
    attempt.answer(1, 2)

    assert await wait(a, b, both, count=2) == ((a, b, both), ())


@pytest.mark.parametrize("count", [-1, 0, 3])
def test_wait_refuses_what_it_can_never_have(count):
    with pytest.raises(ValueError, match=rf"wait\(\) can wait for 1 to 2 of 2 futures, not for {count}"):
        wait(*Attempt(2).futures, count=count)


# -- as_completed


async def test_as_completed_gives_the_futures_themselves_in_journal_order():
    attempt = Attempt(3)
    a, b, c = attempt.futures
    attempt.answer(3, 1, 2)

    assert [future async for future in as_completed(a, b, c)] == [c, a, b]


async def test_as_completed_gives_each_as_soon_as_it_is_answered():
    attempt = Attempt(3)
    coming = as_completed(*attempt.futures)
    got = []
    for slot in (2, 3, 1):
        next_one = asyncio.ensure_future(anext(coming))
        await asyncio.sleep(0)
        assert not next_one.done()
        attempt.answer(slot)
        got.append(await (await next_one))

    assert got == ["2", "3", "1"]
    with pytest.raises(StopAsyncIteration):
        await anext(coming)


async def test_as_completed_leaves_raising_to_the_future():
    attempt = Attempt(1)
    attempt.machine.fail(1, "no")

    async for future in as_completed(*attempt.futures):
        with pytest.raises(TerminalError, match="no"):
            await future


async def test_as_completed_of_nothing_ends_at_once():
    assert [future async for future in as_completed()] == []


async def test_a_future_given_twice_comes_twice():
    attempt = Attempt(1)
    (a,) = attempt.futures
    attempt.answer(1)

    assert [future async for future in as_completed(a, a)] == [a, a]
    assert await wait(a, a, count=2) == ((a, a), ())


# -- all of them


async def outcome_of(combined: Any) -> object:
    """What a handler sees of it, without the identity of errors."""
    try:
        seen = [await one async for one in combined] if hasattr(combined, "__anext__") else await combined
    except TerminalError as error:
        return error.message
    return [str(each) for each in seen] if isinstance(seen, tuple | list) else seen


def everything(a: Any, b: Any, c: Any, d: Any) -> list[Callable[[], Any]]:
    return [
        lambda: select(x=gather(a, b), y=select(c=c, d=d), z=gather(select(b=b, c=c), d)),
        lambda: first_success(gather(a, b), first_success(c, d), gather(a, c)),
        lambda: settled(first_success(a, b), settled(c, d), gather(a, d)),
        lambda: gather(settled(a, b), first_success(c, settled(a, d)), d),
        lambda: as_completed(first_success(a, b), c, settled(b, d)),
        lambda: as_completed(gather(a, b), settled(gather(c, d), a), b, a),
    ]


@given(
    which=st.integers(0, 5),
    order=st.permutations(range(1, 5)),
    failing=st.sets(st.integers(1, 4)),
    asked_after=st.integers(0, 4),
)
async def test_whoever_asks_and_whenever_the_answer_is_the_same(which, order, failing, asked_after):
    async def answer(early: int) -> object:
        attempt = Attempt(4)
        waiting = asyncio.ensure_future(outcome_of(everything(*attempt.futures)[which]()))
        for moment, slot in enumerate(order):
            if moment >= early:
                await asyncio.sleep(0)
            if slot in failing:
                attempt.machine.fail(slot, str(slot))
            else:
                attempt.answer(slot)
        return await waiting

    assert await answer(asked_after) == await answer(4)


@given(order=st.permutations(range(4)), count=st.integers(1, 4), asked_after=st.integers(0, 4))
async def test_wait_divides_the_same_whenever_it_is_asked(order, count, asked_after):
    async def divided(early: int) -> list[list[int]]:
        attempt = Attempt(4)
        waiting = asyncio.ensure_future(wait(*attempt.futures, count=count))
        for moment, place in enumerate(order):
            if moment >= early:
                await asyncio.sleep(0)
            attempt.answer(place + 1)
        return [[attempt.futures.index(future) for future in futures] for futures in await waiting]

    assert await divided(asked_after) == [order[:count], sorted(order[count:])]


async def test_the_new_ones_nest_under_a_timeout():
    attempt = Attempt(2)
    late = settled(*attempt.futures).or_timeout(MINUTE)
    attempt.answer(1, 3, 2)

    with pytest.raises(DurableTimeoutError):
        await late


@pytest.mark.parametrize("combine", COMBINATORS)
def test_a_promise_is_journaled_when_it_is_combined(combine):
    machine = FakeMachine()

    class Order:
        paid = Promise(str)

    combine(WorkflowContext(machine).promise(Order.paid))

    assert machine.issued == [("promise", "paid")]


@pytest.mark.parametrize("combine", COMBINATORS)
def test_every_combinator_refuses_what_is_no_future(combine):
    with pytest.raises(TypeError, match=rf"{combine.__name__}\(\) was given 7, whose order a replay cannot know"):
        combine(7)


@pytest.mark.parametrize("combine", COMBINATORS)
def test_a_future_never_awaited_does_no_harm(combine):
    attempt = Attempt(2)
    attempt.machine.fail(1, "nobody asks")

    combine(*attempt.futures)
    gc.collect()  # a coroutine or task that was left would warn now, and warnings are errors

    assert attempt.machine.issued == [("awakeable",), ("awakeable",)]


# -- on an engine


class Quotes(Service):
    @handler
    async def quote(self, ctx: Context, minutes: int) -> int:
        if minutes == 0:
            raise TerminalError("sold out", status=410)
        await ctx.sleep(minutes * MINUTE)
        return minutes

    @handler
    async def in_turn(self, ctx: Context, minutes: list[int]) -> list[str]:
        calls = [ctx.call(Quotes.quote, each) for each in minutes]
        told: list[str] = []
        async for call in as_completed(*calls):
            (outcome,) = await settled(call)
            told.append(await ctx.run("tell", str, f"{outcome}"))
        return told

    @handler
    async def careless(self, ctx: Context) -> str:
        for combine in COMBINATORS:
            combine(ctx.call(Quotes.quote, 0), ctx.call(Quotes.quote, 1))
        return "done"


@pytest.mark.parametrize("restarts", [0, 1, 2, 3])
async def test_completions_come_in_the_same_order_after_a_restart(restarts):
    engine = TestEngine(Quotes())
    async with engine:
        id = (await engine.send(Quotes.in_turn, [3, 0, 1, 2])).id
        await engine.settle()
    for _ in range(restarts):
        engine = TestEngine(Quotes(), after=engine)
        async with engine:
            await engine.skip(MINUTE)
    async with TestEngine(Quotes(), after=engine) as last:
        await last.skip(3 * MINUTE)

        assert await last.invocation(id).result() == ["sold out", "1", "2", "3"]


async def test_a_handler_may_leave_its_futures_behind():
    async with TestEngine(Quotes(), options=Options(strict=False)) as engine:
        assert await engine.call(Quotes.careless) == "done"


@pytest.mark.parametrize("combine", [gather, first_success, settled, lambda future: select(it=future)])
async def test_combinators_nest_as_deep_as_they_say(combine):
    class Nested(Service):
        @handler
        async def go(self, ctx: Context) -> str:
            future = ctx.run("one", lambda: 1)
            for _ in range(DEEPEST):
                future = combine(future)
            with pytest.raises(ValueError, match=r"257 deep, at most 256 are possible; give all futures to one"):
                combine(future)
            return str(await future).strip("(',)")

    async with TestEngine(Nested()) as engine:
        assert (await engine.call(Nested.go))[-1] == "1"
