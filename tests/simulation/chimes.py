"""The runs of schedules, by the commits that write them: no time runs twice, and none is missed that may not be."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from durable.core import schedule
from durable.core.invocation import Commit, Invocation
from durable.core.schedule import Schedule
from durable.runtime.scheduler import SCHEDULE, TIME
from durable.timetable import to_ms

if TYPE_CHECKING:
    from tests.simulation.world import World


class Chimes:
    def __init__(self, world: World) -> None:
        self._world = world
        self._ran: dict[tuple[str, int], int] = {}
        """Which invocation ran for a time, by the schedule and the time."""
        self._forgotten: set[int] = set()
        """Runs without a record: they were cancelled before they began, and a backfill may run their time."""
        self._first: dict[str, Schedule] = {}
        """Each schedule as it was first written."""
        self.disturbed: set[str] = set()
        """Schedules that somebody changed: times may be left out."""

    def committed(self, commit: Commit) -> None:
        for id, row in commit.schedules.items():
            if row is not None:
                self._first.setdefault(id, row)
        self._forgotten.update(commit.purged)
        for row in commit.accepted.values():
            headers = row.request.headers
            if SCHEDULE in headers:
                self._run(headers[SCHEDULE], to_ms(datetime.fromisoformat(headers[TIME])), row)

    def _run(self, id: str, time_ms: int, row: Invocation) -> None:
        self._world.counts["scheduled runs"] += 1
        self._world.note("runs", id, time_ms)
        if row.id == schedule.trigger_id(id, time_ms):
            return
        before = self._ran.get((id, time_ms))
        if before is not None and before not in self._forgotten:
            self._world.violated(f"schedule {id} runs twice for {time_ms}")
        self._ran[id, time_ms] = row.n

    @property
    def ringing(self) -> bool:
        """Whether a schedule has runs left."""
        rows = [msgspec.msgpack.decode(raw, type=Schedule) for raw in self._world.disk.schedules.values()]
        return any(not row.paused and (row.owed or schedule.due_ms(row) is not None) for row in rows)

    def conclude(self) -> None:
        """All is over: what has to catch up with every time, and may skip none, did."""
        if self._world.counts["jumps"]:
            return
        for id, first in self._first.items():
            timetable = first.definition.timetable
            if id in self.disturbed or timetable.catch_up != "all" or timetable.overlap not in ("queue", "allow"):
                continue
            time_ms = timetable.after(first.seen_ms)
            while time_ms is not None:
                if (id, time_ms) not in self._ran:
                    self._world.violated(f"schedule {id} missed {time_ms}")
                time_ms = timetable.after(time_ms)
