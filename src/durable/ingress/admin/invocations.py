"""The routes of one invocation: what is known of it, and what can be done to it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from durable.errors import BadIdError, InvocationNotFoundError
from durable.ingress.admin import queries, replies
from durable.ingress.admin.door import AdminDoor, Administered
from durable.ingress.admin.records import record
from durable.ingress.admin.verbs import Name, Order, carry_out, invalid, unknown


async def describe(engine: Administered, request: Request) -> Response:
    """Ours: Restate tells this by SQL only."""
    id = _id(request)
    try:
        return replies.found(record(await engine.door.look(id)))
    except BadIdError as error:
        raise invalid("invocation_id", error.why) from error
    except InvocationNotFoundError as error:
        raise unknown(id) from error


async def why(engine: Administered, request: Request) -> Response:
    """Ours: the chain of keys, calls, promises and timers behind an invocation."""
    id = _id(request)
    try:
        return replies.found(await engine.door.why(id))
    except BadIdError as error:
        raise invalid("invocation_id", error.why) from error
    except InvocationNotFoundError as error:
        raise unknown(id) from error


async def cancel(engine: Administered, request: Request) -> Response:
    return await _do(engine.door, "cancel", _id(request))


async def kill(engine: Administered, request: Request) -> Response:
    return await _do(engine.door, "kill", _id(request))


async def pause(engine: Administered, request: Request) -> Response:
    return await _do(engine.door, "pause", _id(request))


async def resume(engine: Administered, request: Request) -> Response:
    queries.check_deployment(request.query_params)
    return await _do(engine.door, "resume", _id(request))


async def restart_as_new(engine: Administered, request: Request) -> Response:
    queries.check_deployment(request.query_params)
    order = Order(_id(request), queries.from_entry(request.query_params))
    done = await carry_out(engine.door, "restart-as-new", order)
    return replies.found({"new_invocation_id": done.id})


async def purge(engine: Administered, request: Request) -> Response:
    return await _do(engine.door, "purge", _id(request))


async def purge_journal(engine: Administered, request: Request) -> Response:
    return await _do(engine.door, "purge-journal", _id(request))


async def delete(engine: Administered, request: Request) -> Response:
    """Restate's old form of three verbs; unlike Restate's, it says if there was nothing to do."""
    await carry_out(engine.door, queries.mode(request.query_params), Order(_id(request)))
    return replies.empty(202)


async def _do(door: AdminDoor, name: Name, id: str) -> Response:
    return replies.empty((await carry_out(door, name, Order(id))).status)


def _id(request: Request) -> str:
    return str(request.path_params["invocation_id"])
