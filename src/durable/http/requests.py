"""Calls and sends, written as requests: path, headers, body. Pure, but for the keys that it draws."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote
from uuid import uuid4

import msgspec

from durable.core.entries import Target
from durable.core.invocation import Kind
from durable.handlers import Handler, check_handler
from durable.http.wire import Ask, Server

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
SINGLETON_KEY = "x-durable-singleton-key"
_OURS = frozenset(
    {"connection", "content-length", "content-type", "host", "idempotency-key", "transfer-encoding", "upgrade"}
)


class Outbound(msgspec.Struct, frozen=True, kw_only=True):
    """A call or a send that two equal requests may be written for."""

    target: Target
    payload: bytes
    headers: Mapping[str, str]
    workflow: bool
    """It runs a workflow: the workflow's key is its idempotency key."""
    joins: bool = False
    """A call waits for the run that is there already, whoever called it."""

    @property
    def again(self) -> str:
        """What a caller can do who got no answer."""
        if self.workflow:
            return "call or send it again, it runs once"
        return f"send it again with idempotency_key={self.headers['idempotency-key']!r}"

    def call(self, server: Server) -> Ask:
        return self._ask(server, f"/restate/call/{self._path}", waits=True)

    def send(self, server: Server, delay: timedelta | None) -> Ask:
        # Rounded up: what should be later never becomes now.
        query = "" if delay is None else f"?delay={-(-delay // timedelta(milliseconds=1))}ms"
        return self._ask(server, f"/restate/send/{self._path}{query}")

    def attach(self, server: Server) -> Ask:
        """To the run of this workflow, whoever called it."""
        service, key = segment(self.target.service), segment(self.target.key or "")
        path = f"/restate/workflow/{service}/{key}/attach"
        return Ask(server=server, method="GET", path=path, waits=True, again=self.again)

    @property
    def _path(self) -> str:
        target = self.target
        parts = (target.service, target.handler) if target.key is None else (target.service, target.key, target.handler)
        return "/".join(map(segment, parts))

    def _ask(self, server: Server, path: str, *, waits: bool = False) -> Ask:
        return Ask(
            server=server,
            method="POST",
            path=path,
            headers=self.headers,
            content=self.payload,
            waits=waits,
            again=self.again,
        )


def outbound(handler: Handler[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]) -> Outbound:
    """A call of ``handler`` with these arguments; without an idempotency key it gets a random one."""
    check_handler(handler)
    _check_anonymous(handler)
    outgoing = handler.outgoing(args, kwargs)
    workflow = handler.kind is Kind.WORKFLOW
    headers = {_checked_name(name): _checked_value(name, value) for name, value in outgoing.headers.items()}
    if not workflow:
        headers["idempotency-key"] = _checked_key(outgoing.idempotency_key or uuid4().hex)
    target = outgoing.target if handler.keyed else Target(outgoing.target.service, outgoing.target.handler)
    if handler.singleton_key:
        headers[SINGLETON_KEY] = handler.singleton_key
    if outgoing.limit_key is not None:
        headers["x-restate-limit-key"] = outgoing.limit_key
    if outgoing.priority:
        headers["x-durable-priority"] = str(outgoing.priority)
    # An empty body with a content type would be refused: that is for bodies that were forgotten.
    media_type = handler.media_type or ("application/octet-stream" if handler.raw_input else "application/json")
    if outgoing.payload or media_type != "application/json":
        headers["content-type"] = media_type
    return Outbound(target=target, payload=outgoing.payload, headers=headers, workflow=workflow, joins=handler.attach)


def lookup(server: Server, handler: Handler[..., object], key: str | None) -> Ask:
    """For the id that a call has by its names; asked of the ingress, for it depends on who asks."""
    check_handler(handler)
    _check_anonymous(handler)
    target, idempotency_key = handler.named_target(key), handler.idempotency_key
    if idempotency_key is None:
        body = {"target": "workflow", "workflowName": target.service, "workflowKey": target.key}
    else:
        if handler.singleton_key:
            raise ValueError(f"over HTTP a call of {handler} with a singleton key is found by its id only")
        keyed = {"key": target.key} if handler.keyed else {}
        names = {"service": target.service, "handler": target.handler, **keyed}
        body = {
            "target": "idempotentInvocation",
            **names,
            "idempotencyKey": _checked_key(idempotency_key),
        }
    return Ask(server=server, method="POST", path="/restate/lookup", content=msgspec.json.encode(body))


def segment(text: str) -> str:
    """``text`` as one segment of a path, whatever it is: a slash is no separator, and ``..`` does not lead up."""
    encoded = quote(text, safe="")
    return encoded.replace(".", "%2E") if encoded in (".", "..") else encoded


def _check_anonymous(handler: Handler[..., object]) -> None:
    if handler.identity is not None:
        raise ValueError(f"{handler} cannot be called as {handler.identity!r} over HTTP: the ingress says who calls")


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a header")
    if name.lower() in _OURS:
        raise ValueError(f"header {name!r} is the client's own; an idempotency key is an option of the handler")
    return name.lower()


def _checked_value(name: str, value: str) -> str:
    if not _VALUE.fullmatch(value):
        raise ValueError(f"header {name!r} cannot be sent over HTTP: its value must be visible ASCII, got {value!r}")
    return value


def _checked_key(key: str) -> str:
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise ValueError(f"over HTTP an idempotency key is 1 to 255 visible ASCII characters, got {key!r}")
    return key
