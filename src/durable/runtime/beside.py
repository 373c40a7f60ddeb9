"""Reads the database's file in threads beside the work, by connections of their own; all end before the engine does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event
from typing import TypeVar

from anyio import CapacityLimiter

from durable.audit.auditor import Rest
from durable.errors import EngineStoppedError, StoreError
from durable.runtime.kernel import Kernel
from durable.threads import run_in_thread

T = TypeVar("T")

_CLOSED = "the engine was closed meanwhile: open it again, and repeat what it was asked for"


_THREADS = 4
"""Of its own: the steps of handlers may hold all others for as long as they hang."""


class Beside:
    def __init__(self, kernel: Kernel, path: Path | None) -> None:
        self._kernel, self._path = kernel, path
        self._closing = Event()
        self._tasks: set[asyncio.Task[object]] = set()
        self._limiter = CapacityLimiter(_THREADS)

    @property
    def possible(self) -> bool:
        return self._path is not None

    async def run(self, work: Callable[[Path, Rest], T]) -> T:
        """Call ``work`` once all that was decided is on the disk. It calls its second argument now and then."""
        if self._path is None:
            raise StoreError("this engine keeps nothing in a file: there is nothing to read")
        path = self._path
        await self._kernel.writer.until(self._kernel.ledger.number - 1)
        if self._closing.is_set():
            raise EngineStoppedError(_CLOSED)
        task = asyncio.get_running_loop().create_task(run_in_thread(partial(work, path, self._rest), self._limiter))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Whoever is cancelled leaves the thread to its work: it ends by itself, and close waits for it.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Return once nothing of it reads the database any more."""
        self._closing.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _rest(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise EngineStoppedError(_CLOSED)
