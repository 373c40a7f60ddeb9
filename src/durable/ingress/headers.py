"""Headers and query parameters: what of a request reaches the handler, and what the ingress keeps for itself."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import parse_qsl

from starlette.requests import Request

from durable.flow import PRIORITIES, check_limit_key
from durable.ingress.delays import parse_delay, parse_timeout
from durable.ingress.refusal import Refusal
from durable.runtime.requests import HandlerInfo
from durable.singleton import check_line
from durable.sizes import LARGEST_HEADERS, headers_size

_PATH = "x-restate-ingress-path"
_KEPT = frozenset({"connection", "host", "idempotency-key", "idempotency-expires", _PATH})
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
"""What a handler sees is journaled, in the clear: credentials that were checked at the door stay there."""
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def headers_for_handler(request: Request, path: bytes, *, authenticated: bool) -> dict[str, str]:
    """Lower-cased, the first value of each; the path as it came to the ingress goes in front."""
    query: bytes = request.scope.get("query_string", b"")
    headers = {_PATH: (path + b"?" + query if query else path).decode("latin-1")}
    kept = _KEPT | _CREDENTIALS if authenticated else _KEPT
    for name, value in request.headers.items():
        if name not in kept:
            headers.setdefault(name, value)
    size = headers_size(headers)
    if size > LARGEST_HEADERS:
        raise Refusal(431, f"the path and the headers have {size:,} bytes, and can have {LARGEST_HEADERS:,}")
    return headers


def idempotency_key(request: Request) -> str | None:
    values = request.headers.getlist("idempotency-key")
    if len(values) > 1:
        raise Refusal(400, "bad idempotency-key header: it occurs more than once")
    return check_idempotency_key(values[0]) if values else None


def check_idempotency_key(text: str) -> str:
    if not _IDEMPOTENCY_KEY.fullmatch(text):
        # Also when it is empty: that is a client whose variable was not set, and all its calls would be one.
        raise Refusal(400, "bad idempotency key: it must be 1 to 255 visible ASCII characters")
    return text


def limit_key(request: Request, handler: HandlerInfo) -> str | None:
    """Whose part of the handler's named limit it counts for, which takes the place of Restate's scope."""
    text = request.headers.get("x-restate-limit-key") or _parameter(request, "limit-key")
    if text is None:
        return None
    if not handler.limited:
        raise Refusal(400, "limit-key requires a scope to be set")
    if text.count("/") > 1:
        raise Refusal(400, "invalid limit-key: too many path components in the given limit-key (max 2)")
    try:
        return check_limit_key(text)
    except ValueError as error:
        raise Refusal(400, f"invalid limit-key: {error}") from error


def singleton_key(request: Request, handler: HandlerInfo) -> str | None:
    text = request.headers.get("x-durable-singleton-key")
    if text is None:
        return None
    if not handler.lines:
        raise Refusal(400, "singleton-key is for handlers that are singletons, or debounced")
    try:
        return check_line(text)
    except ValueError as error:
        raise Refusal(400, str(error)) from error


def priority(request: Request) -> int:
    text = request.headers.get("x-durable-priority") or _parameter(request, "priority")
    if text is None:
        return 0
    if text not in map(str, PRIORITIES):
        raise Refusal(400, f"bad priority: it is a number from 0 to {PRIORITIES[-1]}, got {text[:20]!r}")
    return int(text)


def delay(request: Request) -> timedelta | None:
    text = _parameter(request, "delay")
    return None if text is None else parse_delay(text)


def timeout(request: Request) -> timedelta | None:
    """How long the client waits for an outcome."""
    text = _parameter(request, "timeout")
    return None if text is None else parse_timeout(text)


def _parameter(request: Request, wanted: str) -> str | None:
    """Of the query; its name may be in any case."""
    query = request.scope.get("query_string", b"").decode("latin-1")
    if not query:
        return None
    values = [value for name, value in parse_qsl(query, keep_blank_values=True) if name.lower() == wanted]
    if len(values) > 1:
        raise Refusal(400, f"bad {wanted} query parameter, it occurs more than once")
    return values[0] if values else None
