"""The ingress as a Starlette app: from a request to a verb of the engine, and from its answer to a reply."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
from starlette.applications import Starlette
from starlette.datastructures import URLPath
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from durable.core.entries import line_of
from durable.core.ids import read_invocation
from durable.core.invocation import Kind
from durable.core.outcome import Failure, Outcome, Success
from durable.errors import DamagedError, DiskFullError, EngineStoppedError, QueueFullError, TerminalError
from durable.ingress import headers, paths, replies
from durable.ingress.bodies import check_input, decode_text, read_body
from durable.ingress.cors import Cors
from durable.ingress.directory import Directory
from durable.ingress.door import Door, Served, trouble
from durable.ingress.mounts import path_below
from durable.ingress.queries import read_query
from durable.ingress.refusal import Refusal
from durable.ingress.waiting import passed, wait_for
from durable.runtime.requests import Submission

Authenticate = Callable[[Request], str | Awaitable[str | None] | None]
"""Says who sent a request: the identity, ``None`` for nobody in particular, or :class:`UnauthorizedError`."""

log = logging.getLogger("durable.ingress")

MAX_BODY = 10 * 1024 * 1024

# Refused by the ingress, but told as the invocation's own failure: Restate's clients go by that.
_ALREADY_INVOKED = Failure(409, "the workflow method was already invoked")
_NOT_FOUND = Failure(404, "not found")


def ingress(engine: Served, /, *, authenticate: Authenticate | None = None, max_body: int = MAX_BODY) -> Starlette:
    """The engine's own HTTP door: every public handler, awakeables, attach. Mount it anywhere.

    ``authenticate`` is asked before anything else about a request is looked at, except for an awakeable, whose id is
    the right to complete it, and for ``/restate/health``. A body longer than ``max_body`` bytes is refused.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:  # of one that is served as it is, and not mounted
        _warn_unless_open(engine)
        yield

    return Starlette(
        lifespan=lifespan,
        routes=[_Everything(Ingress(engine, authenticate, max_body))],
        middleware=[Middleware(Cors, credentials=authenticate is None)],
        exception_handlers={Exception: _broken},
    )


def _warn_unless_open(engine: Served) -> None:
    try:
        engine.door.handlers()
    except EngineStoppedError as error:
        log.warning("%s in the lifespan of your application; until then every request is answered with 503", error)


async def _broken(request: Request, error: Exception) -> Response:
    return replies.broken()


class Visit(NamedTuple):
    """A request that was let in."""

    request: Request
    path: bytes
    identity: str | None
    services: Directory


