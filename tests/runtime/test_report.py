"""What somebody finds in the log who has nothing else."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from durable import Context, ObjectContext, RetryPolicy, Service, TerminalError, VirtualObject, handler
from durable.core.moments import write_moment
from durable.testing import TestEngine

SECOND = timedelta(seconds=1)


async def fail() -> None:
    raise OSError("down")


class Cart(VirtualObject):
    @handler(retry=RetryPolicy(first=SECOND, max_attempts=2))
    async def buy(self, ctx: ObjectContext) -> None:
        await fail()


class Job(Service):
    def __init__(self) -> None:
        self.gate, self.failed = asyncio.Event(), asyncio.Event()

    @handler
    async def step(self, ctx: Context) -> None:
        await ctx.run("charge", fail, retry=RetryPolicy(first=SECOND, max_attempts=2))

    @handler(retry=RetryPolicy(max_attempts=1, exhausted="fail"))
    async def fails(self, ctx: Context) -> None:
        await fail()

    async def fail(self) -> None:
        self.failed.set()
        await fail()

    @handler
    async def two(self, ctx: Context) -> None:
        waiting = ctx.run("wait", self.gate.wait)
        await ctx.run("charge", self.fail)
        await waiting


def said(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


async def test_an_invocation_that_is_paused_is_an_error_that_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    async with TestEngine(Cart()) as engine:
        sent = await engine.send(Cart.buy, "ada")
        await engine.skip(SECOND)
        assert await sent.status() == "paused"

    (error,) = said(caplog, logging.ERROR)
    assert error.startswith(f"Cart/ada/buy ({sent.id}) is paused and keeps its key, for which others may wait: OSError")
    assert f"resume it: PATCH /invocations/{sent.id}/resume" in error
    assert {record.__dict__["invocation"] for record in caplog.records} == {sent.id}


async def test_a_failed_attempt_names_its_invocation_and_the_next_one(caplog: pytest.LogCaptureFixture) -> None:
    async with TestEngine(Cart()) as engine:
        sent = await engine.send(Cart.buy, "ada")
        await engine.settle()
        at = engine.clock.now_ms() + 1000
        await engine.skip(SECOND)

    named = f"an attempt of Cart/ada/buy ({sent.id}) failed; it was number"
    following = f"{named} 1 in a row, the next begins at {write_moment(at)}"
    assert said(caplog, logging.WARNING) == [following, f"{named} 2 in a row, and the last"]
    assert all(record.exc_info for record in caplog.records if record.levelno == logging.WARNING)


async def test_a_failed_step_names_its_invocation_and_the_next_attempt(caplog: pytest.LogCaptureFixture) -> None:
    async with TestEngine(Job()) as engine:
        sent = await engine.send(Job.step)
        await engine.settle()
        at = engine.clock.now_ms() + 1000
        await engine.skip(SECOND)

    named = f"an attempt of step 'charge' of Job/step ({sent.id}) failed; it was number"
    following = f"{named} 1, the next begins at {write_moment(at)}"
    assert said(caplog, logging.WARNING) == [following, f"{named} 2, and the last"]


async def test_an_invocation_that_fails_is_not_said_to_be_paused(caplog: pytest.LogCaptureFixture) -> None:
    async with TestEngine(Job()) as engine:
        with pytest.raises(TerminalError, match="down"):
            await engine.call(Job.fails)

    (failed,) = said(caplog, logging.WARNING)
    assert failed.endswith("it was number 1 in a row, and the last")
    assert said(caplog, logging.ERROR) == []


async def test_a_failure_is_told_before_the_other_steps_have_ended(caplog: pytest.LogCaptureFixture) -> None:
    job = Job()
    async with TestEngine(job) as engine:
        sent = await engine.send(Job.two)
        await job.failed.wait()
        await asyncio.sleep(0)  # its task is told
        (early,) = said(caplog, logging.WARNING)
        await sent.pause()
        job.gate.set()
        await engine.settle()

    assert (
        early
        == f"Job/two ({sent.id}) raised OSError('down'); its attempt is over when its other steps have ended, 1 of them"
    )
    assert said(caplog, logging.WARNING)[1].endswith("failed; it was killed or paused meanwhile")


@pytest.mark.parametrize(
    ("ms", "written"),
    [(1_000, "1970-01-01T00:00:01.000Z"), (1 << 62, "9999-12-31T23:59:59.000Z"), (-1, "1970-01-01T00:00:00.000Z")],
)
def test_any_moment_of_a_row_can_be_written(ms: int, written: str) -> None:
    assert write_moment(ms) == written
