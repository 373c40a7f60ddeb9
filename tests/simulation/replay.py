"""Every journal that a simulation leaves behind, walked again: as a whole, and from what each crash could have left.

An engine that dies leaves a beginning of a journal. There the handler takes what is recorded as it is, and goes on as
the journal does: a command that comes next depends on nothing that came after it, be it an answer or a cancellation.
So it asks for the journal's next command, or, if an answer comes before that, it may wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from durable.core.control import KILLED
from durable.core.entries import Command, Completed, Run
from durable.core.journal import Journal
from durable.core.ledger import Directory
from durable.core.outcome import Outcome
from durable.runtime.invoker import Runnables
from durable.serving import bind, directory, runnables, serve
from durable.testing import Recording, TestEngine, replay_check
from tests.simulation.loop import Process
from tests.simulation.services import SERVICES
from tests.simulation.world import World
from tests.walk import Ground, Walk

LONGEST = 3
"""So many journals of a seed are cut off everywhere; all of them, of every tenth seed."""
ENTRIES = 40
"""Where a journal is longer, only its first so many beginnings are walked, and all of it."""


async def replay(world: World) -> None:
    """In a dead process: what a handler reports to the outside from there counts for nothing."""
    process = Process(0)
    process.mark_dead()
    await process.begin(_replay(world))


async def _replay(world: World) -> None:
    services = [each(world) for each in SERVICES]
    engine = TestEngine(*services)
    engine.disk = world.disk
    try:
        world.counts["replays"] = await replay_check(engine, *services)
    except AssertionError as error:
        world.violated(f"replay: {error}")
    served = serve(bind(tuple(services)))
    walker = Replayer(world, directory(served), runnables(served))
    for recording in _sample(world):
        walker.walk(recording)


def _sample(world: World) -> list[Recording]:
    disk = world.disk
    journals = [Recording(row, disk.journal(n), disk.secret) for n, row in sorted(disk.invocations.items())]
    kept = [each for each in journals if each.entries and each.invocation.outcome is not None]
    if world.scenario.seed % 10 == 0:
        return kept
    return sorted(kept, key=lambda each: -len(each.entries))[:LONGEST]


class Replayer:
    def __init__(self, world: World, directory: Directory, runnables: Runnables) -> None:
        self._world, self._directory, self._runnables = world, directory, runnables

    def walk(self, recording: Recording) -> None:
        length = len(recording.entries)
        for count in (*range(min(length, ENTRIES)), length):
            self._world.counts["prefixes"] += 1
            for what in Prefix(recording, count).wrong(self._walked(recording, count)):
                self._world.violated(f"replay: {recording}, of whose {length} entries {count} are there, {what}")

    def _walked(self, recording: Recording, count: int) -> Walk:
        invocation = recording.invocation
        ground = Ground(self._directory, recording.secret, invocation.created_ms)
        walk = Walk(ground, invocation, recording.entries[:count])
        target = invocation.request.target
        walk.go(self._runnables[target.service, target.handler])
        return walk


class Prefix:
    """What an engine may have left of a journal, and where a handler must go on from there."""

    def __init__(self, recording: Recording, count: int) -> None:
        self._whole, self._outcome = recording.entries, recording.invocation.outcome
        self._there, self._rest = self._whole[:count], self._whole[count:]
        self._killed = self._outcome == KILLED
        """Then it might have gone on where its journal ends."""
        self._following = next((entry for entry in self._rest if isinstance(entry, Command)), None)

    def wrong(self, walk: Walk) -> Iterator[str]:
        if walk.diverged or walk.error:
            yield f"diverges: {walk.diverged or repr(walk.error)}"
        elif walk.journal.replaying:
            yield "waits before it has asked for what is recorded"
        elif walk.issued is not None:
            yield from self._wrong_command(walk.issued)
        else:
            yield from self._wrong_wait(walk) if walk.ended is None else self._wrong_end(walk.ended)
            if sorted(walk.begun_steps) != sorted(self._open_steps()):
                yield f"begins steps {walk.begun_steps}, and not {self._open_steps()}"

    def _wrong_command(self, issued: Command) -> Iterator[str]:
        following = self._following
        if not (self._killed if following is None else following.matches(issued)):
            yield f"asks for {issued}, not for {following}"

    def _wrong_end(self, ended: Outcome) -> Iterator[str]:
        if self._following is not None or not (self._killed or ended == self._outcome):
            yield f"ends with {ended}, not with {self._following or self._outcome}"

    def _wrong_wait(self, walk: Walk) -> Iterator[str]:
        """Either for what comes next, or for what comes later."""
        whole = Journal(self._whole)
        told = len(whole.cancels) > len(walk.journal.cancels)
        if self._rest and isinstance(self._rest[0], Command):
            yield f"waits, and does not ask for {self._rest[0]}"
        elif not (self._killed or told or any(awaited.settled(whole) for awaited in walk.awaited)):
            yield f"waits for {walk.awaited}, which never comes"

    def _open_steps(self) -> list[str]:
        done = {entry.completion for entry in self._there if isinstance(entry, Completed)}
        return [entry.name for entry in self._there if isinstance(entry, Run) and entry.completion not in done]
