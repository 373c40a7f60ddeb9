"""What a schedule owes, and when. No clock: it is told the time, and what of its runs is under way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from durable.core import ids
from durable.core.entries import Target
from durable.core.ids import InvocationId
from durable.timetable import Timetable

GRACE_MS = 60_000
"""With ``catch_up="none"`` a time that is noticed within a minute is not missed: a restart takes seconds."""

ALONE = ("skip", "cancel")
"""The overlaps with which no time queues behind another."""


class Span(NamedTuple):
    """All times after one moment and up to another: as small for a thousand as for one."""

    after_ms: int
    until_ms: int
    late: bool = False
    """Of a downtime or a backfill: where times do not queue, what comes goes before it, and does not cancel it."""


class Run(NamedTuple):
    time_ms: int
    """Of the timetable, or when it was triggered."""
    id: InvocationId


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a schedule is, as somebody wrote it."""

    id: str
    target: Target
    payload: bytes
    headers: dict[str, str] = {}
    timetable: Timetable
    declared: bool = False
    """By the code, which alone changes it."""
    limit_key: str | None = None
    priority: int = 0


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """One row."""

    definition: Definition
    seen_ms: int
    """Every time up to this moment was run, or is owed, or was given up."""
    owed: tuple[Span, ...] = ()
    """Times that will be run, in this order. A queue adds to the last span: only downtimes and backfills add spans."""
    under_way: tuple[InvocationId, ...] = ()
    """Runs that had not ended when this was written."""
    late_run: InvocationId | None = None
    """The last run for a late time, which may be under way."""
    last: Run | None = None
    triggered_ms: int = 0
    paused: bool = False


class Noticed(NamedTuple):
    schedule: Schedule
    cancels: bool
    """Whether runs that are under way are to be cancelled, but for the late one."""


def run_id(schedule: str, time_ms: int) -> InvocationId:
    """Of the run for a time of the timetable, whoever asks for it: there is one."""
    return ids.derived("schedule", schedule, str(time_ms))


def trigger_id(schedule: str, time_ms: int) -> InvocationId:
    return ids.derived("trigger", schedule, str(time_ms))


def begin(definition: Definition, now_ms: int) -> Schedule:
    return Schedule(definition=definition, seen_ms=now_ms)


def redefine(schedule: Schedule, definition: Definition, now_ms: int) -> Schedule:
    """Other times count from now on, and what was owed by the old ones is given up; a paused one stays paused."""
    owed = schedule.owed
    if definition.timetable.overlap in ALONE:
        owed = tuple(span._replace(late=True) for span in owed)
    changed = msgspec.structs.replace(schedule, definition=definition, owed=owed)
    if definition.timetable.times == schedule.definition.timetable.times:
        return changed
    return msgspec.structs.replace(changed, seen_ms=max(now_ms, schedule.seen_ms), owed=())


def due_ms(schedule: Schedule) -> int | None:
    """When it has to be looked at next."""
    if schedule.paused:
        return None
    time_ms = schedule.definition.timetable.after(schedule.seen_ms)
    return None if time_ms is None else starts_ms(schedule, time_ms)


def starts_ms(schedule: Schedule, time_ms: int) -> int:
    """A time with its jitter, which keeps the order of times."""
    timetable = schedule.definition.timetable
    if not timetable.jitter_ms:
        return time_ms
    following = timetable.after(time_ms)
    room = timetable.jitter_ms if following is None else min(timetable.jitter_ms, following - time_ms)
    digest = hashlib.sha256(f"{schedule.definition.id}\0{time_ms}".encode()).digest()
    return time_ms + int.from_bytes(digest[:8], "big") % room


def settle(schedule: Schedule, is_over: Callable[[InvocationId], bool]) -> Schedule:
    """Forget the runs that have ended, and what is owed and has no time: a zone's rules may have changed since."""
    under_way = tuple(id for id in schedule.under_way if not is_over(id))
    owed = tuple(span for span in schedule.owed if _first(schedule.definition.timetable, span) is not None)
    if (under_way, owed) == (schedule.under_way, schedule.owed):
        return schedule
    return msgspec.structs.replace(schedule, under_way=under_way, owed=owed)


def notice(schedule: Schedule, now_ms: int) -> Noticed:
    """Decide on the times that have come since somebody looked."""
    if schedule.paused or (latest := _latest(schedule, now_ms)) is None:
        return Noticed(schedule, False)
    span = _caught_up(schedule, latest, now_ms)
    schedule, seen_ms = msgspec.structs.replace(schedule, seen_ms=latest), schedule.seen_ms
    if span is None:
        return Noticed(schedule, False)
    timetable = schedule.definition.timetable
    if timetable.overlap in ALONE:
        busy, hiccup = bool(schedule.under_way or schedule.owed), now_ms - span.after_ms <= GRACE_MS
        if busy and hiccup:
            span = Span(span.until_ms - 1, span.until_ms)  # the others would have been skipped, or cancelled
        single = timetable.after(span.after_ms) == span.until_ms
        return _noticed_alone(schedule, span) if single else _noticed_late(schedule, span)
    owed = schedule.owed
    if owed and owed[-1].until_ms == seen_ms == span.after_ms:
        owed, span = owed[:-1], span._replace(after_ms=owed[-1].after_ms)
    return Noticed(msgspec.structs.replace(schedule, owed=(*owed, span)), False)


