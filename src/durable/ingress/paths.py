"""What a path asks for. Pure, and strict: each segment is decoded once, and nothing is normalised.

Two clients that write two keys always mean two objects: ``a%2Fb`` is one key, ``..`` is a key like any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import ClassVar
from urllib.parse import unquote_to_bytes

import msgspec

from durable.core.entries import Target
from durable.ingress.refusal import Refusal
from durable.sizes import LONGEST_KEY

Keyed = Callable[[str], bool]
"""Whether a service has keys; raises :class:`Refusal` if there is no such service."""

_MOST_SEGMENTS = 7
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f]")
_SCOPE = re.compile(r"[a-zA-Z0-9_.-]+")

_EXPECTED_TARGET = "bad path, expected either /:service-name/:handler or /:object-name/:object-key/:handler"
_EXPECTED_WORKFLOW = (
    "bad path, expected either /restate/workflow/:workflow_name/:workflow_key/output "
    "or /restate/workflow/:workflow_name/:workflow_key/attach"
)
_EXPECTED_INVOCATION = (
    "bad path, expected either /restate/invocation/:invocation_id/output "
    "or /restate/invocation/:invocation_id/attach "
    "or /restate/invocation/:invocation_target/:idempotency_key/output "
    "or /restate/invocation/:invocation_target/:idempotency_key/attach"
)
_EXPECTED_AWAKEABLE = "bad path, expected either /restate/awakeables/:id/resolve or /restate/awakeables/:id/reject"
_EXPECTED_BUILT_IN = (
    "bad path, expected /restate/call/:service/:handler, /restate/send/:service/:handler, "
    "/restate/scope/:scope/call/:service/:handler, /restate/attach/:invocation_id, "
    "/restate/output/:invocation_id, or /restate/lookup"
)
NO_SCOPES = "scoped invocations require vqueues to be enabled"


class ById(msgspec.Struct, frozen=True):
    id: str


class ByWorkflow(msgspec.Struct, frozen=True):
    service: str
    key: str


class ByIdempotencyKey(msgspec.Struct, frozen=True):
    target: Target
    idempotency_key: str


Query = ById | ByWorkflow | ByIdempotencyKey
"""Which invocation is meant."""


class _Route(msgspec.Struct, frozen=True):
    methods: ClassVar[tuple[str, ...]] = ("GET", "POST")


class Call(_Route, frozen=True):
    target: Target


class Send(_Route, frozen=True):
    target: Target


class Attach(_Route, frozen=True):
    methods = ("GET",)
    query: Query


class Output(_Route, frozen=True):
    methods = ("GET",)
    query: Query


class AttachPosted(_Route, frozen=True):
    """The body says to which; so for the next two."""

    methods = ("POST",)


class OutputPosted(_Route, frozen=True):
    methods = ("POST",)


class Lookup(_Route, frozen=True):
    methods = ("POST",)


class Resolve(_Route, frozen=True):
    methods = ("POST",)
    id: str


class Reject(_Route, frozen=True):
    methods = ("POST",)
    id: str


class Health(_Route, frozen=True):
    methods = ("GET",)


Route = Call | Send | Attach | Output | AttachPosted | OutputPosted | Lookup | Resolve | Reject | Health


def split(path: bytes) -> list[bytes]:
    """The raw segments of a raw path; a second leading slash and one trailing slash are forgiven."""
    if path.startswith(b"//"):
        path = path[1:]
    start, *segments = path.removesuffix(b"/").split(b"/")
    if start or not 2 <= len(segments) <= _MOST_SEGMENTS:
        raise Refusal(400, f"bad path: {path[:200].decode('ascii', 'backslashreplace')}")
    return segments


def is_open(segments: Sequence[bytes]) -> bool:
    """Whether anybody may ask: an awakeable's id is the capability to complete it, and a probe has no credentials."""
    return segments[0] == b"restate" and segments[1] in (b"health", b"awakeables", b"a")


def parse(segments: Sequence[bytes], keyed: Keyed) -> Route:
    """What segments ask for; :class:`Refusal` if nothing that exists."""
    if segments[0] == b"restate":
        built_in = _BUILT_INS.get(segments[1], _unknown)
        return built_in(segments[2:], keyed)
    return _invocation(segments, keyed, _EXPECTED_TARGET)


def decode(segment: bytes, what: str) -> str:
    """The text that a segment writes; ``what`` is the word for it in a :class:`Refusal`."""
    if _BAD_ESCAPE.search(segment):
        raise Refusal(400, f"bad {what}: a '%' must be followed by two hexadecimal digits")
    return check(_utf8(unquote_to_bytes(segment), what), what)


def check(text: str, what: str) -> str:
    """``text``, if it can be a key; however it was written, not only in a path."""
    if not text:
        raise Refusal(400, f"bad {what}: it must not be empty")
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST_KEY:
        raise Refusal(400, f"bad {what}: it is longer than {LONGEST_KEY} bytes")
    if _CONTROL.search(text):
        raise Refusal(400, f"bad {what}: it must not contain control characters")
    return text


