"""What is outside the engine and outlives it: the disk, the clock, the people who answer, and what was seen."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from durable.core.entries import Completed, Run
from durable.core.ids import read_invocation
from durable.core.invocation import Commit, Invocation, Status
from durable.core.outcome import Outcome
from durable.flow import Limit
from durable.runtime.clock import SystemClock
from durable.store.memory import MemoryDisk
from durable.testing.clock import EPOCH_MS
from tests.simulation.chimes import Chimes
from tests.simulation.linear import Done
from tests.simulation.loop import PROCESS, Process
from tests.simulation.rules import Rules
from tests.simulation.scenario import COMMIT_FAULTS, DEATH_IN_OPEN, HOUR, READ_FAULTS, REPEATED_FAULTS, Fault, Scenario
from tests.simulation.tempo import Tempo
from tests.simulation.turnstile import Turnstile


class World:
    def __init__(self, scenario: Scenario, file: Path | None) -> None:
        self.scenario = scenario
        self.file = file
        """Where everything is written if SQLite is the store; ``disk`` then has the same."""
        self.disk = MemoryDisk(secret=bytes(32))
        self.offset_ms = self._furthest_ms = 0
        self.jumped_at = 0.0
        self.violations: list[str] = []
        self.broken = asyncio.Event()
        self.counts: Counter[str] = Counter()
        self.trace = sha256()
        self.lines: list[str] = []
        self.results: dict[tuple[str, str], object] = {}
        """What a client was told, by the tag of its operation and the id of the invocation."""
        self.runs = Counter[str]()
        """How often what has a tag may run once more: it was restarted, or purged and asked for again."""
        self.acknowledged: dict[str, int] = {}
        """Tags of what was accepted, and when the client knew."""
        self.registers: dict[str, list[Done]] = {}
        self.published = asyncio.Queue[str]()
        self._published: set[str] = set()
        self.open_steps: dict[tuple[int, str, str], int] = {}
        self.outcomes: dict[int, Outcome] = {}
        """By the number of the invocation."""
        self.commit_faults = _numbered(scenario.faults, COMMIT_FAULTS)
        self.read_faults = _numbered(scenario.faults, READ_FAULTS)
        self.deaths = {fault.at: fault.by for fault in scenario.faults if fault.kind == DEATH_IN_OPEN}
        """At which call of the store a process dies, by the number of the process."""
        self.is_attempted: Callable[[str], bool] = lambda id: False
        """Whether the engine that runs has an attempt of an invocation."""
        self.rules = Rules()
        self.turnstile, self.tempo = Turnstile(self, self.rules), Tempo(self, self.rules)
        self.chimes = Chimes(self)
        self._chances: dict[str, Random] = {}
        self._events = 0

    # -- chance, time and the trace

    def chance(self, stream: str) -> Random:
        """One for each who asks, so that leaving one of them out changes little for the others."""
        if stream not in self._chances:
            self._chances[stream] = Random(f"{self.scenario.seed} {stream}")
        return self._chances[stream]

    def time_ms(self) -> int:
        """By a clock that is right."""
        return EPOCH_MS + round(asyncio.get_running_loop().time() * 1000)

    def jump(self, by_ms: int) -> None:
        self.offset_ms += by_ms
        self.jumped_at = asyncio.get_running_loop().time()
        self._furthest_ms = max(self._furthest_ms, self.offset_ms)
        self.counts["jumps"] += 1

    def catch_up(self) -> None:
        """Nobody simulates the years until what was asked for on the wrong date comes due."""
        if self._furthest_ms - self.offset_ms > HOUR:
            self.offset_ms = self._furthest_ms
            self.jumped_at = asyncio.get_running_loop().time()

    def event(self) -> int:
        self._events += 1
        return self._events

    def note(self, *what: object) -> None:
        line = f"{asyncio.get_running_loop().time():10.4f}  {' '.join(map(str, what))}"
        self.trace.update(line.encode())
        self.lines.append(line)

    def violated(self, what: str) -> None:
        self.note("VIOLATION", what)
        self.violations.append(what)
        self.broken.set()

    def next_commit(self) -> int:
        self.counts["commits"] += 1
        return self.counts["commits"]

    def next_read(self) -> int:
        self.counts["reads"] += 1
        return self.counts["reads"]

    def committed(self, commit: Commit) -> None:
        for n in commit.purged:
            self.outcomes.pop(n, None)
        self.tempo.committed(commit)
        self.chimes.committed(commit)
        rows = (*commit.accepted.values(), *commit.changed.values())
        self.turnstile.committed(rows)
        self.counts["ready"] += sum(row.status is Status.READY for row in rows)

    # -- limits

    def open(self, limits: tuple[Limit, ...], now_ms: int) -> None:
        """A process begins, with code that declares these."""
        self.turnstile.open(limits)
        self.tempo.open(now_ms)

    def begin_change(self, pattern: str, limit: Limit | None) -> None:
        self.turnstile.begin_change(pattern, limit)
        self.tempo.review()

    def end_change(self) -> None:
        self.turnstile.end_change()
        self.tempo.end_change()

    # -- what handlers do to the outside

    async def step(self, id: str, tag: str) -> str:
        process = PROCESS.get()
        if process.dead:
            raise asyncio.CancelledError
        self.note("step", tag)
        self.counts["steps"] += 1
        self._check_begun(process, id, tag)
        self.open_steps[process.number, id, tag] = 1
        try:
            chance = self.chance(f"step {tag}")
            await asyncio.sleep(chance.choice((0, 0, 0.001, 0.02, 0.3)))
            if chance.random() < 0.1:
                raise OSError("not yet")
            return f"did {tag}"
        finally:
            del self.open_steps[process.number, id, tag]

    def _check_begun(self, process: Process, id: str, tag: str) -> None:
        if (process.number, id, tag) in self.open_steps:
            self.violated(f"two bodies of step {tag} at once")
        n = self.disk.numbers.get(read_invocation(id))
        entries = [] if n is None else self.disk.journal(n)
        asked = {entry.completion for entry in entries if isinstance(entry, Run) and entry.name == tag}
        if not asked:
            self.violated(f"the body of step {tag} begins, and its command is not on the disk")
        if asked & {entry.completion for entry in entries if isinstance(entry, Completed)}:
            self.violated(f"step {tag} is recorded, and runs again")

    async def publish(self, id: str) -> None:
        if PROCESS.get().dead:
            raise asyncio.CancelledError
        self.note("publish", id)
        if id not in self._published:
            self._published.add(id)
            self.published.put_nowait(id)

    def row(self, id: str) -> Invocation | None:
        n = self.disk.numbers.get(read_invocation(id))
        return None if n is None else self.disk.invocations[n]

    # -- what clients were told

    def accepted(self, tag: str, id: str) -> None:
        self.note("accepted", tag)
        self.acknowledged.setdefault(tag, self.event())
        if self.row(id) is None:
            self.violated(f"{tag} was acknowledged, and is not on the disk")

    def answered(self, tag: str, id: str, result: object) -> None:
        self.note("answered", tag, result)
        row = self.row(id)
        if row is None or row.outcome is None:
            self.violated(f"{tag} was answered, and its outcome is not on the disk")
        if (known := self.results.setdefault((tag, id), result)) != result:
            self.violated(f"{tag} was answered {known!r}, then {result!r}")

    def forgotten(self, tag: str, id: str) -> None:
        """A client knows that it was purged: whoever asks for it again has it done again."""
        self.note("forgotten", tag)
        self.counts["purges"] += 1
        self.runs[tag] += 1
        self.results.pop((tag, id), None)
        self._published.clear()  # the same names may come again
        if self.row(id) is not None:
            self.violated(f"{tag} was purged, and is on the disk")


class SimulatedClock(SystemClock):
    """The system's clock over simulated time; no alarm rings in a dead process."""

    def __init__(self, world: World, process: Process) -> None:
        super().__init__()
        self._world, self._process = world, process
        self._ahead_ns = world.offset_ms * 1_000_000

    def now_ms(self) -> int:
        self._ahead_ns = max(self._ahead_ns, self._world.offset_ms * 1_000_000)
        return self._world.time_ms() + self._ahead_ns // 1_000_000

    def call_at(self, due_ms: int, callback: Any, /) -> Any:
        return super().call_at(due_ms, lambda: None if self._process.dead else callback())


def _numbered(faults: tuple[Fault, ...], kinds: tuple[str, ...]) -> dict[int, Fault]:
    """By the numbers of the commits, or reads, that they happen to."""
    found: dict[int, Fault] = {}
    for fault in faults:
        if fault.kind in kinds:
            times = fault.by if fault.kind in REPEATED_FAULTS else 1
            found |= dict.fromkeys(range(fault.at, fault.at + times), fault)
    return found
