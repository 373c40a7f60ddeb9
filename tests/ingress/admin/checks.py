"""What every test of a reply asserts."""

import json

import httpx


def is_refused(reply: httpx.Response, status: int, message: str) -> None:
    """The exact bytes, down to the order of the keys."""
    body = {"message": message, "restate_code": None}
    assert reply.text == json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/json")


def is_empty(reply: httpx.Response, status: int) -> None:
    assert (reply.status_code, reply.content) == (status, b"")
    assert "content-type" not in reply.headers
