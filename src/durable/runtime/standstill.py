"""What could have moved between two looks at a running engine, and did not: lanes and schedules. It mends nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from durable.audit import Finding
from durable.audit.auditor import Rest
from durable.audit.reader import Reader, reading
from durable.core import schedule
from durable.core.ids import write_invocation
from durable.core.invocation import Status
from durable.core.lanes import Lane
from durable.core.moments import write_moment
from durable.errors import DamagedError
from durable.runtime.beside import Beside
from durable.runtime.gatekeeper import Gatekeeper
from durable.runtime.kernel import Kernel
from durable.runtime.scheduler import Scheduler
from durable.store.rows import read_schedule

LATE_MS = 60_000
"""What can move waits no longer than this, after the clock stepped forward too."""


class Waiting(NamedTuple):
    ready: int
    pending: int


class _Seen(NamedTuple):
    """When somebody looked at a lane that could let one in, and how many had left it by then."""

    left: int
    since_ms: int


class Standstill:
    def __init__(self, kernel: Kernel, beside: Beside, gatekeeper: Gatekeeper, scheduler: Scheduler) -> None:
        self._kernel, self._beside, self._gatekeeper, self._scheduler = kernel, beside, gatekeeper, scheduler
        self._seen: dict[Lane, _Seen] = {}

    async def look(self, now_ms: int, late_ms: int | None) -> list[Finding]:
        """I9 of a running engine. What was due before ``late_ms`` must have happened."""
        overdue = [] if late_ms is None else await self._overdue(late_ms)
        return [*await self._unmoved(now_ms), *await self._miscounted(), *overdue]

    # -- lanes

    async def _unmoved(self, now_ms: int) -> list[Finding]:
        """Nothing holds them back, and nobody left them for a while: nobody lets in who is there."""
        before, self._seen = self._seen, {}
        admission, found = self._kernel.ledger.admission, list[Finding]()
        for lane in [lane for lane in admission.lanes.values() if self._could_move(lane, now_ms)]:
            last = before.get(lane)
            self._seen[lane] = last if last is not None and last.left == lane.left else _Seen(lane.left, now_ms)
        for lane, seen in list(self._seen.items()):
            if now_ms - seen.since_ms >= LATE_MS:
                first = await self._kernel.store.ready(lane.text, after=0, limit=1)
                what = (
                    f"it is ready, no limit holds back the {lane.waiting} of its lane {lane.text!r}, and none of them "
                    f"was let in for {(now_ms - seen.since_ms) // 1000} seconds or more; open the engine again"
                )
                found += [Finding("I9", write_invocation(id), what) for _, id in first]
        return found

    def _could_move(self, lane: Lane, now_ms: int) -> bool:
        """Of an engine that is as it must be, only as long as the gatekeeper is at it."""
        if lane.picked:
            return True
        held_back = self._kernel.ledger.admission.opening or self._gatekeeper.errand.busy
        return lane.eager and not held_back and lane.find_blocker(now_ms) is None

    async def _miscounted(self) -> list[Finding]:
        """Where others wait than the file says: whoever is not counted is not let in."""
        first = await self._differing()
        again = await self._differing() if first else {}  # what was dropped and made anew meanwhile looked unmoved
        what = "the lane {!r} counts {} ready and {} pending, and the file has {} and {}; open the engine again"
        return [
            Finding("I9", "limits", what.format(lane, *counts, *there))
            for lane, (counts, there) in again.items()
            if first.get(lane) == (counts, there)
        ]

    async def _differing(self) -> dict[str, tuple[Waiting, Waiting]]:
        """Of lanes that nobody joined or left, from before the file had all that was decided until it was read."""
        before = self._counted()
        there = await self._beside.run(_read_lanes)
        after, nobody = self._counted(), (Waiting(0, 0), 0)
        counts = {
            lane: (before.get(lane, nobody)[0], there.get(lane, Waiting(0, 0)))
            for lane in before.keys() | there.keys()
            if before.get(lane) == after.get(lane)
        }
        return {lane: both for lane, both in counts.items() if both[0] != both[1]}

    def _counted(self) -> Mapping[str, tuple[Waiting, int]]:
        """By the text of the lane; with how many left it, or one that goes and one that comes would be no change."""
        lanes = self._kernel.ledger.admission.lanes.values()
        return {lane.text: (Waiting(lane.waiting, lane.pending), lane.left) for lane in lanes}

    # -- schedules

    async def _overdue(self, late_ms: int) -> list[Finding]:
        """But for those that stand still for a reason, which was told."""
        what = "its next run was due at {}, and did not begin; open the engine again"
        return [
            Finding("I9", f"schedule {id!r}", what.format(write_moment(due_ms)))
            for id, due_ms in await self._beside.run(partial(_read_overdue, late_ms))
            if id not in self._scheduler.problems
        ]


def _read_lanes(path: Path, rest: Rest) -> dict[str, Waiting]:
    with reading(path) as connection:
        rows = Reader(connection).rows("lanes")
    ready = {lane: count for lane, status, count in rows if status == Status.READY}
    pending = {lane: count for lane, status, count in rows if status == Status.PENDING}
    return {lane: Waiting(ready.get(lane, 0), pending.get(lane, 0)) for lane in ready | pending}


def _read_overdue(late_ms: int, path: Path, rest: Rest) -> list[tuple[str, int]]:
    with reading(path) as connection:
        return list(_overdue(Reader(connection), late_ms))


def _overdue(reader: Reader, late_ms: int) -> Iterator[tuple[str, int]]:
    for row in reader.rows("schedules"):
        with suppress(DamagedError):  # a finding of its own
            found = read_schedule(row)
            due_ms = schedule.due_ms(found)
            if due_ms is not None and due_ms < late_ms:
                yield found.definition.id, due_ms
