"""The admin app as a Starlette app: routes from the table of operations, and an error for all that goes wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from durable.errors import DamagedError, DiskFullError, EngineStoppedError
from durable.ingress.admin import replies
from durable.ingress.admin.about import release
from durable.ingress.admin.absent import why_absent
from durable.ingress.admin.document import document
from durable.ingress.admin.door import Administered
from durable.ingress.admin.guard import LOCAL, Guard, Rules
from durable.ingress.admin.operations import OPERATIONS, Answer, Operation
from durable.ingress.mounts import path_below
from durable.ingress.refusal import Refusal


def admin(engine: Administered, /, *, token: str | None = None, allowed_hosts: Sequence[str] = LOCAL) -> Starlette:
    """The administrator's door: look at invocations, cancel, kill, pause, resume, restart and purge them.

    Who can reach it can end any work: serve it on 127.0.0.1, or set a ``token`` that every request but ``/health`` must
    carry as ``Authorization: Bearer``. ``allowed_hosts`` are the names, without port, under which it may be asked for.
    """
    app = Starlette(
        routes=_routes(engine),
        middleware=[Middleware(Guard, rules=Rules(token, allowed_hosts))],
        exception_handlers={
            Refusal: _refused,
            EngineStoppedError: _stopped,
            DiskFullError: _full,
            DamagedError: _damaged,
            HTTPException: _not_routed,
            ClientDisconnect: _gone,
            Exception: _broken,
        },
    )
    app.router.redirect_slashes = False
    return app


def _routes(engine: Administered) -> list[Route]:
    async def describe(engine: Administered, request: Request) -> Response:
        return replies.found(described)

    operations = (*OPERATIONS, Operation("GET", "/openapi", describe, "This document"))
    described = document(operations, release())
    by_path: dict[str, dict[str, Answer]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation.answer
    return [_route(engine, path, answers) for path, answers in by_path.items()]


def _route(engine: Administered, path: str, answers: Mapping[str, Answer]) -> Route:
    return Route(path, _endpoint(engine, answers), methods=list(answers))


def _endpoint(engine: Administered, answers: Mapping[str, Answer]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        answer = answers[request.method] if request.method in answers else answers["GET"]  # HEAD is a GET
        return await answer(engine, request)

    return endpoint


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return replies.refused(error)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return replies.failed(404, why_absent(path_below(request.scope).decode("ascii", "backslashreplace")))
    return replies.failed(error.status_code, "method not allowed", error.headers)


async def _stopped(request: Request, error: Exception) -> Response:
    return replies.stopped()


async def _full(request: Request, error: Exception) -> Response:
    return replies.full(str(error))


async def _damaged(request: Request, error: Exception) -> Response:
    return replies.failed(500, str(error))


async def _gone(request: Request, error: Exception) -> Response:
    return replies.empty(400)  # nobody reads it


async def _broken(request: Request, error: Exception) -> Response:
    return replies.failed(500, "internal error, the server's log says more")
