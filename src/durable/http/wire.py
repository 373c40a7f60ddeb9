"""Requests, sent again while that is safe and can help, until their time is over. It knows nothing of handlers."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from itertools import count

import httpx
import msgspec

from durable.http.errors import UnansweredError
from durable.retry import RetryPolicy

# As Restate's own clients: from 250 ms to 3 s.
_BACK_OFF = RetryPolicy(first=timedelta(milliseconds=250), longest=timedelta(seconds=3), jitter=0.25)
_CONNECT = 5.0
"""Seconds for a connection; more is a host that is not there, and the next attempt may find another."""
_SLACK = 2.0
"""Seconds more than what the server was told: its own 408 says more than a connection that was dropped."""
_PASSING = frozenset({408, 425, 429, *range(500, 600)})
_REFUSED_UNREAD = frozenset({425, 429})

Problem = httpx.TransportError | httpx.Response


class Server(msgspec.Struct, frozen=True):
    """Whom to ask: an ingress, or an admin API."""

    url: str
    token: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.token is None else {"authorization": f"Bearer {self.token}"}


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request, which may have to be sent more than once."""

    server: Server
    method: str
    path: str
    """Encoded, with its query: what comes after the server's own path."""
    headers: Mapping[str, str] = {}
    content: bytes = b""
    waits: bool = False
    """The reply may take as long as there is time: the server is told how long that is."""
    repeatable: bool = True
    """Two of it are as good as one. Otherwise it is sent again only if the first cannot have arrived."""
    settled_by: frozenset[int] = frozenset()
    """Statuses that are final for this request, though others would be sent again for them."""
    again: str = "send it again"
    """What a caller can do who got no answer."""

    @property
    def url(self) -> httpx.URL:
        return httpx.URL(self.server.url.rstrip("/") + self.path)


class Answer(msgspec.Struct, frozen=True):
    response: httpx.Response
    perhaps_second: bool
    """An earlier attempt may have arrived too."""


class Wire:
    def __init__(self, http: httpx.AsyncClient, timeout: timedelta) -> None:
        self._http, self._timeout = http, timeout
        self.now: Callable[[], float] = time.monotonic
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def close(self) -> None:
        await self._http.aclose()

    def deadline(self) -> float:
        """When a verb that begins now has taken its time."""
        return self.now() + self._timeout.total_seconds()

    async def ask(self, ask: Ask, deadline: float) -> Answer:
        """The first answer that settles something; :class:`UnansweredError` if there is none in time."""
        doubtful = False
        for attempt in count(1):
            came = await self._attempt(ask, deadline - self.now())
            if isinstance(came, httpx.Response) and (came.status_code in ask.settled_by or not _passing(came)):
                return Answer(came, doubtful)
            doubtful = doubtful or not _never_arrived(came)
            pause = _pause(came, attempt)
            if (doubtful and not ask.repeatable) or self.now() + pause >= deadline:
                raise self._gave_up(ask, came, doubtful)
            await self.sleep(pause)
        raise AssertionError

    async def _attempt(self, ask: Ask, left: float) -> Problem:
        left = max(left, 0.0)
        limits = httpx.Timeout(left + _SLACK, connect=min(left, _CONNECT), pool=left)
        url = ask.url.copy_add_param("timeout", f"{round(left * 1000)}ms") if ask.waits else ask.url
        headers = ask.server.headers | dict(ask.headers)
        try:
            return await self._http.request(ask.method, url, headers=headers, content=ask.content, timeout=limits)
        except httpx.TransportError as error:
            if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
                raise  # The request itself is at fault: it will not get better.
            return error

    def _gave_up(self, ask: Ask, problem: Problem, doubtful: bool) -> UnansweredError:
        said = f"{type(problem).__name__} {problem}".strip()
        if isinstance(problem, httpx.Response):
            said = f"{problem.status_code} {problem.text[:200]}"
        where = ask.url.copy_with(query=None, userinfo=b"")
        # What is only read may be about something that was accepted before.
        sure = not doubtful and ask.method != "GET"
        accepted = "it was refused each time, and not accepted" if sure else "it may or may not have been accepted"
        unanswered = UnansweredError(
            f"no answer to {ask.method} {where} within {self._timeout.total_seconds():g} s, only: {said}; "
            f"{accepted}: {ask.again}"
        )
        if isinstance(problem, httpx.TransportError):
            unanswered.__cause__ = problem
        return unanswered


def from_invocation(response: httpx.Response) -> bool:
    """Whether it tells how an invocation ended, and not what the ingress or a proxy makes of the request."""
    return "invocation" in response.headers.get_list("x-restate-error-source")


def goes_on(response: httpx.Response) -> bool:
    """Whether it was accepted, and the ingress only did not wait any longer."""
    return response.status_code == 408 and "x-restate-id" in response.headers and not from_invocation(response)


def _passing(response: httpx.Response) -> bool:
    return response.status_code in _PASSING and not from_invocation(response) and not goes_on(response)


def _never_arrived(problem: Problem) -> bool:
    if isinstance(problem, httpx.Response):
        return problem.status_code in _REFUSED_UNREAD
    return isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def _pause(problem: Problem, attempt: int) -> float:
    """Seconds until the next attempt: what the server asks for, or the back-off."""
    wanted = problem.headers.get("retry-after", "") if isinstance(problem, httpx.Response) else ""
    # Not as a date: that would need the server's clock to be ours. Six digits are past every timeout.
    if wanted.isascii() and wanted.isdigit():
        return float(wanted[:6])
    return _BACK_OFF.delay(attempt, random.random()).total_seconds()
