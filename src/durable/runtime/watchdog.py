"""Says who keeps the event loop from turning, and where. Nothing in Python can stop it: that takes a person."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Protocol

from durable.core.ids import InvocationId
from durable.runtime.watch import is_authors

log = logging.getLogger("durable.watchdog")

BEAT_S = 0.5
MISSED = 4
"""Beats that the loop misses before that is told: two seconds. A thread counts, which stands still when all does."""
REMEMBERED_S = 60.0

# Private by name, and documented.
_frames: Callable[[], dict[int, FrameType]] = vars(sys)["_current_frames"]


class Running(Protocol):
    running: bool

    @property
    def handler(self) -> str: ...
    @property
    def invocation_id(self) -> str: ...


class Watchdog:
    """Of the event loop that it is made in."""

    def __init__(self, attempts: Callable[[], Mapping[InvocationId, Running]]) -> None:
        self._attempts = attempts
        self._loop, self._thread_id = asyncio.get_running_loop(), threading.get_ident()
        self._missed, self._said_at = 0, 0.0
        self.said: str | None = None
        """What blocked the loop within the last minute."""
        self._closed = threading.Event()
        self._beat()
        threading.Thread(target=self._watch, name="durable watchdog", daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._handle.cancel()

    def _beat(self) -> None:
        if self._missed >= MISSED:
            log.warning("the event loop turns again, after %.1f seconds or more", self._missed * BEAT_S)
        self._missed = 0
        if self.said is not None and time.monotonic() - self._said_at > REMEMBERED_S:
            self.said = None
        self._handle = self._loop.call_later(BEAT_S, self._beat)

    def _watch(self) -> None:
        while not self._closed.wait(BEAT_S):
            self._missed += 1
            if self._missed == MISSED:
                self._tell()

    def _tell(self) -> None:
        frame = _frames().get(self._thread_id)
        stack = traceback.extract_stack(frame)
        lines = [f"{each.filename}:{each.lineno}" for each in stack if is_authors(each.filename)]
        where = f" at {lines[-1]}" if lines else ""
        running = [each for each in list(self._attempts().values()) if each.running]
        who = ", ".join(f"{each.handler} ({each.invocation_id})" for each in running) or "no handler, but something,"
        self.said = (
            f"{who} has kept the event loop from turning for {MISSED * BEAT_S:.0f} seconds{where}: nothing else runs "
            "meanwhile; do what blocks in a step, as a function without async: it gets a thread"
        )
        self._said_at = time.monotonic()
        log.error("%s\n%s", self.said, "".join(stack.format()))
