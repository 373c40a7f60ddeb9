"""One verb on many invocations: each for itself, so that one that cannot be done does not keep the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from durable.core.ids import read_invocation
from durable.errors import BadIdError
from durable.ingress.admin import replies
from durable.ingress.admin.door import AdminDoor
from durable.ingress.admin.queries import no_deployment
from durable.ingress.admin.verbs import Done, Name, Order, carry_out, invalid
from durable.ingress.bodies import read_json
from durable.ingress.refusal import Refusal

LARGEST = 1000
"""Invocations in a batch, as in Restate."""

# What is under way at once holds its invocations in memory, and shares commits.
_PAGE = 100
_MAX_BODY = 1024 * 1024


class _Posted(msgspec.Struct, frozen=True):
    invocation_ids: list[str]
    deployment: str | None = None


class _Restarted(msgspec.Struct, frozen=True):
    old_invocation_id: str
    new_invocation_id: str


class _Failed(msgspec.Struct, frozen=True):
    invocation_id: str
    error: str


class _Result(msgspec.Struct):
    succeeded: list[str | _Restarted]
    failed: list[_Failed]


_decoder = msgspec.json.Decoder(_Posted)


async def carry_out_all(door: AdminDoor, name: Name, request: Request) -> Response:
    """Answer 200 with what was done and what was not, in the order of the request."""
    posted = _checked(await read_json(request, _decoder, _MAX_BODY))
    result = _Result([], [])
    for start in range(0, len(posted.invocation_ids), _PAGE):
        page = posted.invocation_ids[start : start + _PAGE]
        for id, done in zip(page, await _page(door, name, page), strict=True):
            if isinstance(done, Refusal):
                result.failed.append(_Failed(id, _brief(id, done)))
            else:
                result.succeeded.append(_Restarted(id, done.id) if name == "restart-as-new" else id)
    return replies.found(result)


async def _page(door: AdminDoor, name: Name, ids: Sequence[str]) -> list[Done | Refusal]:
    return await asyncio.gather(*(_each(door, name, id) for id in ids))


async def _each(door: AdminDoor, name: Name, id: str) -> Done | Refusal:
    try:
        return await carry_out(door, name, Order(id))
    except Refusal as refusal:
        return refusal


def _brief(id: str, refusal: Refusal) -> str:
    """Restate's words for one of many: the first sentence, without article and full stop."""
    if refusal.status == 404:
        return f"Invocation '{id}' not found"
    sentence = refusal.message.partition(". ")[0].removesuffix(".")
    return sentence.replace("The invocation", "Invocation", 1)


def _checked(posted: _Posted) -> _Posted:
    if len(posted.invocation_ids) > LARGEST:
        raise Refusal(400, f"Batch size {len(posted.invocation_ids)} exceeds maximum allowed size of {LARGEST}")
    _check_deployment(posted.deployment)
    for place, id in enumerate(posted.invocation_ids):
        _check(place, id)
    return posted


def _check_deployment(wanted: str | None) -> None:
    if wanted is not None and wanted.lower() not in ("latest", "keep"):
        raise no_deployment() if wanted.startswith("dp_") else invalid("deployment", "bad format")


def _check(place: int, id: str) -> None:
    try:
        read_invocation(id)
    except BadIdError as error:
        raise Refusal(422, f"invocation_ids[{place}] is not the id of an invocation: {error.why}") from error
