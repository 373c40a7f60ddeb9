"""Services with batch handlers, for the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from durable import (
    Batch,
    Context,
    ObjectContext,
    ObjectSharedContext,
    RetryPolicy,
    Service,
    State,
    TerminalError,
    VirtualObject,
    handler,
)

T = TypeVar("T")

SECOND = timedelta(seconds=1)
THREE = Batch(3, within=SECOND)


class Mailer(Service):
    """What it was given is in ``given``, batch by batch; what has begun and failed is there again."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []
        self.identities: list[str | None] = []
        self.fails = 0

    @handler(batch=THREE)
    async def send(self, ctx: Context, mails: list[str]) -> list[int | TerminalError]:
        """Send a mail."""
        self.given.append(mails)
        self.identities.append(ctx.identity)
        if self.fails:
            self.fails -= 1
            raise RuntimeError("the server is down")
        if "poison" in mails:
            raise TerminalError("poisoned", status=418)
        return [TerminalError("no address", status=400) if mail == "" else len(mail) for mail in mails]

    @handler(batch=THREE)
    async def log(self, ctx: Context, lines: list[str]) -> None:
        self.given.append(lines)

    @handler(batch=THREE)
    async def lose(self, ctx: Context, mails: list[str]) -> list[int]:
        return [0] * (len(mails) - 1)

    @handler(batch=THREE)
    async def lie(self, ctx: Context, mails: list[str]) -> list[int]:
        return [mail if mail == "text" else 1 for mail in mails]

    @handler(batch=THREE)
    async def slowly(self, ctx: Context, mails: list[str]) -> list[str]:
        self.given.append(mails)
        await ctx.sleep(timedelta(minutes=1))
        return mails

    @handler(batch=THREE, retry=RetryPolicy(max_attempts=2, exhausted="fail"))
    async def never(self, ctx: Context, mails: list[str]) -> list[str]:
        raise RuntimeError("never")

    @handler(batch=Batch(100, within=timedelta(0)))
    async def now(self, ctx: Context, mails: list[str]) -> list[int]:
        return [len(mails)] * len(mails)

    @handler(batch=Batch(1, within=SECOND))
    async def alone(self, ctx: Context, mails: list[str]) -> list[int]:
        return [len(mails)]

    @handler
    async def all(self, ctx: Context, mails: list[str]) -> list[int]:
        """Through other invocations."""
        calls = [ctx.call(Mailer.send, mail) for mail in mails]
        return [await call for call in calls]


class Account(VirtualObject):
    total = State(int, default=int)
    batches = State(int, default=int)

    @handler(batch=THREE)
    async def add(self, ctx: ObjectContext, numbers: list[int]) -> list[int]:
        total = await ctx.get(self.total)
        ctx.set(self.batches, await ctx.get(self.batches) + 1)
        sums = [total := total + number for number in numbers]
        ctx.set(self.total, total)
        return sums

    @handler(batch=THREE)
    async def look(self, ctx: ObjectSharedContext, words: list[str]) -> list[str]:
        total = await ctx.get(self.total)
        return [f"{word} {total} of {len(words)}" for word in words]

    @handler
    async def hold(self, ctx: ObjectContext) -> int:
        await ctx.sleep(timedelta(minutes=1))
        return await ctx.get(self.batches)

    @handler
    async def clear(self, ctx: ObjectContext) -> None:
        ctx.clear_all()

    @handler
    async def knot(self, ctx: ObjectContext) -> int:
        return await ctx.call(Account.add, ctx.key, 1)


async def answer(call: Awaitable[T]) -> T | tuple[int, str]:
    """Its result, or the failure's status and message."""
    try:
        return await call
    except TerminalError as error:
        return error.status, error.message


def begin(call: Awaitable[T]) -> asyncio.Task[T | tuple[int, str]]:
    return asyncio.ensure_future(answer(call))
