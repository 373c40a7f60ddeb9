"""Cancel, kill, pause and resume in every status, at every await of every kind of entry: nothing is left behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from durable import Invocation, InvocationCancelledError, ObjectContext, Options, TerminalError, VirtualObject
from durable import handler as durable_handler
from durable.core.ids import write_invocation
from durable.testing import TestEngine
from tests.runtime.audit import at_rest
from tests.runtime.flows import Approval, Counter, World
from tests.runtime.test_entries import CASES, HOUR, Case

Operation = Callable[[Invocation[object]], Awaitable[object]]
MODES = [None, Options(inactivity=timedelta(0)), Options(parked=1, resident=1)]


async def pause_and_resume(invocation: Invocation[object]) -> None:
    await invocation.pause()
    await invocation.resume()


OPERATIONS: dict[str, Operation] = {
    "cancel": lambda invocation: invocation.cancel(),
    "kill": lambda invocation: invocation.kill(),
    "pause": lambda invocation: invocation.pause(),
    "resume": lambda invocation: invocation.resume(),
    "pause and resume": pause_and_resume,
    "restart": lambda invocation: invocation.restart(),
}


class Holder(VirtualObject):
    """Runs a program while it holds a key; undoes it if it is cancelled; fails first if it is told to."""

    def __init__(self, world: World, case: Case) -> None:
        self.world, self.program = world, case.program(world)
        self.failures = 0

    @durable_handler
    async def go(self, ctx: ObjectContext) -> str:
        if self.failures:
            self.failures -= 1
            raise OSError("not yet")
        try:
            return repr(await self.program(ctx))
        except InvocationCancelledError:
            await ctx.run("undo", self.world.step, "undo")
            raise


async def drive_to_the_end(engine: TestEngine, world: World, case: Case, invocation: Invocation[object]) -> None:
    """What the outside would do, and a person who resumes whatever is paused."""
    await engine.settle()
    if case.poke and world.awakeables:
        with suppress(TerminalError):
            await case.poke(engine, world)
    with suppress(TerminalError):
        await engine.call(Approval.decide, "w", "yes")
    for row in list(engine.disk.invocations.values()):
        if row.status == "paused":
            await engine.invocation(write_invocation(row.id)).resume()
    for _ in range(3):
        await engine.skip(HOUR)
        for id in world.awakeables:
            with suppress(TerminalError):
                await engine.awakeable(id).resolve("late")


async def scheduled(engine: TestEngine, holder: Holder) -> Invocation[object]:
    return await engine.send_later(HOUR, Holder.go, "key")


async def pending(engine: TestEngine, holder: Holder) -> Invocation[object]:
    await engine.send(Holder.go, "key")
    return await engine.send(Holder.go, "key")


async def begun(engine: TestEngine, holder: Holder) -> Invocation[object]:
    return await engine.send(Holder.go, "key")


async def waiting(engine: TestEngine, holder: Holder) -> Invocation[object]:
    sent = await engine.send(Holder.go, "key")
    await engine.skip(timedelta(seconds=1))
    return sent


async def backing_off(engine: TestEngine, holder: Holder) -> Invocation[object]:
    holder.failures = 1
    return await engine.send(Holder.go, "key")


async def paused(engine: TestEngine, holder: Holder) -> Invocation[object]:
    sent = await begun(engine, holder)
    with suppress(TerminalError):
        await sent.pause()
    return sent


Stage = Callable[[TestEngine, Holder], Awaitable[Invocation[object]]]
STAGES: list[Stage] = [scheduled, pending, begun, waiting, backing_off, paused]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_no_key_is_stuck_and_nothing_is_orphaned(case: Case, name: str, stage: Stage) -> None:
    for options in MODES:
        world = World()
        holder = Holder(world, case)
        async with TestEngine(holder, Counter(), Approval(), options=options) as engine:
            invocation = await stage(engine, holder)
            with suppress(TerminalError):  # what is not possible in this status is refused, and changes nothing
                await OPERATIONS[name](invocation)
            await drive_to_the_end(engine, world, case, invocation)

            assert await engine.call(Counter.add, "free", 1) == 1
            at_rest(engine)
