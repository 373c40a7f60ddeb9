"""What goes back over the wire: Restate's statuses and its shape of an error. Knows no route."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from durable.ingress.refusal import Refusal

JSON = "application/json"


class _Error(msgspec.Struct):
    message: str
    restate_code: str | None = None
    """Restate's codes are of deployments and SDKs: no error here has one."""


def empty(status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status_code=status, headers=headers)


def found(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type=JSON)


def refused(refusal: Refusal) -> Response:
    return failed(refusal.status, refusal.message, refusal.headers)


def failed(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(_Error(message)), status, headers=headers, media_type=JSON)


def full(message: str) -> Response:
    return failed(503, message, {"retry-after": "2"})


def stopped() -> Response:
    message = "the engine is not running, or stopped before the outcome was known: look before you ask again"
    return failed(503, message, {"retry-after": "1"})
