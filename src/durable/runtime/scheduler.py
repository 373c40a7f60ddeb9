"""Starts the runs of schedules: all are in memory, a row each. A run and its schedule's row are one commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from durable.core import lifecycle, schedule
from durable.core.commands import unknown_handler
from durable.core.ids import CANCEL, InvocationId
from durable.core.invocation import Request
from durable.core.ledger import Resident
from durable.core.lifecycle import Needed
from durable.core.outcome import Failure
from durable.core.schedule import Definition, Run, Schedule
from durable.core.single import cancel, make_way, skipped, way_needs
from durable.errors import DamagedError, ScheduleNotFoundError
from durable.runtime.errand import Errand
from durable.runtime.kernel import Kernel

log = logging.getLogger("durable.scheduler")


class Plan(NamedTuple):
    """What one look at a schedule decides."""

    schedule: Schedule
    cancels: bool
    run: Run | None
    """Which starts."""


class Scheduler:
    def __init__(self, kernel: Kernel, *, version: str) -> None:
        self._kernel, self._version = kernel, version
        self.rows: dict[str, Schedule] = {}
        self.damaged: dict[str, str] = {}
        """Rows that cannot be read, and why: they stay as they are, and their ids are taken."""
        self.problems: dict[str, str] = {}
        """Why a schedule stands still until the engine is opened again."""
        self._due: dict[str, int] = {}
        self._ready: set[str] = set()
        self._watched: dict[InvocationId, str] = {}
        self.errand = Errand(kernel, self._look_at_all, self.arm)

    async def open(self, declared: Sequence[Definition]) -> None:
        """Read all there are, and let those that the code declares be as it says."""
        loaded = await self._kernel.store.schedules()
        self.damaged = loaded.damaged
        for row in loaded.schedules:
            self._remember(row)
        self._declare({each.id: each for each in declared})
        self._ready = set(self.rows)

    def _declare(self, declared: dict[str, Definition]) -> None:
        now_ms = self._kernel.clock.now_ms()
        for id in [id for id, row in self.rows.items() if row.definition.declared and id not in declared]:
            self.remove(id)
        for id, definition in declared.items():
            row = self.rows.get(id)
            if id not in self.damaged and (row is None or row.definition != definition):
                begun = schedule.begin(definition, now_ms)
                self.write(begun if row is None else schedule.redefine(row, definition, now_ms))
        if self._kernel.ledger.commit.schedules:
            self._kernel.act()

    def arm(self) -> None:
        """Look again when the next one is due; now, if something happened to one."""
        if self.errand.busy:
            return
        if self._ready:
            self.errand.begin()
        else:
            self.errand.begin_at(min(self._due.values(), default=None))

    def done(self, id: InvocationId) -> None:
        """Effect: an invocation has ended. Another run may have waited for that."""
        waiting = self._watched.pop(id, None)
        if waiting is not None:
            self._ready.add(waiting)
            self.arm()

    # -- rows; each call is part of a decision

    def find(self, id: str) -> Schedule:
        if id in self.damaged:
            raise DamagedError(self.damaged[id])
        if id not in self.rows:
            raise ScheduleNotFoundError(
                f"there is no schedule {id!r}; `await engine.schedules.all()`, over HTTP GET /schedules, says which are"
            )
        return self.rows[id]

    def write(self, row: Schedule) -> None:
        self._kernel.ledger.commit.schedules[row.definition.id] = row
        self.problems.pop(row.definition.id, None)
        self._remember(row)
        self._ready.add(row.definition.id)

    def remove(self, id: str) -> None:
        self._kernel.ledger.commit.schedules[id] = None
        for known in (self.rows, self.damaged, self.problems, self._due):
            known.pop(id, None)

    def _remember(self, row: Schedule) -> None:
        definition = row.definition
        self.rows[definition.id] = row
        self._watched.update(dict.fromkeys(row.under_way, definition.id))
        if (definition.target.service, definition.target.handler) not in self._kernel.ledger.directory:
            self.problems[definition.id] = unknown_handler(definition.target).message
        self._due.pop(definition.id, None)
        due_ms = None if definition.id in self.problems else schedule.due_ms(row)
        if due_ms is not None:
            self._due[definition.id] = due_ms

    # -- runs

    async def _look_at_all(self) -> None:
        before = 0
        while ids := self._take_due():
            for id in ids:
                await self._look_at(id)
                await asyncio.sleep(0)  # others get their turn
            # One round is written while the next one is decided.
            before, last = self._kernel.ledger.number - 1, before
            await self._kernel.writer.until(last, patient=True)

    def _take_due(self) -> list[str]:
        now_ms = self._kernel.clock.now_ms()
        ready, self._ready = self._ready, set()
        ready.update(id for id, due_ms in self._due.items() if due_ms <= now_ms)
        return sorted(ready - self.problems.keys())

    async def _look_at(self, id: str) -> None:
        try:
            await self._advance(id)
        except DamagedError as error:
            log.critical("schedule %r stands still, what it needs cannot be read: %s", id, error)
            self.problems[id] = str(error)
            self._due.pop(id, None)

    async def _advance(self, id: str) -> None:
        now_ms = self._kernel.clock.now_ms()

        def needs() -> Iterator[Needed]:
            row = self.rows.get(id)
            if row is not None:
                yield from row.under_way
                # Asked again once those are there, or are known not to be: a run may have left no record.
                yield from self._plan_needs(self._plan(row, now_ms))

        async with self._kernel.residency.hold(needs):
            row = self.rows.get(id)
            if row is not None:
                self._carry_out(row, self._plan(row, now_ms), self._kernel.clock.now_ms())

    def _plan(self, row: Schedule, now_ms: int) -> Plan:
        noticed = schedule.notice(schedule.settle(row, self._is_over), now_ms)
        time_ms = schedule.next_ms(noticed.schedule)
        run = None if time_ms is None else Run(time_ms, schedule.run_id(row.definition.id, time_ms))
        return Plan(noticed.schedule, noticed.cancels, run)

    def _plan_needs(self, plan: Plan) -> Iterator[Needed]:
        for resident in self._to_cancel(plan):
            yield from lifecycle.signal_needs(self._kernel.ledger, resident, CANCEL)
        if plan.run is not None:
            yield from self.run_needs(plan.schedule, plan.run)

    def _to_cancel(self, plan: Plan) -> list[Resident]:
        ids = schedule.to_cancel(plan.schedule) if plan.cancels else ()
        found = [self._kernel.ledger.find(id) for id in ids]
        return [resident for resident in found if resident is not None]

    def _carry_out(self, row: Schedule, plan: Plan, now_ms: int) -> None:
        """One decision: what was noticed, at most one run, and the row that says so."""
        ledger, after = self._kernel.ledger, plan.schedule
        cancel(ledger, self._to_cancel(plan), now_ms)
        for ended in set(row.under_way) - set(after.under_way):
            self._watched.pop(ended, None)
        if plan.run is not None:
            known = ledger.has(plan.run.id)
            skips = not known and self.accept(after, plan.run, now_ms) is not None
            after = schedule.start(after, plan.run.time_ms, known=known or skips)
        elif after.seen_ms == row.seen_ms:
            self._remember(after)  # at most, a run ended: that is on the disk with the run itself
            return
        self.write(after)
        self._kernel.act()

    def watches(self, id: InvocationId) -> bool:
        """Whether a run is under way, as far as somebody looked."""
        return id in self._watched

    def _is_over(self, id: InvocationId) -> bool:
        """One that cannot be read will not run again."""
        resident = self._kernel.ledger.find(id)
        return resident is None or resident.invocation.outcome is not None

    def run_needs(self, row: Schedule, run: Run) -> Iterator[Needed]:
        request = self._request(row, run)
        yield run.id
        yield from lifecycle.accept_needs(request, run.id)
        yield from way_needs(self._kernel.ledger, request)

    def accept(self, row: Schedule, run: Run, now_ms: int) -> Failure | None:
        """Why it is skipped, if it is: its handler is a singleton, and busy."""
        ledger, request = self._kernel.ledger, self._request(row, run)
        if (held := ledger.held_for_ever(request)) is not None:
            raise DamagedError(held)
        way = make_way(ledger, request, now_ms, None)
        if way.skipped_for is not None:
            return skipped(way.skipped_for)
        lifecycle.accept(ledger, way.request, run.id, now_ms, way.due_ms)
        return None

    def _request(self, row: Schedule, run: Run) -> Request:
        definition, ledger = row.definition, self._kernel.ledger
        target = definition.target
        time = datetime.fromtimestamp(run.time_ms / 1000, UTC).isoformat()
        headers = {**definition.headers, SCHEDULE: definition.id, TIME: time}
        rule = ledger.directory.get((target.service, target.handler))
        if rule is None:
            raise unknown_handler(target).error()
        return msgspec.structs.replace(
            rule.request(target, definition.payload, headers, None),
            limit=rule.limit_of(definition.limit_key),
            priority=definition.priority,
            version=self._version,
        )


SCHEDULE, TIME = "x-schedule-id", "x-schedule-time"
"""Headers that tell a handler which schedule it runs for, and for which time."""