def _utf8(raw: bytes, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Refusal(400, f"bad {what}: it is not UTF-8") from error


def _target(segments: Sequence[bytes], keyed: Keyed, expected: str) -> tuple[Target, Sequence[bytes]]:
    """The target that segments begin with, and what follows it. Names of services and handlers are not decoded."""
    if not segments:
        raise Refusal(400, expected)
    service = _utf8(segments[0], "service name")
    length = 3 if keyed(service) else 2
    if len(segments) < length:
        raise Refusal(400, expected)
    key = decode(segments[1], "key") if length == 3 else None
    return Target(service, _utf8(segments[length - 1], "handler name"), key), segments[length:]


def _invocation(segments: Sequence[bytes], keyed: Keyed, expected: str) -> Route:
    target, rest = _target(segments, keyed, expected)
    if rest and rest != [b"send"]:
        raise Refusal(400, expected)
    return Send(target) if rest else Call(target)


def _call(arguments: Sequence[bytes], keyed: Keyed) -> Route:
    return Call(_whole_target(arguments, keyed))


def _send(arguments: Sequence[bytes], keyed: Keyed) -> Route:
    return Send(_whole_target(arguments, keyed))


def _whole_target(arguments: Sequence[bytes], keyed: Keyed) -> Target:
    target, rest = _target(arguments, keyed, _EXPECTED_BUILT_IN)
    if rest:
        raise Refusal(400, _EXPECTED_BUILT_IN)
    return target


def _scoped(arguments: Sequence[bytes], keyed: Keyed) -> Route:
    if len(arguments) < 2:
        raise Refusal(400, _EXPECTED_BUILT_IN)
    if not _SCOPE.fullmatch(decode(arguments[0], "scope")):
        raise Refusal(400, "bad scope value: value contains characters outside the allowed set [a-zA-Z0-9_.-]")
    raise Refusal(400, NO_SCOPES)


def _by_workflow(arguments: Sequence[bytes], keyed: Keyed) -> Route:
    if len(arguments) != 3:
        raise Refusal(400, _EXPECTED_WORKFLOW)
    service, key, verb = arguments
    return _reading(ByWorkflow(_utf8(service, "workflow name"), decode(key, "key")), verb)


def _by_invocation(arguments: Sequence[bytes], keyed: Keyed) -> Route:
    if len(arguments) < 2:
        raise Refusal(400, _EXPECTED_INVOCATION)
    if len(arguments) == 2:
        return _reading(ById(decode(arguments[0], "invocation id")), arguments[1])
    target, rest = _target(arguments, keyed, _EXPECTED_INVOCATION)
    if len(rest) != 2:
        raise Refusal(400, _EXPECTED_INVOCATION)
    return _reading(ByIdempotencyKey(target, decode(rest[0], "idempotency key")), rest[1])


def _reading(query: Query, verb: bytes) -> Route:
    if verb == b"attach":
        return Attach(query)
    if verb == b"output":
        return Output(query)
    raise Refusal(404, "not found")


def _attach(arguments: Sequence[bytes], keyed: Keyed) -> Route:
    return Attach(_only_id(arguments)) if arguments else AttachPosted()


def _output(arguments: Sequence[bytes], keyed: Keyed) -> Route:
    return Output(_only_id(arguments)) if arguments else OutputPosted()


def _only_id(arguments: Sequence[bytes]) -> Query:
    if len(arguments) != 1:
        raise Refusal(400, _EXPECTED_BUILT_IN)
    return ById(decode(arguments[0], "invocation id"))


def _awakeable(arguments: Sequence[bytes], keyed: Keyed) -> Route:
    if len(arguments) != 2:
        raise Refusal(400, _EXPECTED_AWAKEABLE)
    id, verb = decode(arguments[0], "awakeable id"), arguments[1]
    if verb == b"resolve":
        return Resolve(id)
    if verb == b"reject":
        return Reject(id)
    raise Refusal(404, "not found")


def _lookup(arguments: Sequence[bytes], keyed: Keyed) -> Route:
    return _unknown(arguments, keyed) if arguments else Lookup()


def _health(arguments: Sequence[bytes], keyed: Keyed) -> Route:
    return _unknown(arguments, keyed) if arguments else Health()


def _unknown(arguments: Sequence[bytes], keyed: Keyed) -> Route:
    raise Refusal(400, _EXPECTED_BUILT_IN)


_BUILT_INS: dict[bytes, Callable[[Sequence[bytes], Keyed], Route]] = {
    b"a": _awakeable,
    b"attach": _attach,
    b"awakeables": _awakeable,
    b"call": _call,
    b"health": _health,
    b"invocation": _by_invocation,
    b"lookup": _lookup,
    b"output": _output,
    b"scope": _scoped,
    b"send": _send,
    b"workflow": _by_workflow,
}
