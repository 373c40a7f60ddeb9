"""The state of one key: to read, and to replace in the key's turn."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from durable.core.entries import Target
from durable.ingress import paths
from durable.ingress.admin import replies
from durable.ingress.admin.door import Administered
from durable.ingress.admin.queries import only
from durable.ingress.admin.services import the_class
from durable.ingress.bodies import read_json
from durable.ingress.refusal import Refusal
from durable.replacement import REPLACE_STATE, Replacement, version_of
from durable.runtime.requests import Submission
from durable.service import Service, VirtualObject
from durable.sizes import LONGEST_NAME

_MAX_BODY = 32 * 1024 * 1024


class _Posted(msgspec.Struct, frozen=True):
    """Values are arrays of bytes, as in Restate."""

    object_key: str
    new_state: dict[str, list[int]]
    version: str | None = None


class _Found(msgspec.Struct, frozen=True):
    state: Mapping[str, list[int]]
    version: str
    """To be sent with what replaces it."""


_decoder = msgspec.json.Decoder(_Posted)


async def show(engine: Administered, request: Request) -> Response:
    """Ours: Restate tells this by SQL only."""
    service = _keyed(engine, request)
    key = only(request.query_params, "key")
    if key is None:
        raise Refusal(400, "The query parameter 'key' is missing: whose state is meant")
    state = await engine.door.state(service, paths.check(key, "key"))
    return replies.found(_Found({name: list(value) for name, value in state.items()}, version_of(state)))


async def replace(engine: Administered, request: Request) -> Response:
    """Accepted: it happens in the key's turn, and not at all if the state is of another version by then."""
    service = _keyed(engine, request)
    if not issubclass(engine.services[service], VirtualObject):
        raise Refusal(400, f"The state of '{service}' is a workflow's, which only its run can change")
    posted = await read_json(request, _decoder, _MAX_BODY)
    target = Target(service, REPLACE_STATE, paths.check(posted.object_key, "object_key"))
    replacement = Replacement(_values(posted.new_state), posted.version)
    accepted = await engine.door.submit(Submission(target=target, payload=replacement.encode()))
    return replies.empty(202, {"x-restate-id": accepted.id})


def _keyed(engine: Administered, request: Request) -> str:
    service = str(request.path_params["service"])
    if issubclass(the_class(engine, request), Service):
        raise Refusal(400, f"'{service}' is a Service, which has no state")
    return service


def _values(posted: Mapping[str, list[int]]) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    for name, numbers in posted.items():
        if len(name.encode()) > LONGEST_NAME:
            raise Refusal(422, f"the name of a state has at most {LONGEST_NAME} bytes, not '{name[:100]}...'")
        try:
            values[name] = bytes(numbers)
        except ValueError as error:
            raise Refusal(422, f"the new state of '{name[:100]}' is not an array of bytes: {error}") from error
    return values
