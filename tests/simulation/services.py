"""Handlers that do what a program says, and leave behind who was there."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from durable import (
    Context,
    ObjectContext,
    ObjectSharedContext,
    Promise,
    Saga,
    Service,
    State,
    TerminalError,
    VirtualObject,
    Workflow,
    WorkflowContext,
    WorkflowSharedContext,
    gather,
    handler,
)
from durable.runtime.scheduler import SCHEDULE, TIME
from durable.timetable import to_ms
from tests.simulation.limits import priority, tenant
from tests.simulation.rules import paths
from tests.simulation.scenario import MAPPED

if TYPE_CHECKING:
    from tests.simulation.world import World


def milliseconds(number: int) -> timedelta:
    return timedelta(milliseconds=number)


class Job(msgspec.Struct):
    tag: str
    program: list[list[Any]]


NOTHING = Job("", [])


class Work:
    """A program being done."""

    def __init__(self, world: World, ctx: Context, tag: str) -> None:
        self.world, self.ctx, self.tag = world, ctx, tag

    async def perform(self, program: list[list[Any]]) -> list[str]:
        return [await self._command(f"{self.tag}.{n}", *command) for n, command in enumerate(program)]

    async def _command(self, tag: str, kind: str, *rest: Any) -> str:
        match kind:
            case "step":
                return await self._step(tag)
            case "sleep":
                await self._sleep(*rest)
                return "slept"
            case "both":
                done, _ = await gather(self._step(tag), self._sleep(*rest))
                return done
            case "slow":
                return await self._slow(tag, *rest)
            case "awake":
                awakeable = self.ctx.awakeable(str)
                await self.ctx.run(f"{tag} publish", self.world.publish, awakeable.id)
                return await awakeable
            case "signal":
                name = f"{self.ctx.invocation_id} {tag}"
                await self.ctx.run(f"{tag} publish", self.world.publish, name)
                await self._sleep(*rest)
                return await self.ctx.signal(tag, str)
            case "saga":
                return await self._saga(tag)
            case _:
                return await self._other(tag, kind, *rest)

    def _step(self, tag: str) -> Any:
        return self.ctx.run(tag, self.world.step, self.ctx.invocation_id, tag)

    def _sleep(self, ms: int) -> Any:
        return self.ctx.sleep(milliseconds(ms))

    async def _slow(self, tag: str, ms: int) -> str:
        """Whichever comes first; the other is left."""
        try:
            return await self._step(tag).or_timeout(milliseconds(ms))
        except TerminalError as error:
            if error.status != 408:
                raise
            return "timeout"

    async def _saga(self, tag: str) -> str:
        try:
            async with Saga() as saga:
                saga.undo(lambda: self._step(f"{tag} undo"))
                await self._step(tag)
                raise TerminalError("no", status=418)
        except TerminalError as error:
            if error.status != 418:
                raise
            return "undone"

    async def _other(self, tag: str, kind: str, key: str, program: list[list[Any]], delay_ms: int) -> str:
        if kind == "call":
            return ",".join(await self.ctx.call(self._shelf(), key, Job(tag, program)))
        if kind == "twice":
            return await self._twice(tag, key, program)
        if kind == "map":
            jobs = [(key, Job(f"{tag}.{n}", program)) for n in range(MAPPED)]
            return ",".join(",".join(each) for each in await self.ctx.map(self._shelf(), jobs, concurrency=2))
        if delay_ms:
            self.ctx.send_later(milliseconds(delay_ms), self._shelf(), key, Job(tag, program))
        else:
            self.ctx.send(self._shelf(), key, Job(tag, program))
        return "sent"

    def _shelf(self, **options: Any) -> Any:
        return called(Shelf.work, self.tag, **options)

    async def _twice(self, tag: str, key: str, program: list[list[Any]]) -> str:
        """The second call meets the first one's invocation."""
        work = self._shelf(idempotency_key=tag)
        first, second = self.ctx.call(work, key, Job(tag, program)), self.ctx.call(work, key, Job(tag, program))
        answers = await gather(first, second)
        if answers[0] != answers[1]:
            self.world.violated(f"{tag} was called twice, and answered {answers}")
        return ",".join(answers[0])


def called(handler: Any, tag: str, **options: Any) -> Any:
    """As what has this tag calls it."""
    return handler.options(limit_key=tenant(tag), priority=priority(tag), **options)


