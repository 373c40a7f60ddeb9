"""Schedules as their users see them: ``@schedule`` on a handler, and ``engine.schedules``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from datetime import datetime
from typing import ParamSpec, Protocol, TypeVar, Unpack

import msgspec

from durable.client import Door, Invocation
from durable.core.entries import Target
from durable.core.invocation import Kind
from durable.core.schedule import Definition
from durable.handlers import DeclaredSchedule, Handler, check_handler
from durable.machine import Outgoing
from durable.serde import plain
from durable.sizes import LONGEST_NAME, check_text
from durable.timetable import Timetable, TimetableKeywords

T = TypeVar("T")
P = ParamSpec("P")
H = TypeVar("H", bound=Handler[..., object])


def schedule(
    cron: str | None = None,
    /,
    *,
    name: str | None = None,
    key: str | None = None,
    **keywords: Unpack[TimetableKeywords],
) -> Callable[[H], H]:
    """Run a handler again and again: ``@schedule("0 3 * * *", tz="Europe/Paris")`` above ``@handler``.

    ``keywords`` are those of :class:`Timetable`. A handler that is called with a key needs ``key``. The schedule's id
    is ``Service.handler``; with a ``name``, which a second one on the same handler needs, ``Service.handler.name``.
    """
    declared = DeclaredSchedule(Timetable(cron, **keywords), _checked(name), key)

    def wrap(handler: H) -> H:
        check_scheduled(handler)
        scheduled = copy(handler)
        scheduled.schedules = (declared, *handler.schedules)
        return scheduled

    return wrap


def check_scheduled(handler: object) -> None:
    if not isinstance(handler, Handler):
        raise TypeError("@schedule is for a handler; write it above @handler, not below")
    if handler.kind is Kind.WORKFLOW:
        raise TypeError(
            f"{handler} is the run of a workflow, of which there is one per key; "
            "schedule a handler that calls it with a new key"
        )


_NO_INPUT = (
    "@schedule takes a key=; one with an input is put at run time, with `await engine.schedules.put(id, "
    "Timetable(...), handler, input)`"
)


def definitions_of(handler: Handler[..., object]) -> list[Definition]:
    """The schedules that are declared on a handler; :class:`TypeError` if one cannot call it."""
    found = dict[str, Definition]()
    for declared in handler.schedules:
        id = f"{handler}.{declared.name}" if declared.name else str(handler)
        if id in found:
            raise TypeError(f"{handler} has two schedules {id!r}; give one of them another `name=`")
        args = () if declared.key is None else (declared.key,)
        outgoing = _outgoing(id, handler, args, {}, _NO_INPUT)
        found[id] = Definition(
            id=id, target=outgoing.target, payload=outgoing.payload, timetable=declared.timetable, declared=True
        )
    return list(found.values())


def _outgoing(
    id: str, handler: Handler[..., object], args: tuple[object, ...], kwargs: Mapping[str, object], hint: str
) -> Outgoing:
    try:
        return handler.outgoing(args, kwargs)
    except TypeError as error:
        raise TypeError(f"the schedule {id!r} cannot call its handler: {error}; {hint}") from error


class ScheduleInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it is now."""

    id: str
    service: str
    handler: str
    key: str | None
    timetable: Timetable
    declared: bool
    """By the code, which alone can change or remove it."""
    paused: bool
    next_at: datetime | None
    """When the next run is due; ``None`` if it is paused, or over."""
    last_at: datetime | None
    """The time of the timetable that the last run was for, or when it was triggered."""
    last_run: str | None
    """The id of the last run's invocation."""
    limit_key: str | None
    priority: int
    under_way: tuple[str, ...]
    """The ids of runs that have not ended; with ``overlap="allow"`` nobody keeps count."""
    waiting: bool
    """Whether times that have come wait for their run."""
    problem: str | None
    """Why it stands still."""


