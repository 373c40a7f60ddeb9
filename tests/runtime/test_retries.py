"""Attempts that fail, and when the next one comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from durable import Context, ObjectContext, RetryableError, RetryPolicy, Service, TerminalError, VirtualObject, handler
from durable.testing import TestEngine

SECOND = timedelta(seconds=1)
PATIENT = RetryPolicy(first=SECOND, factor=2, longest=10 * SECOND)


class Flaky:
    """Fails some times, then succeeds."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures, self.error = failures, error or OSError("down")
        self.tries = 0

    async def __call__(self) -> int:
        self.tries += 1
        if self.tries <= self.failures:
            raise self.error
        return self.tries


class Job(Service):
    def __init__(self, work: Callable[[], Awaitable[int]]) -> None:
        self.work = work

    @handler(retry=PATIENT)
    async def bare(self, ctx: Context) -> int:
        return await self.work()

    @handler(retry=PATIENT)
    async def step(self, ctx: Context) -> int:
        return await ctx.run("work", self.work)

    @handler
    async def patient_step(self, ctx: Context) -> int:
        return await ctx.run("work", self.work, retry=RetryPolicy(first=SECOND, max_attempts=3))

    @handler(retry=RetryPolicy(first=SECOND, max_attempts=2, exhausted="fail"))
    async def fails(self, ctx: Context) -> int:
        return await self.work()

    @handler(retry=RetryPolicy(first=SECOND, max_attempts=2))
    async def pauses(self, ctx: Context) -> int:
        return await self.work()


@pytest.mark.parametrize("attempt", [Job.bare, Job.step])
async def test_an_attempt_that_fails_is_repeated_with_growing_delays(attempt: object) -> None:
    work = Flaky(3)
    async with TestEngine(Job(work)) as engine:
        sent = await engine.send(Job.bare if attempt is Job.bare else Job.step)
        await engine.settle()
        assert (await sent.status(), work.tries) == ("backing-off", 1)

        tries = []
        for _ in range(7):
            await engine.skip(SECOND)
            tries.append(work.tries)

        assert tries == [2, 2, 3, 3, 3, 3, 4]
        assert await sent.result() == 4


async def test_a_terminal_error_is_not_retried() -> None:
    work = Flaky(1, TerminalError("enough", status=410))
    async with TestEngine(Job(work)) as engine:
        with pytest.raises(TerminalError, match="enough") as error:
            await engine.call(Job.step)

        assert (error.value.status, work.tries) == (410, 1)


async def test_an_error_may_say_when_to_come_back() -> None:
    work = Flaky(1, RetryableError("busy", retry_after=30 * SECOND))
    async with TestEngine(Job(work)) as engine:
        sent = await engine.send(Job.bare)
        await engine.skip(29 * SECOND)
        assert work.tries == 1

        await engine.skip(SECOND)

        assert await sent.result() == 2


async def test_a_step_with_a_policy_is_repeated_alone() -> None:
    work = Flaky(2)
    async with TestEngine(Job(work)) as engine:
        sent = await engine.send(Job.patient_step)
        await engine.skip(10 * SECOND)

        assert await sent.result() == 3


async def test_a_step_whose_policy_is_exhausted_fails_where_it_is_awaited() -> None:
    work = Flaky(99)
    async with TestEngine(Job(work)) as engine:
        sent = await engine.send(Job.patient_step)
        await engine.skip(10 * SECOND)

        with pytest.raises(TerminalError, match="step 'work' failed 3 times, the last time with OSError"):
            await sent.result()
        assert work.tries == 3


async def test_an_exhausted_handler_fails_with_its_last_error_if_it_says_so() -> None:
    async with TestEngine(Job(Flaky(99))) as engine:
        sent = await engine.send(Job.fails)
        await engine.skip(10 * SECOND)

        with pytest.raises(TerminalError, match="OSError"):
            await sent.result()


async def test_an_exhausted_handler_is_paused_otherwise() -> None:
    async with TestEngine(Job(Flaky(99))) as engine:
        sent = await engine.send(Job.pauses)
        await engine.skip(10 * SECOND)

        assert await sent.status() == "paused"


async def test_a_restart_neither_resets_nor_skips_the_back_off() -> None:
    work = Flaky(3)
    async with TestEngine(Job(work)) as before:
        sent = await before.send(Job.bare)
        await before.skip(SECOND)

    async with TestEngine(Job(work), after=before) as engine:
        await engine.skip(SECOND)
        assert work.tries == 2

        await engine.skip(SECOND)

        assert (work.tries, await engine.invocation(sent.id).status()) == (3, "backing-off")


class Gate(VirtualObject):
    def __init__(self, work: Flaky) -> None:
        self.work = work

    @handler
    async def enter(self, ctx: ObjectContext) -> int:
        return await self.work()


async def test_a_key_is_held_during_back_off() -> None:
    work = Flaky(1)
    async with TestEngine(Gate(work)) as engine:
        first = await engine.send(Gate.enter, "k")
        second = await engine.send(Gate.enter, "k")
        await engine.settle()
        assert (await first.status(), await second.status()) == ("backing-off", "pending")

        await engine.skip(SECOND)

        assert (await first.result(), await second.result()) == (2, 3)


async def test_steps_that_have_begun_keep_their_results_when_another_fails() -> None:
    slow, flaky = Flaky(0), Flaky(1)

    class Two(Service):
        @handler
        async def go(self, ctx: Context) -> int:
            one, two = ctx.run("slow", slow), ctx.run("flaky", flaky)
            return await one + await two

    async with TestEngine(Two()) as engine:
        sent = await engine.send(Two.go)
        await engine.skip(SECOND)

        assert (await sent.result(), slow.tries, flaky.tries) == (3, 1, 2)
