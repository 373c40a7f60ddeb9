"""Bodies: read up to a limit. A handler's is checked, and never parsed; what an admin route takes is decoded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeGuard, TypeVar

import msgspec
from starlette.requests import Request

from durable.flaw import refused
from durable.ingress.refusal import Refusal
from durable.runtime.requests import HandlerInfo

T = TypeVar("T")

_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PLACE = re.compile(r" - at `\$\.(?P<path>\w+(?:\.\w+)*)`$")
_DURATION = "; write 'PT5M', say, for five minutes"


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
        found = _found(str(error), _json(body))
        raise Refusal(422, f"the body is not what is taken here: {error}{found}") from error
    except _NO_JSON as error:
        raise _not_json(error) from error


def _json(body: bytes) -> object:
    """A decoder that knows a type may have stumbled over that before it came to what is no JSON."""
    try:
        found: object = msgspec.json.decode(body)
    except _NO_JSON as error:
        raise _not_json(error) from error
    return found


def _not_json(error: Exception) -> Refusal:
    return Refusal(400, f"the body is not JSON: {error}")


def _found(error: str, found: object) -> str:
    """The value where an error says, if it is a plain one: msgspec names the place only."""
    place = _PLACE.search(error)
    if place is None:
        return ""
    for name in place["path"].split("."):
        found = found.get(name) if _is_object(found) else None
    if not isinstance(found, str | int | float):
        return ""
    return f", which is {refused(found)}{_DURATION if 'duration' in error else ''}"


def _is_object(found: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(found, dict)


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