class ScheduleDoor(Protocol):
    """The verbs of schedules, over bytes. All but ``all`` raise :class:`ScheduleNotFoundError`."""

    async def define(self, definition: Definition, /, *, new: bool) -> ScheduleInfo: ...
    async def all(self) -> list[ScheduleInfo]: ...
    async def get(self, id: str, /) -> ScheduleInfo: ...
    async def pause(self, id: str, /) -> ScheduleInfo: ...
    async def resume(self, id: str, /) -> ScheduleInfo: ...
    async def trigger(self, id: str, /) -> str: ...
    async def backfill(self, id: str, start: datetime, end: datetime, /) -> ScheduleInfo: ...
    async def give_up(self, id: str, /) -> ScheduleInfo: ...
    async def delete(self, id: str, /) -> None: ...


class Schedules:
    """What an engine runs again and again. Every verb returns once what it did is on the disk."""

    def __init__(self, door: ScheduleDoor, invocations: Door) -> None:
        self.door = door
        self._invocations = invocations

    async def create(
        self, id: str, timetable: Timetable, handler: Handler[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> ScheduleInfo:
        """A new schedule, which calls ``handler`` with these arguments; :class:`ScheduleStateError` if it is there."""
        return await self.door.define(_definition(id, timetable, handler, args, kwargs), new=True)

    async def put(
        self, id: str, timetable: Timetable, handler: Handler[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> ScheduleInfo:
        """Create it, or let the one that is there be so. It stays paused if it was; other times count from now on."""
        return await self.door.define(_definition(id, timetable, handler, args, kwargs), new=False)

    async def all(self) -> list[ScheduleInfo]:
        """In order of id."""
        return await self.door.all()

    async def get(self, id: str, /) -> ScheduleInfo:
        """Everything about one; :class:`ScheduleNotFoundError` if there is none, as from the verbs below."""
        return await self.door.get(id)

    async def pause(self, id: str, /) -> ScheduleInfo:
        """No run starts any more by itself; those under way go on."""
        return await self.door.pause(id)

    async def resume(self, id: str, /) -> ScheduleInfo:
        """Go on with the next time; what came while it was paused is not caught up."""
        return await self.door.resume(id)

    async def trigger(self, id: str, /) -> Invocation[object]:
        """Start a run now, whether or not it is paused or another one is under way."""
        return Invocation(self._invocations, run := await self.door.trigger(id), plain(f"the output of {run}"))

    async def backfill(self, id: str, start: datetime, end: datetime, /) -> ScheduleInfo:
        """Run all times from ``start`` on and before ``end``, one after the other, but for those whose run is known."""
        _check_moment(start, "start")
        _check_moment(end, "end")
        return await self.door.backfill(id, start, end)

    async def give_up(self, id: str, /) -> ScheduleInfo:
        """Run nothing of what waits, from a downtime, a backfill or a queue; the times that come are as ever."""
        return await self.door.give_up(id)

    async def delete(self, id: str, /) -> None:
        """It is forgotten; runs that are under way go on."""
        await self.door.delete(id)


def checked_id(id: str) -> str:
    id = check_text(id, "the id of a schedule", LONGEST_NAME)
    if not id or "/" in id:
        raise ValueError(f"the id of a schedule is not empty, and has no slash, got {id!r}")
    return id


def _checked(name: str | None) -> str | None:
    return None if name is None else checked_id(name)


def _definition(
    id: str, timetable: Timetable, handler: Handler[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> Definition:
    check_handler(handler)
    check_scheduled(handler)
    check_timetable(timetable)
    if handler.idempotency_key is not None or handler.identity is not None:
        raise ValueError(f"the runs of a schedule have no idempotency key and no identity; leave them out of {handler}")
    outgoing = _outgoing(id, handler, args, kwargs, "its key and its input follow the handler")
    target: Target = outgoing.target
    return Definition(
        id=checked_id(id),
        target=target,
        payload=outgoing.payload,
        headers=dict(outgoing.headers),
        timetable=timetable,
        limit_key=outgoing.limit_key,
        priority=outgoing.priority,
    )


def _check_moment(given: object, name: str) -> None:
    if not isinstance(given, datetime):
        raise TypeError(
            f"the {name} of a backfill is a datetime, got {given!r}; write datetime(2026, 1, 31, tzinfo=UTC)"
        )


def check_timetable(given: object) -> None:
    if not isinstance(given, Timetable):
        raise TypeError(f"a schedule has a Timetable, got {given!r}; write Timetable('0 3 * * *', tz='Europe/Paris')")
