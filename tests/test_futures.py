"""A future: waited for, read again, or given up after a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from durable import Context, DurableTimeoutError, TerminalError
from tests.fakes import Attempt, FakeMachine

MINUTE = timedelta(minutes=1)


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


@pytest.mark.parametrize("duration", [timedelta(seconds=-1), timedelta(days=4000)])
def test_a_timeout_out_of_range_is_refused(duration):
    with pytest.raises(ValueError, match="a timeout is between zero and ten years"):
        Attempt(1).futures[0].or_timeout(duration)
