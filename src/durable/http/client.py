"""HttpClient: the calls of an engine, over HTTP, to an ingress somewhere else."""

from __future__ import annotations

from datetime import timedelta
from typing import ParamSpec, Self, TypeVar

import httpx

from durable.client import Client, Invocation
from durable.core.outcome import Failure
from durable.futures import check_duration
from durable.handlers import Handler
from durable.http.door import HttpDoor
from durable.http.requests import outbound
from durable.http.wire import Server, Wire

T = TypeVar("T")
P = ParamSpec("P")


class HttpClient(Client):
    """The same calls as an engine's, over HTTP, to an ingress somewhere else (``pip install durable-engine[client]``).

    What fails in passing is sent again, under one idempotency key, for at most ``timeout``; a call that has no outcome
    by then raises :class:`OutcomeTimeoutError`, and goes on. ``Invocation.result()`` waits as long as it takes.

    ``api_key`` is sent as ``Authorization: Bearer``. ``status()``, ``cancel()`` and the like are the admin API's, and
    need ``admin_url``. Use it in ``async with``, or close it, to give its connections back.
    """

    def __init__(
        self,
        url: str,
        /,
        *,
        api_key: str | None = None,
        timeout: timedelta = timedelta(seconds=30),
        admin_url: str | None = None,
        admin_token: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        check_duration(timeout, "the timeout of a client")
        if not timeout:
            raise ValueError("the timeout of a client cannot be zero: it could not even ask")
        ingress = _server(url, api_key)
        admin = None if admin_url is None else _server(admin_url, admin_token)
        self._door = HttpDoor(Wire(httpx.AsyncClient(transport=transport), timeout), ingress, admin)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back; the client cannot be used any more."""
        await self._door.wire.close()

    @property
    def door(self) -> HttpDoor:
        return self._door

    async def call(self, handler: Handler[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        outcome = await self._door.call(outbound(handler, args, kwargs))
        if isinstance(outcome, Failure):
            raise outcome.error()
        return handler.decode_output(outcome.value or b"")

    async def send(self, handler: Handler[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Invocation[T]:
        id = await self._door.send(outbound(handler, args, kwargs), None)
        return Invocation(self._door, id, handler.decode_output)

    async def send_later(
        self, delay: timedelta, handler: Handler[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Invocation[T]:
        check_duration(delay, "the delay of send_later")
        id = await self._door.send(outbound(handler, args, kwargs), delay)
        return Invocation(self._door, id, handler.decode_output)

    async def lookup(self, handler: Handler[..., T], key: str | None = None, /) -> Invocation[T]:
        return Invocation(self._door, await self._door.lookup(handler, key), handler.decode_output)


def _server(url: str, token: str | None) -> Server:
    parsed = httpx.URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.fragment:
        raise ValueError(f"the address of a server is like 'https://shop.example/api', got {url!r}")
    return Server(url, token)