def _noticed_alone(schedule: Schedule, span: Span) -> Noticed:
    """It goes before what is late, and waits at most for the late run that is under way."""
    waits = any(not each.late for each in schedule.owed)
    cancels = schedule.definition.timetable.overlap == "cancel"
    if not cancels and (waits or to_cancel(schedule)):
        return Noticed(schedule, False)
    late = (each for each in schedule.owed if each.late)
    return Noticed(msgspec.structs.replace(schedule, owed=(span, *late)), cancels)


def _noticed_late(schedule: Schedule, span: Span) -> Noticed:
    owed = (*schedule.owed, span._replace(late=True))
    return Noticed(msgspec.structs.replace(schedule, owed=owed), schedule.definition.timetable.overlap == "cancel")


def to_cancel(schedule: Schedule) -> tuple[InvocationId, ...]:
    """The runs that one which comes takes the place of, if it is to cancel them."""
    return tuple(id for id in schedule.under_way if id != schedule.late_run)


def _latest(schedule: Schedule, now_ms: int) -> int | None:
    """The last time that should have started by now."""
    timetable = schedule.definition.timetable
    latest = timetable.latest(schedule.seen_ms, now_ms)
    if latest is not None and starts_ms(schedule, latest) > now_ms:
        return timetable.latest(schedule.seen_ms, latest - 1)  # it started before the one after it was due
    return latest


def _caught_up(schedule: Schedule, latest: int, now_ms: int) -> Span | None:
    timetable, seen_ms = schedule.definition.timetable, schedule.seen_ms
    window_ms = GRACE_MS if timetable.catch_up == "none" else timetable.window_ms
    oldest_ms = seen_ms + 1 if window_ms is None else max(seen_ms + 1, _oldest(schedule, now_ms - window_ms))
    if latest < oldest_ms:
        return None
    if timetable.catch_up == "all":
        return Span(oldest_ms - 1, latest)
    return Span(seen_ms if timetable.after(seen_ms) == latest else latest - 1, latest)


def _oldest(schedule: Schedule, since_ms: int) -> int:
    """The first time that should have started since then, with its jitter; or that moment, if one came after it."""
    last = schedule.definition.timetable.latest(schedule.seen_ms, since_ms)  # those before it started before it was due
    return last if last is not None and starts_ms(schedule, last) >= since_ms else since_ms + 1


def next_ms(schedule: Schedule) -> int | None:
    """The time whose run may start now, of a settled schedule."""
    waits = schedule.under_way and schedule.definition.timetable.overlap != "allow"
    if schedule.paused or waits or not schedule.owed:
        return None
    return _first(schedule.definition.timetable, schedule.owed[0])


def _first(timetable: Timetable, span: Span) -> int | None:
    time_ms = timetable.after(span.after_ms)
    return None if time_ms is None or time_ms > span.until_ms else time_ms


def start(schedule: Schedule, time_ms: int, *, known: bool) -> Schedule:
    """The first time that is owed is run, or ``known`` to have been; it is owed no more."""
    head, *others = schedule.owed
    rest = head._replace(after_ms=time_ms)
    left = [] if _first(schedule.definition.timetable, rest) is None else [rest]
    schedule = msgspec.structs.replace(schedule, owed=(*left, *others))
    if known:
        return schedule
    run = Run(time_ms, run_id(schedule.definition.id, time_ms))
    return _ran(msgspec.structs.replace(schedule, late_run=run.id if head.late else None), run)


def trigger(schedule: Schedule, time_ms: int) -> Schedule:
    """A run beside the timetable."""
    run = Run(time_ms, trigger_id(schedule.definition.id, time_ms))
    return msgspec.structs.replace(_ran(schedule, run), triggered_ms=time_ms)


def _ran(schedule: Schedule, run: Run) -> Schedule:
    watched = schedule.definition.timetable.overlap != "allow"
    under_way = (*schedule.under_way, run.id) if watched else schedule.under_way
    return msgspec.structs.replace(schedule, last=run, under_way=under_way)


def pause(schedule: Schedule, now_ms: int) -> Schedule:
    """What came before is still owed."""
    return msgspec.structs.replace(notice(schedule, now_ms).schedule, paused=True)


def resume(schedule: Schedule, now_ms: int) -> Schedule:
    """What came meanwhile is not caught up."""
    if not schedule.paused:
        return schedule
    return msgspec.structs.replace(schedule, paused=False, seen_ms=max(now_ms, schedule.seen_ms))


def backfill(schedule: Schedule, span: Span) -> Schedule:
    if _first(schedule.definition.timetable, span) is None:
        return schedule
    return msgspec.structs.replace(schedule, owed=(*schedule.owed, span._replace(late=True)))


def give_up(schedule: Schedule) -> Schedule:
    """What waits is not run."""
    return msgspec.structs.replace(schedule, owed=())
