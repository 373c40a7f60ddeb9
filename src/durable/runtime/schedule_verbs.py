"""What people and programs do to schedules. Each verb is one decision, and returns once it is on the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from durable.core import schedule
from durable.core.commands import unknown_handler
from durable.core.ids import write_invocation
from durable.core.lifecycle import Needed
from durable.core.schedule import Definition, Run, Schedule, Span
from durable.errors import ScheduleStateError
from durable.runtime.kernel import Kernel
from durable.runtime.scheduler import Scheduler
from durable.schedules import ScheduleInfo
from durable.sizes import check_headers, check_size
from durable.timetable import to_ms

MOST_SPANS = 100
"""Backfills that wait at once: a row is written whole with each run."""


class ScheduleVerbs:
    """Implements :class:`durable.schedules.ScheduleDoor`."""

    def __init__(
        self, kernel: Kernel, scheduler: Scheduler, check: Callable[[], None], check_input: Callable[[Definition], None]
    ) -> None:
        self._kernel, self._scheduler, self._check, self._check_input = kernel, scheduler, check, check_input

    async def define(self, definition: Definition, /, *, new: bool) -> ScheduleInfo:
        self._check()
        check_size(definition.payload, "the payload")
        check_headers(definition.headers)
        target, now_ms = definition.target, self._kernel.clock.now_ms()
        if (target.service, target.handler) not in self._kernel.ledger.directory:
            raise unknown_handler(target).error()
        self._check_input(definition)
        if definition.id not in (*self._scheduler.rows, *self._scheduler.damaged):
            return await self._write(schedule.begin(definition, now_ms))
        row = self._own(definition.id)
        if new:
            raise ScheduleStateError(f"there is a schedule {definition.id!r} already; put() changes it, over HTTP PUT")
        return await self._write(schedule.redefine(self._settled(row), definition, now_ms))

    async def all(self) -> list[ScheduleInfo]:
        found = [self._info(row) for _, row in sorted(self._scheduler.rows.items())]
        await self._kernel.writer.until(self._kernel.ledger.number - 1)
        return found

    async def get(self, id: str, /) -> ScheduleInfo:
        found = self._info(self._scheduler.find(id))
        await self._kernel.writer.until(self._kernel.ledger.number - 1)
        return found

    async def pause(self, id: str, /) -> ScheduleInfo:
        return await self._change(id, schedule.pause)

    async def resume(self, id: str, /) -> ScheduleInfo:
        return await self._change(id, schedule.resume)

    async def trigger(self, id: str, /) -> str:
        self._check()

        def run() -> Run:
            ledger, row = self._kernel.ledger, self._scheduler.find(id)
            time_ms = max(self._kernel.clock.now_ms(), row.triggered_ms + 1)
            while ledger.has(schedule.trigger_id(id, time_ms)):  # of another schedule that had this id
                time_ms += 1
            return Run(time_ms, schedule.trigger_id(id, time_ms))

        def needs() -> Iterator[Needed]:
            yield from self._scheduler.run_needs(self._scheduler.find(id), run())

        async with self._kernel.residency.hold(needs):
            row, chosen = self._scheduler.find(id), run()
            if (skips := self._scheduler.accept(row, chosen, self._kernel.clock.now_ms())) is not None:
                raise skips.error()
            self._scheduler.write(schedule.trigger(self._settled(row), chosen.time_ms))
            number = self._kernel.act()
        self._scheduler.arm()
        await self._kernel.writer.until(number)
        return write_invocation(chosen.id)

    async def backfill(self, id: str, start: datetime, end: datetime, /) -> ScheduleInfo:
        span = _span(start, end, self._kernel.clock.now_ms())
        if len(self._scheduler.find(id).owed) >= MOST_SPANS:
            raise ScheduleStateError(f"schedule {id!r} has {MOST_SPANS} spans of time to run already; ask again later")
        return await self._change(id, lambda row, now_ms: schedule.backfill(row, span))

    async def give_up(self, id: str, /) -> ScheduleInfo:
        return await self._change(id, lambda row, _: schedule.give_up(row))

    async def delete(self, id: str, /) -> None:
        self._check()
        if id not in self._scheduler.damaged:
            self._own(id)
        self._scheduler.remove(id)
        await self._kernel.writer.until(self._kernel.act())

    async def _change(self, id: str, change: Callable[[Schedule, int], Schedule]) -> ScheduleInfo:
        self._check()
        row = self._settled(self._scheduler.find(id))
        return await self._write(change(row, self._kernel.clock.now_ms()))

    async def _write(self, row: Schedule) -> ScheduleInfo:
        self._scheduler.write(row)
        number = self._kernel.act()
        self._scheduler.arm()
        found = self._info(row)
        await self._kernel.writer.until(number)
        return found

    def _own(self, id: str) -> Schedule:
        row = self._scheduler.find(id)
        if row.definition.declared:
            raise ScheduleStateError(f"schedule {id!r} is declared in the code; change it there, or pause it")
        return row

    def _settled(self, row: Schedule) -> Schedule:
        return schedule.settle(row, lambda id: not self._scheduler.watches(id))

    def _info(self, row: Schedule) -> ScheduleInfo:
        definition, last = row.definition, row.last
        return ScheduleInfo(
            id=definition.id,
            service=definition.target.service,
            handler=definition.target.handler,
            key=definition.target.key,
            timetable=definition.timetable,
            declared=definition.declared,
            paused=row.paused,
            next_at=_moment(schedule.due_ms(row)),
            last_at=None if last is None else _moment(last.time_ms),
            last_run=None if last is None else write_invocation(last.id),
            limit_key=definition.limit_key,
            priority=definition.priority,
            under_way=tuple(write_invocation(id) for id in self._settled(row).under_way),
            waiting=bool(row.owed),
            problem=self._scheduler.problems.get(definition.id),
        )


def _span(start: datetime, end: datetime, now_ms: int) -> Span:
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            raise ValueError(f"{name} is a datetime with a zone, got {moment!r}")
    if end <= start:
        raise ValueError(f"the end of a backfill ({end}) is not after its start ({start})")
    if start < _EARLIEST:
        raise ValueError(f"a backfill begins in 1970 at the earliest, got {start}")
    if to_ms(end) > now_ms + 1:
        raise ValueError(f"a backfill ends now at the latest, got {end}: what comes then is run by itself")
    return Span(to_ms(start) - 1, to_ms(end) - 1)


_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
