"""Handlers for the real clients to call."""

from __future__ import annotations

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


class Greeter(Service):
    @handler
    async def greet(self, ctx: Context, name: str) -> str:
        return f"hello {name}"

    @handler
    async def ping(self, ctx: Context) -> None: ...

    @handler
    async def header(self, ctx: Context, name: str) -> str | None:
        return ctx.headers.get(name)

    @handler
    async def fail(self, ctx: Context, status: int) -> None:
        raise TerminalError("tea pot", status=status, metadata={"leaf": "green"})


class Counter(VirtualObject):
    total = State(int, default=int)

    @handler
    async def add(self, ctx: ObjectContext, amount: int) -> int:
        ctx.set(self.total, total := await ctx.get(self.total) + amount)
        return total

    @handler
    async def read(self, ctx: ObjectSharedContext) -> int:
        return await ctx.get(self.total)

    @handler
    async def key(self, ctx: ObjectSharedContext) -> str:
        return ctx.key


class Approval(Workflow):
    decision = Promise(str)

    @handler
    async def run(self, ctx: WorkflowContext, order: str) -> str:
        return f"{order}: {await ctx.promise(self.decision)}"

    @handler
    async def decide(self, ctx: WorkflowSharedContext, decision: str) -> None:
        await ctx.promise(self.decision).resolve(decision)


class Question(Workflow):
    asked = Promise(str)

    @handler
    async def run(self, ctx: WorkflowContext) -> dict[str, int]:
        answer = ctx.awakeable(dict[str, int])
        await ctx.promise(self.asked).resolve(answer.id)
        return await answer

    @handler
    async def awakeable(self, ctx: WorkflowSharedContext) -> str:
        return await ctx.promise(self.asked)
