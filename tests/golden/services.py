"""What was under way in the golden databases. Handlers may be added here, and none may ever change."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from durable import (
    Context,
    Limit,
    ObjectContext,
    ObjectSharedContext,
    Promise,
    Rate,
    RetryPolicy,
    Saga,
    Service,
    State,
    TerminalError,
    Timetable,
    VirtualObject,
    Workflow,
    WorkflowContext,
    WorkflowSharedContext,
    gather,
    handler,
)

DELAY = timedelta(seconds=10)
"""Longer than it takes to make a golden database."""
KEPT = timedelta(days=36_500)
RARELY = RetryPolicy(first=DELAY, longest=DELAY)

FIRST_NIGHT = datetime(2100, 1, 1, 21, 30, tzinfo=UTC)
NIGHTLY = Timetable("0 3 * * *", tz="Asia/Kolkata", start=datetime(2100, 1, 1, tzinfo=UTC))
"""It runs when a test says so: no real clock will see its first night."""
ONE_IS_SERVED = Limit("handler/Desk/serve", concurrency=1, hold=True)
ONE_AN_HOUR = Limit("handler/Desk/ring", rate=Rate(1, timedelta(hours=1)))


class Outside:
    """Whom the steps ask. It is shut while a golden database is made, and open for all who finish it."""

    def __init__(self, *, open: bool) -> None:
        self.open = open
        self.asked: list[str] = []
        self.awakeables: dict[str, str] = {}

    async def hang(self, who: str) -> str:
        """Until it is open."""
        self.asked.append(who)
        if not self.open:
            await asyncio.Event().wait()
        return f"asked by {who}"

    def say(self, who: str) -> str:
        self.asked.append(who)
        return f"said by {who}"

    def fail(self) -> str:
        if not self.open:
            raise ConnectionError("nobody is there")
        return "came through"


class Work(Service, retention=KEPT, retry=RARELY):
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @handler
    async def finish(self, ctx: Context, name: str) -> str:
        return await ctx.run("say", self._outside.say, name)

    @handler
    async def refuse(self, ctx: Context, name: str) -> str:
        raise TerminalError(f"no {name}", status=418)

    @handler
    async def step(self, ctx: Context, name: str) -> list[str]:
        first = await ctx.run("before", self._outside.say, f"{name} before")
        return [first, await ctx.run("open", self._outside.hang, name)]

    @handler
    async def sleep(self, ctx: Context, name: str) -> str:
        await ctx.sleep(DELAY)
        return f"{name} woke"

    @handler
    async def both(self, ctx: Context, name: str) -> list[object]:
        slept, said = await gather(ctx.sleep(DELAY), ctx.run("say", self._outside.say, name))
        return [slept, said]

    @handler
    async def awaken(self, ctx: Context, name: str) -> list[str]:
        awakeable = ctx.awakeable(str)
        await ctx.run("tell", self._outside.awakeables.__setitem__, name, awakeable.id)
        value = await awakeable
        return [value, await ctx.run("open", self._outside.hang, name)]

    @handler
    async def call(self, ctx: Context, name: str) -> list[str]:
        return await ctx.call(Work.step, f"{name} callee")

    @handler
    async def fail(self, ctx: Context, name: str) -> str:
        if not self._outside.open:
            raise ConnectionError("nobody is there")
        return f"{name} came through"

    @handler
    async def undo(self, ctx: Context, name: str) -> str:
        async with Saga() as saga:
            saga.undo(lambda: ctx.run("undo", self._outside.hang, f"{name} undo"))
            await ctx.run("do", self._outside.say, f"{name} do")
            await ctx.sleep(KEPT / 10)
        return "never"

    @handler
    async def signals(self, ctx: Context, name: str) -> list[str]:
        return [await ctx.signal("one", str), await ctx.signal("two", str)]

    @handler(retention=timedelta(0))
    async def forget(self, ctx: Context, name: str) -> None:
        await ctx.run("say", self._outside.say, name)


class Shelf(VirtualObject, retention=KEPT):
    books = State(list[str], default=list[str])
    note = State(str | None, default=None)

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @handler
    async def put(self, ctx: ObjectContext, book: str) -> list[str]:
        books = [*await ctx.get(self.books), book]
        ctx.set(self.books, books)
        ctx.set(self.note, None)
        return books

    @handler
    async def hold(self, ctx: ObjectContext, book: str) -> list[str]:
        ctx.set(self.books, [*await ctx.get(self.books), f"{book} held"])
        await ctx.run("open", self._outside.hang, book)
        return await ctx.get(self.books)

    @handler
    async def all(self, ctx: ObjectSharedContext) -> list[str]:
        return await ctx.get(self.books)


class Approval(Workflow, retention=KEPT):
    answer = Promise(str)

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @handler
    async def run(self, ctx: WorkflowContext, name: str) -> list[str]:
        answer = await ctx.promise(self.answer)
        return [answer, await ctx.run("open", self._outside.hang, f"approval {name}")]

    @handler
    async def brief(self, ctx: WorkflowSharedContext, answer: str) -> None:
        await ctx.promise(self.answer).resolve(answer)


class Desk(Service, retention=KEPT):
    """Its limits are put while a golden database is made."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @handler
    async def serve(self, ctx: Context, name: str) -> str:
        return f"{name} {await ctx.signal('served', str)}"

    @handler
    async def ring(self, ctx: Context, name: str) -> str:
        return await ctx.run("say", self._outside.say, name)


def services(outside: Outside) -> tuple[Work, Shelf, Approval, Desk]:
    return Work(outside), Shelf(outside), Approval(outside), Desk(outside)
