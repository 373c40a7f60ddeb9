"""A caller that waits for what is paused, or backs off: in a scenario that does no more it would wait for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from durable.core.invocation import Status
from durable.core.waits import Why
from durable.errors import EngineStoppedError, InvocationNotFoundError
from durable.testing.engine import TestEngine

T = TypeVar("T")

_HALTED = (Status.PAUSED, Status.BACKING_OFF)
"""Nobody resumes it, and nobody moves the clock."""
_QUIET = 2_000
"""Looks, a millisecond apart, at an engine that does not move: as long as a scenario may rest itself."""


class StuckError(Exception):
    """Says what is waited for, and why it does not come."""


async def unless_stuck(work: Awaitable[T], engine: Callable[[], TestEngine | None]) -> T:
    """The result of ``work``; :class:`StuckError` once it waits for what does not go on by itself."""
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_stuck(engine))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise StuckError(str(watching.result()))
    finally:
        for each in (working, watching):
            each.cancel()
        await asyncio.wait({working, watching})


async def _stuck(engine: Callable[[], TestEngine | None]) -> Why:
    quiet = 0
    while True:
        await asyncio.sleep(0.001)
        now = engine()
        quiet = quiet + 1 if now is not None and now.idle else 0
        if now is None or quiet < _QUIET:
            continue
        quiet = 0
        if (why := await _halted(now)) is not None:
            return why


async def _halted(engine: TestEngine) -> Why | None:
    """Of the invocations that callers wait for, one that has halted, or waits for one that has."""
    for id in engine.door.awaited:
        with suppress(EngineStoppedError, InvocationNotFoundError):  # who waited has been told
            why = await engine.door.why(id)
            if _has_halted(why):
                return why
    return None


def _has_halted(why: Why) -> bool:
    if why.status in _HALTED:
        return True
    return any(reason.invocation is not None and _has_halted(reason.invocation) for reason in why.reasons)
