"""Limits: which hold, what they are used for, and others in their place. Bodies as in Restate, and more."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from durable.errors import PayloadError, TerminalError
from durable.flow import Limit, Rate
from durable.ingress.admin import replies
from durable.ingress.admin.door import Administered
from durable.ingress.bodies import read_json
from durable.ingress.refusal import Refusal
from durable.sizes import LONGEST_TIME

_MAX_BODY = 1024 * 1024


class _Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    count: int
    per_ms: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_TIME // timedelta(milliseconds=1))]
    burst: int = 1


class _Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    concurrency: int | None = None
    rate: _Rate | None = None
    queue: int | None = None


class _Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pattern: str
    limits: _Bounds = _Bounds()
    hold: bool = False
    description: str = ""


class _Removed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pattern: str


class _Usage(msgspec.Struct, frozen=True):
    path: str
    pattern: str
    running: int
    waiting: int
    next_start: str | None


_rules = msgspec.json.Decoder(list[_Rule])
_removed = msgspec.json.Decoder(list[_Removed])


async def show(engine: Administered, request: Request) -> Response:
    return replies.found([_written(limit) for limit in engine.limits.all()])


async def usage(engine: Administered, request: Request) -> Response:
    """Ours: Restate tells this by SQL only."""
    return replies.found(
        [
            _Usage(
                each.path,
                each.limit.pattern,
                each.running,
                each.waiting,
                None if each.next_start is None else each.next_start.isoformat(),
            )
            for each in engine.limits.usage()
        ]
    )


async def put(engine: Administered, request: Request) -> Response:
    """All of them, or if one cannot be, none."""
    limits = [_read(rule) for rule in await read_json(request, _rules, _MAX_BODY)]
    try:
        await engine.limits.put(*limits)
    except ValueError as error:
        raise Refusal(422, str(error)) from error
    return replies.found([_written(limit) for limit in limits])


async def remove(engine: Administered, request: Request) -> Response:
    """The patterns that something was put for: what the code says of them counts again."""
    patterns: list[str] = []
    for removed in await read_json(request, _removed, _MAX_BODY):
        try:
            await engine.limits.remove(removed.pattern)
        except (ValueError, PayloadError) as error:
            raise Refusal(422, str(error)) from error
        except TerminalError:
            continue
        patterns.append(removed.pattern)
    return replies.found(patterns)


def _read(rule: _Rule) -> Limit:
    bounds, rate = rule.limits, rule.limits.rate
    try:
        given = None if rate is None else Rate(rate.count, timedelta(milliseconds=rate.per_ms), rate.burst)
        return Limit(rule.pattern, bounds.concurrency, given, bounds.queue, rule.hold, rule.description)
    except (ValueError, PayloadError) as error:
        raise Refusal(422, str(error)) from error


def _written(limit: Limit) -> _Rule:
    rate = limit.rate
    given = None if rate is None else _Rate(rate.count, round(rate.per.total_seconds() * 1000), rate.burst)
    bounds = _Bounds(limit.concurrency, given, limit.queue)
    return _Rule(limit.pattern, bounds, limit.hold, limit.description)
