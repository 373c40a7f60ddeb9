"""What every test of a reply asserts: status, the exact bytes, and where an error comes from."""

import json
from collections.abc import Callable
from typing import TypeVar

import httpx

from durable.ingress.refusal import Refusal

T = TypeVar("T")


def attempt(work: Callable[[], T]) -> T | Refusal:
    """What comes of it; a refusal is something that comes of it too."""
    try:
        return work()
    except Refusal as refusal:
        return refusal


def is_refused(reply: httpx.Response, status: int, message: str) -> None:
    _is_error(reply, status, {"code": status, "message": message, "source": "ingress"})
    assert "x-restate-id" not in reply.headers


def is_failed(reply: httpx.Response, status: int, message: str, *, id: str) -> None:
    _is_error(reply, status, {"code": status, "message": message, "source": "invocation"})
    assert reply.headers["x-restate-id"] == id


def _is_error(reply: httpx.Response, status: int, body: dict[str, object]) -> None:
    assert reply.text == json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    assert reply.status_code == status
    assert reply.headers["x-restate-error-source"] == body["source"]
    assert reply.headers["content-type"] == "application/json"
