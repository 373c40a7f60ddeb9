"""One request to somebody else's API: what heals is retried by the engine, what cannot heal is terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

import httpx

from durable import RetryableError, TerminalError

# Timeout, conflict with the same request still under way, too early, too many: the next attempt may pass.
HEALING = frozenset({408, 409, 425, 429})


class Outside:
    """Somebody else's HTTP API."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self.http = http
        self.url = url.rstrip("/")

    async def post(self, path: str, body: Mapping[str, str], *, key: str) -> bytes:
        """Post ``body`` under an idempotency key that is the same on every attempt."""
        response = await self.http.post(self.url + path, json=dict(body), headers=key_header(key))
        return accepted(response).content

    async def delete(self, path: str, *, key: str) -> None:
        """Delete what ``path`` names; that it is not there is fine."""
        response = await self.http.delete(self.url + path, headers=key_header(key))
        if response.status_code not in (404, 410):
            accepted(response)


def key_header(key: str) -> dict[str, str]:
    # A transaction id is the gateway's own text, and a header is ASCII.
    return {"Idempotency-Key": quote(key, safe=":")}


def accepted(response: httpx.Response) -> httpx.Response:
    """Return a successful response; raise what the engine should make of any other."""
    if response.is_success:
        return response
    request, status = response.request, response.status_code
    refusal = f"{request.method} {request.url} was answered with {status}: {response.text[:200]}"
    if response.is_client_error and status not in HEALING:
        raise TerminalError(refusal, status=502)
    raise RetryableError(refusal, retry_after=retry_after(response))


def retry_after(response: httpx.Response) -> timedelta | None:
    seconds = response.headers.get("retry-after", "")
    return timedelta(seconds=int(seconds)) if seconds.isdecimal() and len(seconds) < 6 else None
