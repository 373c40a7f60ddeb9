"""How long a request waits: until there is an answer, its client is gone, or its own time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")

_PATIENCE = 0.1
"""Seconds before a client is watched: most calls are answered before it could leave."""


async def wait_for(request: Request, work: Awaitable[T], end: Awaitable[None] | None = None) -> T | None:
    """What comes of ``work``; ``None`` once ``end`` has come before it.

    :class:`ClientDisconnect` as soon as nobody waits for it any more.
    """
    working: asyncio.Future[T] = asyncio.ensure_future(work)
    try:
        if end is None and (await asyncio.wait((working,), timeout=_PATIENCE))[0]:
            return working.result()
        return await _watched(request, working, end)
    finally:
        working.cancel()


async def _watched(request: Request, working: asyncio.Future[T], end: Awaitable[None] | None) -> T | None:
    leaving = asyncio.ensure_future(_disconnected(request))
    ending = None if end is None else asyncio.ensure_future(end)
    waited: set[asyncio.Future[T] | asyncio.Future[None]] = {working, leaving}
    try:
        await asyncio.wait(waited | {ending} if ending else waited, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if leaving.done():
            raise ClientDisconnect
        return None
    finally:
        leaving.cancel()
        if ending is not None:
            ending.cancel()


async def passed(time: timedelta, since: asyncio.Future[str] | None = None) -> None:
    """Return when ``time`` has passed, counted from when ``since`` is done."""
    if since is not None:
        await asyncio.shield(since)  # it is not this wait's to cancel
    await asyncio.sleep(time.total_seconds())


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