def visit(world: World, ctx: Context, handler: str, job: Job, pool: str | None = None) -> AbstractContextManager[None]:
    """Somebody is in a handler for as long as this lasts."""
    service, name = handler.split("/")
    whose = tenant(job.tag)
    limit = f"{pool}/{whose}" if pool and whose else pool
    there = paths(service, name, getattr(ctx, "key", None), limit)
    return world.turnstile.visit(ctx.invocation_id, job.tag, there)


LONG = timedelta(days=40_000)
"""Longer than any jump of the clock: what is forgotten, a client has purged."""


class Plain(Service, retention=LONG, limit="tenant"):
    def __init__(self, world: World) -> None:
        self.world = world

    @handler
    async def work(self, ctx: Context, job: Job) -> list[str]:
        with visit(self.world, ctx, "Plain/work", job, "tenant"):
            return await Work(self.world, ctx, job.tag).perform(job.program)


class Shelf(VirtualObject, retention=LONG, limit="room"):
    log = State(list[str], default=list)

    def __init__(self, world: World) -> None:
        self.world = world

    @handler
    async def work(self, ctx: ObjectContext, job: Job) -> list[str]:
        with visit(self.world, ctx, "Shelf/work", job, "room"):
            return await self._work(ctx, job)

    async def _work(self, ctx: ObjectContext, job: Job) -> list[str]:
        ctx.set(self.log, [*await ctx.get(self.log), f"+{job.tag}"])
        try:
            done = await Work(self.world, ctx, job.tag).perform(job.program)
        except TerminalError:
            ctx.set(self.log, [*await ctx.get(self.log), f"-{job.tag}"])
            raise
        ctx.set(self.log, [*await ctx.get(self.log), f"-{job.tag}"])
        return done

    @handler
    async def read(self, ctx: ObjectSharedContext) -> list[str]:
        return await ctx.get(self.log)


class Register(VirtualObject, retention=LONG):
    """Whose histories must be linearizable."""

    value = State(int, default=int)

    def __init__(self, world: World | None = None) -> None:
        """``None``: outside of a simulation."""
        self.world = world

    @handler
    async def get(self, ctx: ObjectSharedContext) -> int:
        return await ctx.get(self.value)

    @handler
    async def set(self, ctx: ObjectContext, value: int) -> None:
        ctx.set(self.value, value)

    @handler
    async def add(self, ctx: ObjectContext, by: int) -> int:
        with nullcontext() if self.world is None else visit(self.world, ctx, "Register/add", NOTHING):
            value = await ctx.get(self.value)
            await ctx.sleep(timedelta(milliseconds=3))  # an attempt may be suspended here, and others wait meanwhile
            ctx.set(self.value, value + by)
            return value + by

    @handler
    async def cas(self, ctx: ObjectContext, change: tuple[int, int]) -> bool:
        expected, value = change
        matches = await ctx.get(self.value) == expected
        if matches:
            ctx.set(self.value, value)
        return matches


async def chime(world: World, ctx: Context, handler: str) -> None:
    """What a schedule does: every third of its runs takes longer than the time to the next."""
    time_ms = to_ms(datetime.fromisoformat(ctx.headers[TIME]))
    tag = f"{ctx.headers[SCHEDULE]} {time_ms}"
    with visit(world, ctx, handler, NOTHING):
        await ctx.run(f"{tag} begin", world.step, ctx.invocation_id, f"{tag} begin")
        await ctx.sleep(milliseconds((0, 30, 3_500)[time_ms // 1000 % 3]))
        await ctx.run(f"{tag} end", world.step, ctx.invocation_id, f"{tag} end")


class Bell(Service, retention=LONG):
    def __init__(self, world: World) -> None:
        self.world = world

    @handler
    async def ring(self, ctx: Context) -> None:
        await chime(self.world, ctx, "Bell/ring")


class Tower(VirtualObject, retention=LONG):
    def __init__(self, world: World) -> None:
        self.world = world

    @handler
    async def ring(self, ctx: ObjectContext) -> None:
        await chime(self.world, ctx, "Tower/ring")


class Decision(Workflow, retention=LONG):
    answer = Promise(str)

    def __init__(self, world: World) -> None:
        self.world = world

    @handler(limit="tenant")
    async def run(self, ctx: WorkflowContext, job: Job) -> list[str]:
        with visit(self.world, ctx, "Decision/run", job, "tenant"):
            return [*await Work(self.world, ctx, job.tag).perform(job.program), await ctx.promise(self.answer)]

    @handler
    async def decide(self, ctx: WorkflowSharedContext, answer: str) -> None:
        await ctx.promise(self.answer).resolve(answer)


SERVICES = (Plain, Shelf, Register, Decision, Bell, Tower)
