"""Cross-origin headers, as permissive as Restate's: any page may call, any page may read."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_VARY = "origin, access-control-request-method, access-control-request-headers"
_EXPOSED = "x-restate-id, x-restate-error-source, idempotency-expires"


class Cors:
    """Answers preflights, and marks every response."""

    def __init__(self, app: ASGIApp, *, credentials: bool) -> None:
        self.app = app
        # Whether a page may read what a browser's own cookies opened; not where cookies may open anything.
        allowed = [(b"access-control-allow-credentials", b"true")] if credentials else []
        self._marks = [(b"vary", _VARY.encode()), *allowed]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request = Headers(scope=scope)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._marks, *_exposed(request.get("origin"))]
            await send(message)

        app = _preflight(request) if _is_preflight(scope, request) else self.app
        await app(scope, receive, send_marked)


def _exposed(origin: str | None) -> list[tuple[bytes, bytes]]:
    if origin is None:
        return []
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", _EXPOSED.encode()),
    ]


def _is_preflight(scope: Scope, request: Headers) -> bool:
    return scope["method"] == "OPTIONS" and "origin" in request and "access-control-request-method" in request


def _preflight(request: Headers) -> Response:
    allowed = {"access-control-allow-methods": request["access-control-request-method"]}
    if "access-control-request-headers" in request:
        allowed["access-control-allow-headers"] = request["access-control-request-headers"]
    return Response(headers=allowed)
