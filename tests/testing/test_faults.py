"""``TestEngine.faults``: a step that fails, loses its answer, or hangs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from durable import Context, RetryPolicy, Service, handler
from durable.testing import TestEngine


class Mail(Service):
    def __init__(self) -> None:
        self.sent: list[str] = []

    @handler
    async def send(self, ctx: Context, to: str) -> None:
        await ctx.run("mail", self.sent.append, to, retry=RetryPolicy(max_attempts=3))


async def test_a_step_fails_as_often_as_it_was_told():
    mail = Mail()
    async with TestEngine(mail) as engine:
        engine.faults.fail("mail", times=2)
        sent = await engine.send(Mail.send, "ada")
        await engine.skip(timedelta(minutes=1))

        assert await sent.status() == "completed"
        assert mail.sent == ["ada"]


async def test_a_step_whose_answer_is_lost_runs_again():
    mail = Mail()
    async with TestEngine(mail) as engine:
        engine.faults.time_out("mail")
        await engine.send(Mail.send, "ada")
        await engine.skip(timedelta(minutes=1))

        assert mail.sent == ["ada", "ada"]


async def test_a_step_hangs_until_it_is_released():
    mail = Mail()
    async with TestEngine(mail) as engine:
        engine.faults.hang("mail")
        sent = await engine.send(Mail.send, "ada")
        await engine.skip(timedelta(days=1))
        before = await sent.status()
        engine.faults.release("mail")
        await sent.result()

        assert (before, mail.sent) == ("running", ["ada"])


async def test_an_engine_closes_though_a_step_hangs():
    mail = Mail()
    async with TestEngine(mail) as engine:
        engine.faults.hang("mail")
        await engine.send(Mail.send, "ada")
        await engine.settle()
    async with TestEngine(mail, after=engine) as restarted:
        await restarted.settle()

    assert mail.sent == ["ada"]


async def test_releasing_what_does_not_hang_is_refused():
    async with TestEngine(Mail()) as engine:
        with pytest.raises(ValueError, match="no step 'mail' was told to hang"):
            engine.faults.release("mail")
