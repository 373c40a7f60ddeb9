"""Who may come in: the right host, no page of another origin, and the token if there is one.

An admin app mostly listens where only its operator is, and a browser is what brings strangers there: a page that posts
to localhost, or a name that suddenly resolves to it. Nothing here looks at a body.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from durable.ingress.admin import replies
from durable.ingress.mounts import path_below
from durable.ingress.refusal import Refusal, UnauthorizedError

LOCAL = ("localhost", "127.0.0.1", "[::1]")

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_SAFE = frozenset({"GET", "HEAD"})
_OWN_PAGES = frozenset({"same-origin", "none"})
_MARKS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Rules:
    """Which requests are let in; made once, so that a setting that makes no sense is found at the start."""

    def __init__(self, token: str | None, allowed_hosts: Sequence[str]) -> None:
        if token is not None and not _TOKEN.fullmatch(token):
            raise ValueError("a token is one or more visible ASCII characters: no space, no line end, not empty")
        if isinstance(allowed_hosts, str):
            raise TypeError(f"allowed_hosts is a sequence of names, got the one name {allowed_hosts!r}")
        self._token = None if token is None else _digest(token.encode())
        self._hosts = frozenset(_host_name(host) for host in allowed_hosts)

    def admit(self, scope: Scope) -> None:
        """Raise :class:`Refusal` if the request may not come in."""
        headers = Headers(scope=scope)
        host = self._check_host(headers.getlist("host"))
        if scope["method"] not in _SAFE:
            _check_origin(headers, host)
        # A probe has no credentials.
        if self._token is not None and path_below(scope) != b"/health":
            _check_token(headers.getlist("authorization"), self._token)

    def _check_host(self, hosts: Sequence[str]) -> str:
        # Servers let a second Host header through; which of the two a proxy went by, nobody knows.
        if len(hosts) != 1:
            raise Refusal(400, f"the request has {len(hosts)} Host headers; it must have one")
        host = hosts[0].lower()
        found = _HOST.fullmatch(host)
        if found is None or found["name"] not in self._hosts:
            raise Refusal(403, f"host '{host[:100]}' is not one of the allowed_hosts of the admin app")
        return host


class Guard:
    """Refuses what the rules do not let in, and marks every response: not to be kept, framed or guessed at."""

    def __init__(self, app: ASGIApp, *, rules: Rules) -> None:
        self.app, self.rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _MARKS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self.rules.admit(scope)
        except Refusal as refusal:
            return await replies.refused(refusal)(scope, receive, send_marked)
        await self.app(scope, receive, send_marked)


def _host_name(host: str) -> str:
    found = _HOST.fullmatch(host.lower())
    if found is None or found["name"] != host.lower():
        raise ValueError(f"{host!r} is not the name of a host; write it without scheme and port, IPv6 like '[::1]'")
    return found["name"]


def _check_origin(headers: Headers, host: str) -> None:
    """A browser says where a page comes from, and cannot be made to lie; what says nothing is no browser."""
    sites, origins = headers.getlist("sec-fetch-site"), headers.getlist("origin")
    own = {f"http://{host}", f"https://{host}"}
    if not (set(sites) <= _OWN_PAGES and {origin.lower() for origin in origins} <= own):
        raise Refusal(403, "the request comes from a page of another origin")


def _check_token(sent: Sequence[str], token: bytes) -> None:
    scheme, _, value = sent[0].partition(" ") if len(sent) == 1 else ("", "", "")
    right = hmac.compare_digest(_digest(value.strip(" ").encode("latin-1")), token)
    if scheme.lower() != "bearer" or not right:
        raise UnauthorizedError("send the token of the admin app: Authorization: Bearer ...")


def _digest(token: bytes) -> bytes:
    """Of one length for all, so that comparing takes one time for all."""
    return hashlib.sha256(token).digest()