class Ingress:
    """One request at a time: let in, parsed, carried to the door, answered. Keeps nothing between requests."""

    def __init__(self, engine: Served, authenticate: Authenticate | None, max_body: int) -> None:
        self._engine = engine
        self._authenticate = authenticate
        self._max_body = max_body

    @property
    def _door(self) -> Door:
        return self._engine.door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(Request(scope, receive))
        except ClientDisconnect:
            return  # Nobody is there to be answered. What was accepted goes on.
        except asyncio.CancelledError:
            # A server that will wait no longer cancels its requests, and closes the engine: a client may be told.
            with anyio.move_on_after(1, shield=True):
                if await self._stops():
                    await replies.stopped()(scope, receive, send)
            raise
        await response(scope, receive, send)

    async def _stops(self) -> bool:
        """Whether the engine stops too, now or in a few turns of the loop."""
        for _ in range(10):
            try:
                self._door.handlers()
            except EngineStoppedError:
                return True
            await asyncio.sleep(0)
        return False

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._dispatch(request)
        except Refusal as refusal:
            return replies.refused(refusal)
        except QueueFullError as error:
            return replies.no_room(error)
        except TerminalError as error:
            return replies.rejected(Failure.of(error))
        except EngineStoppedError:
            return replies.stopped()
        except DiskFullError as error:
            return replies.full(error)
        except DamagedError as error:
            return replies.damaged(error)

    async def _dispatch(self, request: Request) -> Response:
        path = path_below(request.scope)
        segments = paths.split(path)
        identity = None if paths.is_open(segments) else await self._identify(request)
        visit = Visit(request, path, identity, Directory(self._door.handlers()))
        route = paths.parse(segments, visit.services.keyed)
        if request.method not in route.methods:
            raise Refusal(405, "method not allowed", headers={"allow": ", ".join(route.methods)})
        return await self._follow(route, visit)

    async def _identify(self, request: Request) -> str | None:
        if self._authenticate is None:
            return None
        identity = self._authenticate(request)
        return await identity if inspect.isawaitable(identity) else identity

    async def _follow(self, route: paths.Route, visit: Visit) -> Response:
        match route:
            case paths.Call() | paths.Send():
                return await self._invoke(route, visit)
            case paths.Attach():
                return await self._attach(route.query, visit)
            case paths.Output():
                return await self._output(route.query, visit)
            case paths.AttachPosted() | paths.OutputPosted() | paths.Lookup():
                return await self._posted(route, visit)
            case paths.Resolve() | paths.Reject():
                return await self._complete(route, visit)
            case paths.Health():
                return replies.healthy(visit.services.names(), trouble(self._door.full, self._door.blocked))

    async def _invoke(self, route: paths.Call | paths.Send, visit: Visit) -> Response:
        submission = await self._submission(route, visit)
        if isinstance(route, paths.Send):
            return replies.sent(await self._door.submit(submission))
        limit = headers.timeout(visit.request)
        accepted: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        end = None if limit is None else passed(limit, since=accepted)
        called = await wait_for(visit.request, self._door.call(submission, accepted.set_result), end)
        if called is None:
            return await self._late(accepted.result(), visit)
        if called.outcome is None:
            return replies.completed(called.id, _ALREADY_INVOKED, replies.JSON)
        output_type = visit.services.output_type(route.target)
        return replies.completed(called.id, called.outcome, output_type, called.expires)

    async def _submission(self, route: paths.Call | paths.Send, visit: Visit) -> Submission:
        request, handler = visit.request, visit.services.public(route.target)
        key = headers.idempotency_key(request)
        if key is not None and handler.kind is Kind.WORKFLOW:
            raise Refusal(
                400,
                "cannot use the idempotency key with workflow handlers. "
                "The handler invocation will already be idempotent by the workflow key itself.",
            )
        limit_key, line = headers.limit_key(request, handler), headers.singleton_key(request, handler)
        target = route.target if line is None else line_of(route.target.service, route.target.handler, line)
        delay = headers.delay(request)
        if delay is not None and isinstance(route, paths.Call):
            raise Refusal(
                400, "cannot use the delay query parameter with calls. The delay is supported only with sends"
            )
        body = await read_body(request, self._max_body)
        check_input(handler, request.headers.get("content-type"), body)
        return Submission(
            target=target,
            payload=body,
            headers=headers.headers_for_handler(request, visit.path, authenticated=self._authenticate is not None),
            identity=visit.identity,
            idempotency_key=key,
            delay=delay,
            limit_key=limit_key,
            priority=headers.priority(request),
        )

    async def _attach(self, query: paths.Query, visit: Visit) -> Response:
        id = self._id(query, visit)
        known = await self._door.peek(id)
        if known is None:
            return replies.completed(id, _NOT_FOUND, replies.JSON)
        output_type = visit.services.output_type(known.target)
        if known.outcome is not None:
            return replies.completed(id, known.outcome, output_type, known.expires)
        limit = headers.timeout(visit.request)
        outcome = await wait_for(visit.request, self._door.outcome(id), None if limit is None else passed(limit))
        return await self._late(id, visit) if outcome is None else replies.completed(id, outcome, output_type)

    async def _late(self, id: str, visit: Visit) -> Response:
        """The client's time is over; what it is told must be on the disk, as ``peek`` sees to."""
        known = await self._door.peek(id)
        if known is None or known.outcome is None:
            return replies.late(id, paused=known is not None and known.paused)
        return replies.completed(id, known.outcome, visit.services.output_type(known.target), known.expires)

    async def _output(self, query: paths.Query, visit: Visit) -> Response:
        id = self._id(query, visit)
        known = await self._door.peek(id)
        if known is None:
            raise Refusal(404, "invocation not found")
        if known.outcome is None:
            raise Refusal(470, "the invocation exists but has not completed yet")
        return replies.completed(id, known.outcome, visit.services.output_type(known.target), known.expires)

    async def _posted(self, route: paths.AttachPosted | paths.OutputPosted | paths.Lookup, visit: Visit) -> Response:
        query = read_query(await read_body(visit.request, self._max_body), visit.services.keyed)
        match route:
            case paths.AttachPosted():
                return await self._attach(query, visit)
            case paths.OutputPosted():
                return await self._output(query, visit)
            case paths.Lookup():
                return replies.looked_up(self._id(query, visit))

    def _id(self, query: paths.Query, visit: Visit) -> str:
        match query:
            case paths.ById(id):
                read_invocation(id)  # or it is refused
                return id
            case paths.ByWorkflow(service, key):
                return self._door.workflow_id(service, key)
            case paths.ByIdempotencyKey(target, idempotency_key):
                visit.services.existing(target)
                return self._door.idempotent_id(target, idempotency_key, visit.identity)

    async def _complete(self, route: paths.Resolve | paths.Reject, visit: Visit) -> Response:
        body = await read_body(visit.request, self._max_body)
        outcome: Outcome = Success(body) if isinstance(route, paths.Resolve) else Failure(500, decode_text(body))
        await self._door.complete_awakeable(route.id, outcome)
        return replies.completion_taken()


class _Everything(BaseRoute):
    """Every HTTP path there is: the ingress parses them itself, from their raw bytes."""

    def __init__(self, app: Ingress) -> None:
        self._app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL if scope["type"] == "http" else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
