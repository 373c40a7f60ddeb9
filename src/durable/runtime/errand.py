"""Work in the background that an alarm begins: one at a time, and if it fails, the engine stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from durable.runtime.clock import Alarm
from durable.runtime.kernel import Kernel


class Errand:
    def __init__(
        self, kernel: Kernel, work: Callable[[], Coroutine[object, object, None]], ended: Callable[[], None]
    ) -> None:
        self._kernel, self._work, self._on_end = kernel, work, ended
        self._alarm: Alarm | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        return self._task is not None

    def begin_at(self, due_ms: int | None) -> None:
        """Begin then, and not when it was to begin before; ``None``: not by itself."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None if due_ms is None or self._closed else self._kernel.clock.call_at(due_ms, self.begin)

    def begin(self) -> None:
        if self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._work())
            self._task.add_done_callback(self._ended)

    async def close(self) -> None:
        self._closed = True
        self.begin_at(None)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled() or self._closed:
            return
        if error := task.exception():
            self._kernel.writer.fail(error)
        else:
            self._on_end()
