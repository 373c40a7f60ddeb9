"""Waiting for a condition: a check, a sleep, a check; nothing is held between them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from durable import Context, DurableTimeoutError, InvocationCancelledError, Options, RetryPolicy, Service, TerminalError
from durable import handler as durable_handler
from durable.core.entries import Run, Sleep
from durable.core.invocation import Status
from durable.testing import Scene, TestEngine, crash_everywhere
from tests.properties.test_prefixes import journal

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
SUSPENDING = Options(inactivity=timedelta(0))


class Order:
    """Not paid until it was asked for ``after`` times."""

    def __init__(self, after: int) -> None:
        self.after, self.asked = after, 0

    async def paid(self, number: str) -> str | None:
        self.asked += 1
        return f"paid {number}" if self.asked > self.after else None

    def shipped(self) -> bool:
        self.asked += 1
        return self.asked > self.after


class Waiter(Service):
    def __init__(self, order: Order, **options: Any) -> None:
        self.order, self.options = order, options

    @durable_handler
    async def paid(self, ctx: Context) -> str:
        return await ctx.wait_until("paid", self.order.paid, "o-1", **self.options)

    @durable_handler
    async def shipped(self, ctx: Context) -> bool:
        return await ctx.wait_until("shipped", self.order.shipped, **self.options)

    @durable_handler
    async def late(self, ctx: Context) -> str:
        try:
            return await ctx.wait_until("paid", self.order.paid, "o-1", **self.options)
        except DurableTimeoutError as error:
            return error.message


async def test_the_first_true_result_is_returned_and_ends_the_checks() -> None:
    order = Order(after=3)
    async with TestEngine(Waiter(order, every=MINUTE)) as engine:
        sent = await engine.send(Waiter.paid)
        await engine.skip(HOUR)

        assert await sent.result() == "paid o-1"
        assert order.asked == 4


async def test_a_condition_that_holds_already_takes_no_time() -> None:
    async with TestEngine(Waiter(Order(after=0), every=MINUTE, timeout=HOUR)) as engine:
        assert await engine.call(Waiter.shipped) is True


async def test_a_handler_that_polls_is_suspended_between_two_checks() -> None:
    order = Order(after=3)
    async with TestEngine(Waiter(order, every=MINUTE), options=SUSPENDING) as engine:
        sent = await engine.send(Waiter.paid)
        await engine.skip(MINUTE)
        assert await sent.status() == Status.SUSPENDED
        await engine.skip(HOUR)

        assert await sent.result() == "paid o-1"
        assert order.asked == 4


async def asked_after(order: Order, moments: list[timedelta], **options: Any) -> list[int]:
    """How often it was asked, at these moments."""
    asked, before = list[int](), timedelta(0)
    async with TestEngine(Waiter(order, **options)) as engine:
        await engine.send(Waiter.shipped)
        for moment in moments:
            await engine.skip(moment - before)
            before = moment
            asked.append(order.asked)
    return asked


async def test_without_backoff_the_checks_are_equally_far_apart() -> None:
    moments = [each * SECOND for each in (0, 9, 10, 19, 20)]

    assert await asked_after(Order(99), moments, every=10 * SECOND) == [1, 1, 2, 2, 3]


async def test_backoff_makes_the_sleeps_longer_up_to_the_longest() -> None:
    moments = [each * SECOND for each in (0, 1, 2, 3, 6, 7, 11, 12, 17)]  # sleeps of 1, 2, 4, 5, 5 seconds

    asked = await asked_after(Order(99), moments, every=SECOND, backoff=2, longest=5 * SECOND)

    assert asked == [1, 2, 2, 3, 3, 4, 4, 5, 6]


async def test_a_timeout_counts_from_the_beginning() -> None:
    order = Order(after=99)
    async with TestEngine(Waiter(order, every=MINUTE, timeout=2.5 * MINUTE), options=SUSPENDING) as engine:
        sent = await engine.send(Waiter.late)
        await engine.skip(2.4 * MINUTE)
        assert await sent.status() != Status.COMPLETED
        await engine.skip(0.1 * MINUTE)

        assert await sent.result() == "'paid' was not true within 0:02:30, after 3 checks"
        assert order.asked == 3


async def test_a_check_that_takes_too_long_is_left_at_the_timeout() -> None:
    class Stuck(Order):
        async def paid(self, number: str) -> str | None:
            raise RuntimeError("no answer")

    policy = Options(retry=RetryPolicy(first=10 * SECOND, factor=1))
    async with TestEngine(Waiter(Stuck(0), every=SECOND, timeout=MINUTE), options=policy) as engine:
        sent = await engine.send(Waiter.late)
        await engine.skip(MINUTE)

        assert await sent.result() == "'paid' was not true within 0:01:00, after 1 checks"


async def test_a_terminal_error_of_the_check_is_raised() -> None:
    class Refused(Order):
        async def paid(self, number: str) -> str | None:
            raise TerminalError("no such order", status=404)

    async with TestEngine(Waiter(Refused(0), every=SECOND)) as engine:
        with pytest.raises(TerminalError, match="no such order"):
            await engine.call(Waiter.paid)


async def test_a_cancellation_ends_the_wait() -> None:
    order = Order(after=99)
    async with TestEngine(Waiter(order, every=MINUTE, timeout=HOUR)) as engine:
        sent = await engine.send(Waiter.paid)
        await engine.settle()
        await sent.cancel()
        await engine.skip(HOUR)

        with pytest.raises(TerminalError, match=str(InvocationCancelledError())):
            await sent.result()
        assert order.asked == 1


async def test_a_poll_is_four_entries() -> None:
    order = Order(after=10)
    async with TestEngine(Waiter(order, every=MINUTE)) as engine:
        await engine.send(Waiter.paid)
        await engine.skip(HOUR)

        [row] = engine.disk.invocations.values()
        entries = journal(engine.disk, row.n)
        assert len(entries) == 4 * 10 + 2
        assert [type(each) for each in entries if isinstance(each, Run | Sleep)] == [Run, Sleep] * 10 + [Run]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"ctx\.wait_until\(\) needs the time between two checks; write every=timedelta"),
        ({"every": 5}, "every is a timedelta, got 5"),
        ({"every": timedelta(0)}, "every must be longer than nothing"),
        ({"every": SECOND, "backoff": 0.5}, "backoff is a number of at least 1, got 0.5"),
        ({"every": SECOND, "timeout": 5}, "a timeout is a timedelta, got 5"),
    ],
)
async def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    once = Options(retry=RetryPolicy(max_attempts=1, exhausted="fail"))
    async with TestEngine(Waiter(Order(0), **options), options=once) as engine:
        with pytest.raises(TerminalError, match=message):
            await engine.call(Waiter.paid)


# -- crashes


async def asked(scene: Scene, limit: timedelta | None) -> object:
    answers = scene.outside(lambda: {"asked": 0})

    async def paid() -> bool:
        answers["asked"] += 1
        return answers["asked"] > 3 and limit is None

    class Poller(Service):
        @durable_handler
        async def wait(self, ctx: Context) -> bool:
            try:
                came = await ctx.wait_until("paid", paid, every=SECOND, timeout=limit)
            except DurableTimeoutError:
                came = False
            await ctx.run("done", scene.effect, "done", "once")
            return came

    async with scene.engine(Poller()) as engine:
        sent = await engine.send(Poller.wait.options(idempotency_key="k"))
        await engine.skip(MINUTE)
        return await sent.result()


@pytest.mark.parametrize("limit", [None, 3.5 * SECOND])
async def test_no_crash_makes_a_difference(limit: timedelta | None) -> None:
    assert await crash_everywhere(partial(asked, limit=limit)) >= 8
