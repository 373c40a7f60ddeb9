"""A journal cut off anywhere replays to the same commands and output, and runs no recorded step."""

from __future__ import annotations

from datetime import timedelta

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from durable.core.entries import ClearState, Completed, Entry, Now, Run, SetState, Sleep, decode_entries
from durable.core.ids import write_invocation
from durable.core.invocation import Commit, Invocation, Status, Timer
from durable.store.memory import MemoryDisk
from durable.testing import TestEngine
from tests.examples import examples
from tests.properties.test_programs import Interpreter, World, plain

commands = st.sampled_from(
    ["run", "fail", "sleep", "now", "uuid", "set", "get", "clear", "keys", "race", "both", "slow", "each", "poll"]
)


def journal(disk: MemoryDisk, n: int) -> list[Entry]:
    chunks = sorted(disk.journals.get(n, {}).items())
    return [entry for _, raw in chunks for entry in decode_entries(raw)]


async def written_up_to(row: Invocation, entries: list[Entry]) -> MemoryDisk:
    """The disk of an engine that died when it had written just these entries."""
    disk, commit = MemoryDisk(), Commit()
    changes = {"status": Status.RUNNING, "outcome": None, "expires_ms": None}
    commit.accept(Invocation(**{name: getattr(row, name) for name in row.__struct_fields__} | changes))
    answered = {entry.completion for entry in entries if isinstance(entry, Completed)}
    for position, entry in enumerate(entries):
        commit.append(row.n, position, entry)
        if isinstance(entry, Sleep) and entry.completion not in answered:
            commit.timers[Timer(entry.due_ms, row.n, entry.completion)] = True
        if isinstance(entry, SetState):
            commit.state["Interpreter", "k", entry.name] = entry.value
        if isinstance(entry, ClearState):
            commit.state["Interpreter", "k", entry.name] = None
    disk.write(commit)
    return disk


def comparable(entries: list[Entry]) -> list[str]:
    """Commands in order, without what belongs to the clock; notifications do not count."""
    return [str(entry) for entry in entries if not isinstance(entry, Completed | Now)]


async def finished(program: list[str]) -> tuple[Invocation, list[Entry], object]:
    """The row of a program that was done, its journal and its output."""
    async with TestEngine(Interpreter(World())) as engine:
        sent = await engine.send(Interpreter.work, "k", program)
        await engine.skip(timedelta(minutes=10))
        [row] = engine.disk.invocations.values()
        return row, journal(engine.disk, row.n), plain(await sent.result())


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(commands, min_size=1, max_size=6))
def test_every_prefix_replays_to_the_same(program: list[str]) -> None:
    async def check() -> None:
        row, whole, expected = await finished(program)
        for length in range(len(whole) + 1):
            await check_prefix(row, whole, length, expected)

    anyio.run(check)


async def check_prefix(row: Invocation, whole: list[Entry], length: int, expected: object) -> None:
    world, old = World(), TestEngine()
    old.disk = await written_up_to(row, whole[:length])
    recorded = {entry.completion for entry in whole[:length] if isinstance(entry, Completed)}
    slept_ms = [each.due_ms for each in whole[:length] if isinstance(each, Sleep) and each.completion in recorded]
    old.clock.move_to(max(slept_ms, default=0))  # no earlier than that engine died
    async with TestEngine(Interpreter(world), after=old) as engine:
        await engine.skip(timedelta(minutes=10))
        [replayed] = engine.disk.invocations.values()
        result = await engine.invocation(write_invocation(replayed.id)).result()

        assert plain(result) == expected
        assert comparable(journal(engine.disk, row.n)) == comparable(whole)
        assert sum(world.begun.values()) == unrecorded_steps(whole, recorded)


def unrecorded_steps(whole: list[Entry], recorded: set[int]) -> int:
    return sum(1 for entry in whole if isinstance(entry, Run) and entry.completion not in recorded)
