"""Limits as an engine offers them: those that the code declares, and those that are put while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import msgspec

from durable.core.lanes import Meter
from durable.flow import Limit, check_limits
from durable.handlers import Handler
from durable.runtime.gatekeeper import Gatekeeper


class Usage(msgspec.Struct, frozen=True):
    """How much of a limit one path uses."""

    path: str
    limit: Limit
    """The one that counts for the path."""
    running: int
    """Slots that are taken, also those that are set aside for one that waits for another limit, too."""
    waiting: int
    """How many wait for their start."""
    next_start: datetime | None
    """When the rate lets the next one start; ``None`` if it does not wait for that."""


class Limits:
    """Of an open engine. What is put or removed is durable, and holds when the call returns."""

    def __init__(self, gatekeeper: Gatekeeper, check: Callable[[], None]) -> None:
        self._gatekeeper, self._check = gatekeeper, check

    def all(self) -> list[Limit]:
        """Those that hold, by pattern."""
        return self._gatekeeper.limits()

    def usage(self) -> list[Usage]:
        """Of every path that somebody runs, starts or waits in, by path."""
        now_ms = self._gatekeeper.now_ms()
        return sorted((_usage(meter, now_ms) for meter in self._gatekeeper.meters()), key=lambda usage: usage.path)

    async def put(self, *limits: Limit) -> None:
        """Set or replace what counts for their patterns, also what the code declares; it survives a restart.

        All of them are put, or none. What runs goes on, also if it is more than may run from now on. As with every
        change, one whose call raised, because the engine stopped or its disk is full, may hold nevertheless.
        """
        check_limits(limits)
        self._check()
        await self._gatekeeper.put(limits)

    async def remove(self, pattern: str, /) -> None:
        """Take back what was put: what the code declares counts again. 404 if nothing was put for the pattern."""
        self._check()
        await self._gatekeeper.remove(pattern)


def declared_limits(handlers: Iterable[Handler[..., object]], limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
    """Those of the handlers' own keywords, and ``limits``; :class:`ValueError` if two are for one pattern."""
    declared = (*(bounds for handler in handlers if (bounds := handler.bounds()) is not None), *limits)
    check_limits(declared)
    return declared


def _usage(meter: Meter, now_ms: int) -> Usage:
    opens_ms = meter.opens_ms(now_ms)
    next_start = datetime.fromtimestamp(opens_ms / 1000, UTC) if opens_ms > now_ms else None
    return Usage(meter.name, meter.limit, meter.used, meter.backlog, next_start)
