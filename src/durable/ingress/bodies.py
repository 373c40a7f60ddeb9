"""Bodies: read up to a limit. A handler's is checked, and never parsed; what an admin route takes is decoded."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.requests import Request

from durable.ingress.refusal import Refusal
from durable.runtime.requests import HandlerInfo

T = TypeVar("T")


class TooLarge(Refusal):
    def __init__(self) -> None:
        super().__init__(413, "length limit exceeded")


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body; refused before it is read if its length says enough, and otherwise as soon as it is too long."""
    if _announced(request) > limit:
        raise TooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge
    return bytes(body)


async def read_json(request: Request, decoder: msgspec.json.Decoder[T], limit: int) -> T:
    """What an admin route takes: a body that says that it is JSON, and is."""
    if _media_type(request.headers.get("content-type", "")) != "application/json":
        raise Refusal(415, "Expected request with `Content-Type: application/json`")
    body = await read_body(request, limit)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refusal(422, f"the body is not what is taken here: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {error}") from error


def _announced(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise Refusal(400, "bad content-length header: not a number")
    # Python refuses to read integers of thousands of digits; so many are too many anyway.
    return int(text[:20])


def check_input(info: HandlerInfo, content_type: str | None, body: bytes) -> None:
    """Refuse what the handler cannot take, with Restate's words."""
    if not info.takes_input:
        if body or content_type is not None:
            said = "None" if content_type is None else f'Some("{content_type}")'
            raise _invalid(f"Expected body and content-type to be empty, but wasn't with content-type '{said}'")
    elif content_type is None:
        if body or info.raw_input:
            raise _invalid("Empty content-type")
    elif not info.raw_input and _media_type(content_type) != "application/json":
        raise _invalid(f"Content-type '{content_type}' does not match 'application/json'")
    elif not body:
        raise _invalid("Empty body not allowed")


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _invalid(why: str) -> Refusal:
    return Refusal(400, f"input validation error: {why}")


def decode_text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Refusal(400, "cannot read body: it is not UTF-8") from error
