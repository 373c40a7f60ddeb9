"""Counts who is in a handler, by what handlers do themselves: never more than its limits say.

What is not certain counts for the engine: a limit that is being changed, who was let in before it was, who may have
been killed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from durable import TerminalError
from durable.core.ids import read_invocation, write_invocation
from durable.core.invocation import Invocation, Status
from durable.core.lifecycle import waits_to_start
from durable.flow import Limit
from tests.simulation.loop import PROCESS, Process
from tests.simulation.rules import Path, Rules

if TYPE_CHECKING:
    from tests.simulation.world import World

INSTANT = 1e-6
"""Seconds after which whoever was told to leave has left: time passes only when nothing can run."""


class Turnstile:
    def __init__(self, world: World, rules: Rules) -> None:
        self._world, self._rules = world, rules
        self._present: dict[Path, set[str]] = {}
        self._holders: dict[Path, set[str]] = {}
        """Who has begun where slots are held, and has not ended."""
        self._steady = True
        """No limit was ever changed."""
        self._recovering = dict[str, int]()
        """Who ran when the last process ended, and does not yet; and how long its journal was."""
        self._held = set[str]()
        """Who ever did: its slots may be kept again, when slots are."""
        self._ended: dict[str, tuple[Path, ...]] = {}
        """Whose handler returned, and who held what; that may not be on the disk yet."""
        self._excused: set[str] = set()
        """Who was let in by other limits than those that hold now, and has not left since."""
        self._pardoned = set[str]()
        """Who was, and has left; if that is not on the disk when the process dies, they run again."""
        self._tags: dict[str, str] = {}
        self.disturbed: set[str] = set()
        """Tags of what somebody killed or paused: nobody knows when their slots are free."""

    # -- what handlers do

    @contextmanager
    def visit(self, id: str, tag: str, paths: Iterable[Path]) -> Iterator[None]:
        process, there = PROCESS.get(), tuple(paths)
        self._tags[id] = tag.split(".")[0]
        ended = True
        if not process.dead:
            self._enter(process, id, there)
        try:
            yield
        except BaseException as error:
            ended = isinstance(error, TerminalError)
            raise
        finally:
            if not process.dead:
                self._leave(id, there, ended=ended)

    def _enter(self, process: Process, id: str, paths: tuple[Path, ...]) -> None:
        self._ended.pop(id, None)
        self._recovering.pop(id, None)
        for path in paths:
            most, others = self._rules.most(path), self._counted(path)
            if most is not None and id not in others | self._excused and len(others) >= most:
                check = asyncio.get_running_loop().call_later
                check(INSTANT, self._check, process, id, path, others, most)
            self._present.setdefault(path, set()).add(id)
            if self._rules.holds(path):
                self._holders.setdefault(path, set()).add(id)
                self._held.add(id)

    def _check(self, process: Process, id: str, path: Path, others: set[str], most: int) -> None:
        # Whose attempt is over may wait for a slow read before it leaves, and does nothing any more.
        at_work = {id for id in self._present.get(path, ()) if self._world.is_attempted(id)}
        there = others & self._counted(path) & (at_work | self._holders.get(path, set()))
        if not process.dead and len(there) >= most and self._tags[id] not in self.disturbed:
            who = sorted(self._tags[each] or each for each in there)
            name = self._tags[id] or id
            self._world.violated(f"{name} is let in at {'/'.join(path)}, where {most} may be, and {who} are")

    def _leave(self, id: str, paths: tuple[Path, ...], *, ended: bool) -> None:
        if id in self._excused:
            self._excused.discard(id)
            self._pardoned.add(id)
        held = tuple(path for path in paths if id in self._holders.get(path, ()))
        for path in paths:
            self._present[path].discard(id)
        if ended:
            self._ended[id] = held
            for path in held:
                self._holders[path].discard(id)
        else:
            for path in filter(self._rules.may_hold, paths):
                self._held.add(id)
                if self._rules.holds(path):
                    self._holders.setdefault(path, set()).add(id)

    def _counted(self, path: Path) -> set[str]:
        there = self._present.get(path, set()) | self._holders.get(path, set())
        return {id for id in there if self._tags[id] not in self.disturbed}

    def committed(self, rows: Iterable[Invocation]) -> None:
        """Who ran has its slots again, before others are let in: unless it went on, and waited for something."""
        for row in rows if self._recovering else ():
            had = self._recovering.pop(write_invocation(row.id), None)
            stands = row.status is Status.READY and had == len(self._world.disk.journal(row.n))
            if stands and self._steady:
                self._world.violated(f"{row.request.target} ran when the last process ended, and another has its slot")

    # -- what becomes of the limits

    def open(self, limits: tuple[Limit, ...]) -> None:
        """Nobody is in a handler: a process begins, with code that declares these limits."""
        self._present = {}
        self._recovering = {id: self._journaled(id) for id in sorted(self._in(Status.RUNNING))}
        self._excused |= self._pardoned & self._recovering.keys()
        self._pardoned = set()
        if self._rules.deploy(limits):
            self._steady = False
            self._review()
            self._excused |= self._held
        for id, paths in self._ended.items():
            for path in paths:
                self._holders.setdefault(path, set()).add(id)
        self._ended = {}
        self._holders = {path: {id for id in ids if self._has_begun(id)} for path, ids in self._holders.items()}
        bounds = ((len(ids), self._rules.most(path)) for path, ids in self._holders.items())
        if any(most is not None and count > most for count, most in bounds):
            for ids in self._holders.values():
                ids -= self._in(Status.RUNNING)  # not all of them have their slots again

    def begin_change(self, pattern: str, limit: Limit | None) -> None:
        self._rules.begin_change(pattern, limit)
        self._steady = False
        self._review()

    def end_change(self) -> None:
        """It is on the disk, and so is whoever was let in before."""
        self._rules.end_change()
        self._review()
        self._excused |= self._held | self._in(Status.READY)  # one may have got its slot before, and be read since
        for path, ids in self._present.items():
            if self._rules.holds(path):
                self._holders.setdefault(path, set()).update(ids)

    def _review(self) -> None:
        self._excused |= self._in(Status.RUNNING)
        self._holders = {path: ids for path, ids in self._holders.items() if self._rules.holds(path)}

    def _in(self, status: Status) -> set[str]:
        rows = self._world.disk.invocations.values()
        return {write_invocation(row.id) for row in rows if row.status is status}

    def _journaled(self, id: str) -> int:
        return len(self._world.disk.journal(self._world.disk.numbers[read_invocation(id)]))

    def _has_begun(self, id: str) -> bool:
        """And not ended, as the disk has it."""
        n = self._world.disk.numbers.get(read_invocation(id))
        row = None if n is None else self._world.disk.invocations[n]
        return row is not None and row.status is not Status.COMPLETED and not waits_to_start(row)
