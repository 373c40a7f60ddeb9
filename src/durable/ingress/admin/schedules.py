"""The routes of schedules: what runs again and again, and what can be done to it. Ours: Restate has none."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from durable.core.entries import Target
from durable.core.invocation import Kind
from durable.core.schedule import Definition
from durable.errors import PayloadError, TerminalError
from durable.flow import check_limit_key, check_priority, no_named_limit
from durable.ingress import paths
from durable.ingress.admin import replies
from durable.ingress.admin.door import Administered
from durable.ingress.bodies import read_json
from durable.ingress.refusal import Refusal
from durable.runtime.requests import HandlerInfo
from durable.schedules import checked_id
from durable.timetable import Timetable

T = TypeVar("T")

_MAX_BODY = 32 * 1024 * 1024


class _Timetable(Timetable, frozen=True, forbid_unknown_fields=True):
    """As somebody writes it; a row may be of a later release."""


class _Put(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Durations are ISO 8601, as ``PT5M``, or seconds."""

    service: str
    handler: str
    timetable: _Timetable
    key: str | None = None
    input: msgspec.Raw = msgspec.Raw()
    headers: dict[str, str] = {}
    limit_key: str | None = None
    priority: int = 0


class _Created(_Put, frozen=True, kw_only=True):
    id: str


class _Backfill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    start: datetime
    end: datetime


_put = msgspec.json.Decoder(_Put)
_created = msgspec.json.Decoder(_Created)
_backfill = msgspec.json.Decoder(_Backfill)


async def all_schedules(engine: Administered, request: Request) -> Response:
    return replies.found({"schedules": await engine.schedules.door.all()})


async def one_schedule(engine: Administered, request: Request) -> Response:
    return replies.found(await _done(engine.schedules.door.get(_id(request))))


async def create(engine: Administered, request: Request) -> Response:
    posted = await read_json(request, _created, _MAX_BODY)
    created = await _done(engine.schedules.door.define(_definition(engine, posted.id, posted), new=True))
    return replies.found(created, 201)


async def put(engine: Administered, request: Request) -> Response:
    posted = await read_json(request, _put, _MAX_BODY)
    definition = _definition(engine, _id(request), posted)
    return replies.found(await _done(engine.schedules.door.define(definition, new=False)))


async def pause(engine: Administered, request: Request) -> Response:
    return replies.found(await _done(engine.schedules.door.pause(_id(request))))


async def resume(engine: Administered, request: Request) -> Response:
    return replies.found(await _done(engine.schedules.door.resume(_id(request))))


async def trigger(engine: Administered, request: Request) -> Response:
    return replies.found({"invocation_id": await _done(engine.schedules.door.trigger(_id(request)))})


async def backfill(engine: Administered, request: Request) -> Response:
    posted = await read_json(request, _backfill, _MAX_BODY)
    return replies.found(await _done(engine.schedules.door.backfill(_id(request), posted.start, posted.end)))


async def give_up(engine: Administered, request: Request) -> Response:
    return replies.found(await _done(engine.schedules.door.give_up(_id(request))))


async def delete(engine: Administered, request: Request) -> Response:
    await _done(engine.schedules.door.delete(_id(request)))
    return replies.empty(200)


async def _done(verb: Awaitable[T]) -> T:
    try:
        return await verb
    except PayloadError as error:
        raise Refusal(422, error.message) from error
    except TerminalError as error:
        raise Refusal(error.status, error.message) from error
    except ValueError as error:
        raise Refusal(422, str(error)) from error


def _definition(engine: Administered, id: str, posted: _Put) -> Definition:
    info = engine.door.handlers().get(posted.service, {}).get(posted.handler)
    if info is None:
        raise Refusal(404, f"The requested handler '{posted.handler}' on service '{posted.service}' does not exist")
    _check(info, posted)
    key = None if posted.key is None else paths.check(posted.key, "key")
    try:
        checked, priority = checked_id(id), check_priority(posted.priority)
        limit_key = None if posted.limit_key is None else check_limit_key(posted.limit_key)
    except ValueError as error:
        raise Refusal(422, str(error)) from error
    return Definition(
        id=checked,
        target=Target(posted.service, posted.handler, key),
        payload=bytes(posted.input),
        headers=posted.headers,
        timetable=msgspec.convert(posted.timetable, Timetable, from_attributes=True),
        limit_key=limit_key,
        priority=priority,
    )


def _check(info: HandlerInfo, posted: _Put) -> None:
    name = f"{posted.service}/{posted.handler}"
    if info.kind is Kind.WORKFLOW:
        raise Refusal(422, f"{name} is the run of a workflow, of which there is one per key")
    if (info.kind is Kind.SERVICE) == (posted.key is not None):
        raise Refusal(422, f"{name} {'has no keys' if posted.key is not None else 'needs a key'}")
    if info.raw_input or (posted.input and not info.takes_input):
        raise Refusal(422, f"{name} takes {'bytes, which JSON has not' if info.raw_input else 'no input'}")
    if info.needs_input and not posted.input:
        raise Refusal(422, f"{name} needs an input; give it as `input`")
    if posted.limit_key is not None and not info.limited:
        raise Refusal(422, no_named_limit(name))


def _id(request: Request) -> str:
    return str(request.path_params["schedule"])
