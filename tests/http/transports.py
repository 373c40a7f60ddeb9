"""Networks for the tests of the client: one that is scripted, and one that loses answers."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from durable.http import HttpClient

Line = httpx.Response | Exception


class Script(httpx.AsyncBaseTransport):
    """Answers with one line after the other, and repeats the last."""

    def __init__(self, *lines: Line) -> None:
        self.lines = list(lines)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        line = self.lines[min(len(self.requests), len(self.lines)) - 1]
        if isinstance(line, Exception):
            raise line
        return httpx.Response(line.status_code, headers=line.headers, content=line.content)


class Lossy(httpx.AsyncBaseTransport):
    """Carries every request, and loses the first ``lost`` answers on the way back."""

    def __init__(self, app: Any, lost: int = 1) -> None:
        self.below = httpx.ASGITransport(app)
        self.lost = lost
        self.carried = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.carried += 1
        carrying = asyncio.ensure_future(self.below.handle_async_request(request))
        if self.lost:
            self.lost -= 1
            # A call may wait for long; what is lost is lost once the request has been taken.
            await asyncio.wait([carrying], timeout=0.05)
            carrying.cancel()
            raise httpx.ReadError("connection reset")
        return await carrying


class FakeTime:
    """Passes only when somebody sleeps, and remembers for how long."""

    def __init__(self, client: HttpClient) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []
        client.door.wire.now = lambda: self.seconds
        client.door.wire.sleep = self.sleep

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def error(status: int, message: str = "no", source: str = "ingress", **headers: str) -> httpx.Response:
    """As an ingress answers."""
    marked = {"x-restate-error-source": source, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return httpx.Response(status, headers=marked, json={"code": status, "message": message, "source": source})
