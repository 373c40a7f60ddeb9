"""The services of the tests of the server's own features, and of nothing else; see ``services.py``."""

from __future__ import annotations

from datetime import timedelta

from durable import (
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
from tests.conformance.services import SOON, Counter

SHORT = timedelta(seconds=3)


class ShortCounter(Counter, idempotency_retention=SHORT):
    """Forgets idempotency keys soon."""


class PrivateService(Service, private=True):
    @handler
    async def greet(self, ctx: Context, name: str) -> str:
        return f"hello {name}"


class AwakeableGreeter(VirtualObject):
    awakeable = State(str)

    @handler
    async def run(self, ctx: ObjectContext) -> str:
        awakeable = ctx.awakeable(str)
        ctx.set(self.awakeable, awakeable.id)
        return f"hello {await awakeable}"

    @handler
    async def id(self, ctx: ObjectSharedContext) -> str | None:
        return await ctx.get(self.awakeable)


class Sleeper(Service):
    @handler
    async def nap(self, ctx: Context) -> None:
        await ctx.sleep(SOON)


class RetryableGreeter(VirtualObject, retry=RetryPolicy(first=timedelta(milliseconds=10), factor=1.0, max_attempts=10)):
    """Fails until it is mended, and pauses."""

    def __init__(self) -> None:
        self.mended = set[str]()

    @handler
    async def greet(self, ctx: ObjectContext, name: str) -> str:
        if ctx.key not in self.mended:
            raise ValueError("not yet")
        return name

    @handler
    async def mend(self, ctx: ObjectSharedContext) -> None:
        self.mended.add(ctx.key)


class RestartGreeter(VirtualObject):
    """Fails until it is mended; its step says whether it ran before or after that."""

    def __init__(self) -> None:
        self.mended = set[str]()

    @handler
    async def greet(self, ctx: ObjectContext, name: str) -> str:
        async def greeting() -> str:
            return f"{name} from {'new' if ctx.key in self.mended else 'old'}"

        greeted = await ctx.run("greeting", greeting)
        if ctx.key not in self.mended:
            raise TerminalError("not yet")
        return greeted

    @handler
    async def mend(self, ctx: ObjectSharedContext) -> None:
        self.mended.add(ctx.key)
