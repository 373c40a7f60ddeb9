"""Services for the tests of the runtime: one handler per kind of journal entry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from durable import (
    Context,
    ObjectContext,
    ObjectSharedContext,
    Promise,
    Service,
    State,
    TerminalError,
    VirtualObject,
    Workflow,
    WorkflowContext,
    WorkflowSharedContext,
    handler,
)

Program = Callable[[Context], Awaitable[object]]


class World:
    """What is outside the engine, and outlives it."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.awakeables: list[str] = []

    def step(self, name: str) -> str:
        self.ran.append(name)
        return name.upper()

    async def fail(self) -> str:
        self.ran.append("fail")
        raise TerminalError("no", status=418)


class Plain(Service):
    """Runs whatever program a test gives it, then waits at a gate if it is told to."""

    def __init__(self, world: World, program: Program) -> None:
        self.world, self.program = world, program

    @handler
    async def go(self, ctx: Context) -> str:
        return repr(await self.program(ctx))

    @handler
    async def go_then_wait(self, ctx: Context) -> str:
        result = repr(await self.program(ctx))
        gate = ctx.awakeable(str)
        self.world.awakeables.append(gate.id)
        return f"{result} {await gate}"


class Counter(VirtualObject):
    count = State(int, default=int)
    note = State(str)

    @handler
    async def add(self, ctx: ObjectContext, by: int) -> int:
        count = await ctx.get(self.count) + by
        ctx.set(self.count, count)
        return count

    @handler
    async def add_slowly(self, ctx: ObjectContext, by: int) -> int:
        count = await ctx.get(self.count)
        await ctx.sleep(timedelta(minutes=10))
        ctx.set(self.count, count + by)
        return count + by

    @handler
    async def read(self, ctx: ObjectSharedContext) -> int:
        return await ctx.get(self.count)

    @handler
    async def forget(self, ctx: ObjectContext) -> list[str]:
        ctx.set(self.note, "x")
        keys = await ctx.state_keys()
        ctx.clear(self.note)
        keys += await ctx.state_keys()
        ctx.clear_all()
        return keys + await ctx.state_keys()

    @handler
    async def fail_after_set(self, ctx: ObjectContext) -> None:
        ctx.set(self.count, 99)
        raise TerminalError("set and gone", status=409)


class Approval(Workflow):
    answer = Promise(str)

    @handler
    async def run(self, ctx: WorkflowContext) -> str:
        return await ctx.promise(self.answer)

    @handler
    async def decide(self, ctx: WorkflowSharedContext, answer: str) -> None:
        await ctx.promise(self.answer).resolve(answer)

    @handler
    async def refuse(self, ctx: WorkflowSharedContext, why: str) -> None:
        await ctx.promise(self.answer).reject(why, status=451)

    @handler
    async def peek(self, ctx: WorkflowSharedContext) -> str | None:
        return await ctx.promise(self.answer).peek()
