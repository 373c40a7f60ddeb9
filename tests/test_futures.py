"""Futures and their combinators: the order of the journal decides, whoever asks and whenever."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable import Context, DurableFuture, DurableTimeoutError, TerminalError, gather, select
from tests.fakes import FakeMachine

MINUTE = timedelta(minutes=1)

# What the type checkers would refuse.
unchecked_gather: Any = gather


class Attempt:
    """A machine with some awakeables, whose slots count from 1."""

    def __init__(self, awakeables: int) -> None:
        self.machine = FakeMachine()
        self.ctx = Context(self.machine)
        self.futures: list[DurableFuture[str]] = [self.ctx.awakeable(str) for _ in range(awakeables)]

    def answer(self, *slots: int) -> None:
        for slot in slots:
            self.machine.answer(slot, b'"%d"' % slot)


async def test_a_future_waits_for_its_answer():
    attempt = Attempt(1)
    waiting = asyncio.ensure_future(attempt.futures[0])

    await asyncio.sleep(0)
    assert not waiting.done()
    attempt.answer(1)

    assert await waiting == "1"


async def test_a_failure_is_raised_with_status_and_message():
    attempt = Attempt(1)
    attempt.machine.fail(1, "declined", 402)

    with pytest.raises(TerminalError, match="declined") as got:
        await attempt.futures[0]
    assert got.value.status == 402


async def test_a_future_can_be_awaited_twice_at_once_and_is_decoded_each_time():
    machine = FakeMachine()
    future = Context(machine).awakeable(list[int])
    machine.answer(1, b"[1]")

    first, second = await asyncio.gather(*map(asyncio.ensure_future, (future, future)))

    assert first == second == [1]
    assert first is not second


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


async def test_or_timeout_passes_an_answer_that_was_in_time():
    attempt = Attempt(1)
    future = attempt.futures[0].or_timeout(MINUTE)
    attempt.answer(1, 2)

    assert await future == "1"


async def test_or_timeout_raises_once_the_time_is_over():
    attempt = Attempt(1)
    future = attempt.futures[0].or_timeout(MINUTE)
    attempt.answer(2, 1)

    with pytest.raises(TimeoutError, match="no result within 0:01:00") as got:
        await future
    assert isinstance(got.value, DurableTimeoutError)
    assert got.value.status == 408


async def test_or_timeout_passes_a_failure_that_was_in_time():
    attempt = Attempt(1)
    future = attempt.futures[0].or_timeout(MINUTE)
    attempt.machine.fail(1, "no")
    attempt.answer(2)

    with pytest.raises(TerminalError, match="no"):
        await future


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


@given(order=st.permutations(range(1, 5)), failing=st.sets(st.integers(1, 4)), asked_after=st.integers(0, 4))
async def test_whoever_asks_and_whenever_the_answer_is_the_same(order, failing, asked_after):
    async def answer(early: int) -> object:
        attempt = Attempt(4)
        a, b, c, d = attempt.futures
        combined = select(x=gather(a, b), y=select(c=c, d=d), z=gather(select(b=b, c=c), d))
        waiting = asyncio.ensure_future(combined)
        for moment, slot in enumerate(order):
            if moment >= early:
                await asyncio.sleep(0)
            if slot in failing:
                attempt.machine.fail(slot, str(slot))
            else:
                attempt.answer(slot)
        try:
            return await waiting
        except TerminalError as error:
            return error.message

    assert await answer(asked_after) == await answer(4)


def test_futures_of_two_invocations_do_not_mix():
    with pytest.raises(ValueError, match="futures of different invocations"):
        gather(Attempt(1).futures[0], Attempt(1).futures[0])


async def test_a_coroutine_is_refused_and_told_to_be_a_step():
    with pytest.raises(TypeError, match=r"gather\(\) was given .* make it a step: ctx.run\("):
        unchecked_gather(asyncio.sleep(0))


async def test_an_asyncio_future_is_refused():
    with pytest.raises(TypeError, match="whose order a replay cannot know"):
        unchecked_gather(asyncio.get_running_loop().create_future())


@pytest.mark.parametrize("duration", [timedelta(seconds=-1), timedelta(days=4000)])
def test_a_timeout_out_of_range_is_refused(duration):
    with pytest.raises(ValueError, match="a timeout is between zero and ten years"):
        Attempt(1).futures[0].or_timeout(duration)
