"""What the killed processes serve: services whose loss, repetition or half would show, behind HTTP."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from durable import (
    Context,
    Engine,
    ObjectContext,
    ObjectSharedContext,
    Options,
    Promise,
    Service,
    State,
    VirtualObject,
    Workflow,
    WorkflowContext,
    WorkflowSharedContext,
    gather,
    handler,
)
from durable.ingress import ingress
from tests.simulation.services import Register

MOMENT = timedelta(milliseconds=5)


class Diary:
    """What happened outside, a line each: no crash takes it back."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._numbers = count()

    def note(self, *words: str) -> str:
        """Returns what no other note has."""
        number = f"{os.getpid()}-{next(self._numbers)}"
        os.write(self._file, f"{' '.join(words)} {number}\n".encode())
        return number


class Noting:
    def __init__(self, diary: Diary) -> None:
        self._diary = diary

    async def step(self, tag: str, name: str) -> str:
        """A body that takes a turn or two of the loop, so that a kill may come while it is open."""
        noted = self._diary.note("step", tag, name)
        await asyncio.sleep(0)
        return noted


class Tally(VirtualObject):
    """Numbers whoever comes."""

    count = State(int, default=int)

    @handler
    async def bump(self, ctx: ObjectContext, who: str) -> int:
        number = await ctx.get(self.count) + 1
        ctx.set(self.count, number)
        return number

    @handler
    async def reset(self, ctx: ObjectContext) -> None:
        ctx.clear(self.count)

    @handler
    async def get(self, ctx: ObjectSharedContext) -> int:
        return await ctx.get(self.count)


class Orders(Service, Noting):
    @handler
    async def place(self, ctx: Context, order: str) -> list[str | int]:
        paid = await ctx.run("pay", self.step, order, "pay")
        number = await ctx.call(Tally.bump, f"called-{len(order) % 4}", order)
        sent = ctx.send(Tally.bump, "sent", order)
        await ctx.sleep(MOMENT)
        await ctx.attach(sent.id, int)
        return [order, paid, number, await ctx.run("ship", self.step, order, "ship")]

    @handler
    async def follow(self, ctx: Context, id: str) -> list[str | int]:
        """Waits long enough for a timer, and for who waits, to be written: a decision lingers for 50 ms."""
        told, _ = await gather(ctx.attach(id, list[str | int]), ctx.sleep(16 * MOMENT))
        return told


class Parcels(Service, Noting):
    """Each waits for the outside, which learns of it by a step."""

    def __init__(self, diary: Diary) -> None:
        super().__init__(diary)
        self._diary = diary

    @handler
    async def deliver(self, ctx: Context, parcel: str) -> list[str]:
        awakeable = ctx.awakeable(str)
        told = await ctx.run("tell", self._tell, parcel, awakeable.id)
        signature = await awakeable
        return [parcel, told, signature, await ctx.run("file", self.step, parcel, "file")]

    async def _tell(self, parcel: str, awakeable: str) -> str:
        self._diary.note("awakeable", parcel, awakeable)
        return await self.step(parcel, "tell")


class Signup(Workflow, Noting):
    answer = Promise(str)

    @handler
    async def run(self, ctx: WorkflowContext, who: str) -> list[str]:
        invited = await ctx.run("invite", self.step, who, "invite")
        answer = await ctx.promise(self.answer)
        return [who, invited, answer, await ctx.run("welcome", self.step, who, "welcome")]

    @handler
    async def confirm(self, ctx: WorkflowSharedContext, answer: str) -> None:
        await ctx.promise(self.answer).resolve(answer)


STEPS = {"pay": "ship", "tell": "file", "invite": "welcome"}
"""Once the second has begun, the first is on the disk, and may not begin again."""


def services(diary: Diary) -> tuple[Orders, Parcels, Signup, Tally, Register]:
    return Orders(diary), Parcels(diary), Signup(diary), Tally(), Register()


def engine(directory: Path) -> Engine:
    options = Options(grace=timedelta(seconds=1), inactivity=timedelta(milliseconds=20))
    return Engine(directory / "db", *services(Diary(directory / "diary")), options=options)


def app(served: Engine) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with served:
            yield

    return Starlette(lifespan=lifespan, routes=[Mount("/", ingress(served))])


def serve(directory: str, port: str) -> None:
    """Until a signal ends it."""
    logging.basicConfig(level=logging.WARNING)
    uvicorn.run(
        app(engine(Path(directory))),
        port=int(port),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,  # for replies that wait for the outside
    )
