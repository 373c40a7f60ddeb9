"""Which invocation a posted body means: the JSON that ``/restate/attach``, ``output`` and ``lookup`` take. Pure."""

from __future__ import annotations

import msgspec

from durable.core.entries import Target
from durable.ingress.headers import check_idempotency_key
from durable.ingress.paths import NO_SCOPES, ById, ByIdempotencyKey, ByWorkflow, Keyed, Query, check
from durable.ingress.refusal import Refusal


class _Posted(msgspec.Struct, frozen=True, tag_field="target", rename="camel", kw_only=True):
    scope: str | None = None


class _Invocation(_Posted, frozen=True, tag="invocation", kw_only=True):
    invocation_id: str


class _Workflow(_Posted, frozen=True, tag="workflow", kw_only=True):
    workflow_name: str
    workflow_key: str


class _Idempotent(_Posted, frozen=True, tag="idempotentInvocation", kw_only=True):
    service: str
    key: str | None = None
    handler: str
    idempotency_key: str


_AnyPosted = _Invocation | _Workflow | _Idempotent
_decoder: msgspec.json.Decoder[_AnyPosted] = msgspec.json.Decoder(_AnyPosted)


def read_query(body: bytes, keyed: Keyed) -> Query:
    """The invocation that a body names; :class:`Refusal` if the body is none of the three forms."""
    posted = _decode(body)
    if posted.scope is not None:
        raise Refusal(400, NO_SCOPES)
    match posted:
        case _Invocation():
            return ById(posted.invocation_id)
        case _Workflow():
            return ByWorkflow(posted.workflow_name, check(posted.workflow_key, "key"))
        case _Idempotent():
            return _idempotent(posted, keyed)


def _decode(body: bytes) -> _AnyPosted:
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"cannot read body: invalid lookup body: {error}") from error


def _idempotent(posted: _Idempotent, keyed: Keyed) -> Query:
    if keyed(posted.service) != (posted.key is not None):
        wanted = "needs a key" if posted.key is None else "has no keys"
        raise Refusal(400, f"cannot read body: service '{posted.service}' {wanted}")
    key = None if posted.key is None else check(posted.key, "key")
    target = Target(posted.service, posted.handler, key)
    return ByIdempotencyKey(target, check_idempotency_key(posted.idempotency_key))
