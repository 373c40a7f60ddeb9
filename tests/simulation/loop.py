"""An event loop whose time passes only when nothing can run, and the processes that live and die on it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any

PROCESS: ContextVar[Process] = ContextVar("process")


class _Selector(selectors.SelectSelector):
    loop: SimulatedLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("deadlock: nothing is scheduled")
        self.loop.elapsed += max(timeout, 0)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Runs what is ready in asyncio's own order: only what awaits the world is delayed at random."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.elapsed

    def create_task(self, coro: Any, *, name: object = None, context: Context | None = None) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = super().create_task(coro, name=name, context=context)
        process = PROCESS.get(None) if context is None else context.get(PROCESS)
        if process is not None:
            process.tasks[task] = None
            task.add_done_callback(lambda done: process.tasks.pop(done, None))
        return task


class Process:
    """What one engine lives in. Nothing that began in it goes on once it was killed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.dead = False
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.death: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._context = copy_context()
        self._context.run(PROCESS.set, self)

    def begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, context=self._context.copy())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to ask
        return task

    def mark_dead(self) -> None:
        self.dead = True
        if not self.death.done():
            self.death.set_result(None)

    async def end(self) -> None:
        for _ in range(100):
            for task in list(self.tasks):
                task.cancel()
            await asyncio.sleep(0)
            if not self.tasks:
                return
        raise RuntimeError(f"tasks of a killed process go on: {list(self.tasks)}")
