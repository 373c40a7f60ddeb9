"""What goes back over the wire: Restate's statuses, headers and JSON, down to the order of its keys."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec
from starlette.responses import Response

from durable.core.outcome import Failure, Outcome
from durable.errors import DamagedError, DiskFullError, QueueFullError
from durable.ingress.bodies import TooLarge
from durable.ingress.refusal import Refusal
from durable.runtime.requests import Accepted

JSON = "application/json"
RAW = "application/octet-stream"

# uvicorn knows no other statuses. What is below 400 would tell a client that all is well.
_ERROR_STATUSES = range(400, 600)


class _Error(msgspec.Struct, kw_only=True, omit_defaults=True):
    code: int
    message: str
    metadata: Mapping[str, str] = {}
    source: str


class _Sent(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    invocation_id: str
    execution_time: str | None = None
    status: str


def completed(id: str, outcome: Outcome, output_type: str, expires: datetime | None = None) -> Response:
    """The output, or the failure, of an invocation; ``expires`` if it was completed before this request."""
    headers = {"x-restate-id": id}
    if expires is not None:
        headers["idempotency-expires"] = expires.astimezone(UTC).isoformat(timespec="milliseconds")
    if isinstance(outcome, Failure):
        return _failed(outcome, "invocation", headers)
    output = outcome.value or b""
    return Response(output, media_type=output_type if output else None, headers=headers)


def sent(accepted: Accepted) -> Response:
    reply = _Sent(
        invocation_id=accepted.id,
        execution_time=None if accepted.due is None else _nanoseconds(accepted.due),
        status="Accepted" if accepted.new else "PreviouslyAccepted",
    )
    return _json(202, reply, {"x-restate-id": accepted.id})


def looked_up(id: str) -> Response:
    return _json(200, {"invocationId": id}, {})


def healthy(services: Iterable[str], trouble: str | None) -> Response:
    """200 also while the disk is full: whoever restarted the engine then would end what it still can do."""
    said = {} if trouble is None else {"message": trouble}
    return _json(200, {"services": list(services), **said}, {})


def completion_taken() -> Response:
    return Response(status_code=202)


def refused(refusal: Refusal) -> Response:
    if isinstance(refusal, TooLarge):
        return Response(refusal.message, refusal.status, media_type="text/plain")
    return _failed(Failure(refusal.status, refusal.message), "ingress", refusal.headers)


def late(id: str, *, paused: bool) -> Response:
    """The client's time is over, the invocation's is not."""
    state = "is paused, and goes on once it is resumed" if paused else "goes on"
    message = f"no outcome yet: the invocation {state}; attach to it with GET /restate/invocation/{id}/attach"
    return _failed(Failure(408, message), "ingress", {"x-restate-id": id})


def rejected(failure: Failure) -> Response:
    """What the engine would not accept; no invocation came of it."""
    return _failed(failure, "ingress", {})


def no_room(error: QueueFullError) -> Response:
    """As many wait as may: nothing was accepted."""
    return _failed(Failure.of(error), "ingress", {"retry-after": str(math.ceil(error.retry_after.total_seconds()))})


def stopped() -> Response:
    message = (
        "the engine is not running, or stopped before the outcome was known: the request may or may not have been "
        "accepted, retry with the same idempotency key"
    )
    return _failed(Failure(503, message), "ingress", {"retry-after": "1"})


def full(error: DiskFullError) -> Response:
    return _failed(Failure(503, str(error)), "ingress", {"retry-after": "2"})


def damaged(error: DamagedError) -> Response:
    return _failed(Failure(500, str(error)), "ingress", {})


def broken() -> Response:
    return _failed(Failure(500, "internal error, the server's log says more"), "ingress", {})


def _failed(failure: Failure, source: str, headers: Mapping[str, str]) -> Response:
    status = failure.status if failure.status in _ERROR_STATUSES else 500
    error = _Error(code=failure.status, message=failure.message, metadata=failure.metadata, source=source)
    return _json(status, error, {**headers, "x-restate-error-source": source})


def _json(status: int, body: object, headers: Mapping[str, str]) -> Response:
    return Response(msgspec.json.encode(body), status, headers=headers, media_type=JSON)


def _nanoseconds(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"
