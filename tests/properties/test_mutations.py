"""Whatever differs in one command of a journal is noticed there, and no step runs after it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import cache
from typing import get_args

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable import Promise, State, Workflow, WorkflowContext, WorkflowSharedContext, handler
from durable.core.entries import AnyCommand, Command, Entry
from durable.core.invocation import Status
from durable.testing import Recording, ReplayDivergedError, TestEngine, recordings, replay_check
from tests.examples import examples
from tests.properties.mutations import first_difference, mutations, one_of
from tests.properties.test_prefixes import commands, finished, written_up_to
from tests.properties.test_programs import Interpreter, World
from tests.simulation.loop import Process
from tests.simulation.scenario import scenario
from tests.simulation.services import SERVICES
from tests.simulation.simulation import simulate
from tests.simulation.world import World as Simulated

SEEDS = 12


class Everything(Workflow):
    """What handlers of a simulation never ask for."""

    word = State(str)
    answer = Promise(str)

    @handler
    async def run(self, ctx: WorkflowContext) -> str:
        await ctx.now()
        ctx.set(self.word, "word")
        ctx.clear(self.word)
        await ctx.state_keys()
        ctx.clear_all()
        awakeable = ctx.awakeable(str)
        ctx.resolve_awakeable(awakeable.id, "awake")
        ctx.send_signal(ctx.invocation_id, "go", "gone")
        await ctx.promise(self.answer).peek()
        await ctx.promise(self.answer).resolve(await ctx.promise(self.answer).peek() or "yes")
        sent = ctx.send(Everything.echo, ctx.key, await ctx.promise(self.answer))
        told = await ctx.attach(sent.id, str)
        await ctx.output(sent.id, str)
        await ctx.attach(await ctx.restart(sent.id), str)
        return told + await ctx.signal("go", str) + await awakeable

    @handler
    async def echo(self, ctx: WorkflowSharedContext, word: str) -> str:
        return word


@cache
def corpus() -> list[Recording]:
    return [*asyncio.run(everything()), *simulated()]


async def everything() -> list[Recording]:
    async with TestEngine(Everything()) as engine:
        await engine.call(Everything.run, "k")
    return [each for each in recordings(engine) if asked_for(each.entries)]


def simulated() -> list[Recording]:
    """The journals that a few simulations leave: of every service, and of what crashed, was cancelled or restarted."""
    found: list[Recording] = []
    for seed in range(SEEDS):
        engine = TestEngine()
        engine.disk = simulate(seed).disk
        found += [each for each in recordings(engine) if asked_for(each.entries)]
    return found


async def replayed(recording: Recording) -> None:
    process, world = Process(0), Simulated(scenario(0), None)
    process.mark_dead()  # what its handlers report to the outside counts for nothing
    await process.begin(replay_check(recording, Everything(), *(each(world) for each in SERVICES)))


def test_there_are_commands_of_every_kind() -> None:
    assert {type(entry) for each in corpus() for entry in asked_for(each.entries)} == set(get_args(AnyCommand))


@settings(max_examples=examples(600), deadline=None)
@given(st.data())
def test_a_replay_finds_every_difference_where_it_is(data: st.DataObject) -> None:
    recording = data.draw(one_of(corpus()))
    mutated = data.draw(mutations(recording.entries))
    place, ended = first_difference(recording.entries, mutated)
    why = "before its journal ends" if ended else f"diverges at journal entry {place}\n"

    with pytest.raises(ReplayDivergedError, match=why):
        asyncio.run(replayed(Recording(recording.invocation, mutated, recording.secret)))


def asked_for(journal: list[Entry]) -> list[Command]:
    return [entry for entry in journal if isinstance(entry, Command)]


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(commands, min_size=1, max_size=6).filter(lambda program: set(program) != {"uuid"}), st.data())
def test_an_engine_pauses_at_every_difference_and_runs_no_step(program: list[str], data: st.DataObject) -> None:
    async def check() -> None:
        world, old = World(), TestEngine()
        row, whole, _ = await finished(program)
        mutated = data.draw(mutations(whole))
        old.disk = await written_up_to(row, mutated)
        async with TestEngine(Interpreter(world), after=old) as engine:
            await engine.skip(timedelta(minutes=1))
            [paused] = engine.disk.invocations.values()
            place, _ = first_difference(whole, mutated)

            assert paused.status is Status.PAUSED
            assert paused.failure is not None
            assert paused.failure.message.startswith(f"replay diverged at journal entry {place}:")
            assert asked_for(engine.disk.journal(row.n)) == asked_for(mutated)
            assert world.begun == {}

    anyio.run(check)
