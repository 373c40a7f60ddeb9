"""Handlers that the client's tests call."""

from __future__ import annotations

from durable import (
    Context,
    ObjectContext,
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

AWAKEABLES: list[str] = []


class Greeter(Service):
    @handler
    async def greet(self, ctx: Context, name: str) -> str:
        return f"hello {name}"

    @handler
    async def maybe(self, ctx: Context, name: str | None = None) -> str:
        return f"hello {name}"

    @handler
    async def ping(self, ctx: Context) -> None: ...

    @handler
    async def reverse(self, ctx: Context, raw: bytes) -> bytes:
        return raw[::-1]

    @handler
    async def header(self, ctx: Context, name: str) -> str | None:
        return ctx.headers.get(name)

    @handler
    async def fail(self, ctx: Context, status: int) -> None:
        raise TerminalError("tea pot", status=status, metadata={"leaf": "green"})

    @handler
    async def ask(self, ctx: Context) -> str:
        answer = ctx.awakeable(str)
        AWAKEABLES.append(answer.id)
        return await answer


class Counter(VirtualObject):
    total = State(int, default=int)

    @handler
    async def add(self, ctx: ObjectContext, amount: int) -> int:
        ctx.set(self.total, total := await ctx.get(self.total) + amount)
        return total


class Approval(Workflow):
    decision = Promise(str)

    @handler
    async def run(self, ctx: WorkflowContext, order: str) -> str:
        return f"{order}: {await ctx.promise(self.decision)}"

    @handler
    async def decide(self, ctx: WorkflowSharedContext, decision: str) -> None:
        await ctx.promise(self.decision).resolve(decision)
