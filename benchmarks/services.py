"""What is invoked: steps that do nothing, so that what is measured is the engine."""

from __future__ import annotations

import time
from datetime import timedelta

from durable import Context, ObjectContext, Service, State, VirtualObject, handler

PAYLOAD = b"x" * 100
TEXT = PAYLOAD.decode()

GO = "go"
"""The signal that ends a wait."""


async def step(payload: bytes) -> bytes:
    return payload


async def text_step(payload: str) -> str:
    return payload


class Steps(Service):
    @handler
    async def none(self, ctx: Context, payload: str) -> str:
        return payload

    @handler
    async def three(self, ctx: Context, payload: str) -> str:
        for name in ("first", "second", "third"):
            payload = await ctx.run(name, text_step, payload)
        return payload


class Caller(Service):
    @handler
    async def call(self, ctx: Context, payload: str) -> str:
        return await ctx.call(Steps.none, payload)


class Counter(VirtualObject):
    total = State(int, default=int)

    @handler
    async def add(self, ctx: ObjectContext, by: int) -> int:
        total = await ctx.get(self.total) + by
        ctx.set(self.total, total)
        return total


class Walker(Service):
    """One long journal."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        """When each step had ended, on the performance counter."""

    @handler
    async def walk(self, ctx: Context, steps: int) -> None:
        for _ in range(steps):
            await ctx.run("step", text_step, TEXT)
            self.ends.append(time.perf_counter())
        await ctx.signal(GO, str)


class Sleeper(Service):
    def __init__(self) -> None:
        self.ends: list[float] = []
        """When each doze had ended, on the performance counter."""

    @handler
    async def doze(self, ctx: Context, seconds: float) -> None:
        await ctx.sleep(timedelta(seconds=seconds))
        self.ends.append(time.perf_counter())

    @handler
    async def nap(self, ctx: Context, seconds: float) -> float:
        """Returns when it was to end, in seconds since 1970."""
        began = await ctx.now()
        await ctx.sleep(timedelta(seconds=seconds))
        return began.timestamp() + seconds

    @handler
    async def nap_until(self, ctx: Context, moment: float) -> None:
        left = moment - (await ctx.now()).timestamp()
        await ctx.sleep(timedelta(seconds=max(left, 0)))


class Line(VirtualObject):
    """One key, and many who queue for it."""

    def __init__(self) -> None:
        self.admissions: list[float] = []
        """When each was admitted, on the performance counter."""

    @handler
    async def hold(self, ctx: ObjectContext) -> None:
        await ctx.signal(GO, str)

    @handler
    async def take(self, ctx: ObjectContext) -> None:
        self.admissions.append(time.perf_counter())
