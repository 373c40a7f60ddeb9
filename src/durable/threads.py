"""Threads for what blocks. A process does not wait for them when it ends: one that never returns must not keep it.

The threads of anyio and of concurrent.futures are waited for at the interpreter's exit, however long that takes.
An idle thread is kept for the next call as long as an engine is open.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import current_default_thread_limiter

T = TypeVar("T")

Job = Callable[[], Callable[[], object]]
"""What blocks; it returns what tells its caller."""


class _Worker:
    def __init__(self) -> None:
        self._jobs = SimpleQueue[Job | None]()
        self._thread = Thread(target=self._work, name="durable step", daemon=True)
        self._thread.start()

    def begin(self, job: Job) -> None:
        self._jobs.put(job)

    def end(self) -> None:
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            tell = job()
            kept = _idle.keep(self)  # first: whoever is told may begin the next at once
            tell()
            del job, tell
            if not kept:
                return


class Idle:
    """Threads without work."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._workers: list[_Worker] = []
        self._engines = 0

    def keep(self, worker: _Worker) -> bool:
        with self._lock:
            if self._engines:
                self._workers.append(worker)
            return bool(self._engines)

    def take(self) -> _Worker | None:
        with self._lock:
            return self._workers.pop() if self._workers else None

    def opened(self) -> None:
        with self._lock:
            self._engines += 1

    def closed(self) -> None:
        with self._lock:
            self._engines -= 1
            ended, self._workers = ([], self._workers) if self._engines else (self._workers, [])
        for worker in ended:
            worker.end()

    def forked(self) -> None:
        """A child of fork has none of them, and perhaps a lock that nobody releases."""
        self._lock, self._workers = Lock(), []


_idle = Idle()
os.register_at_fork(after_in_child=lambda: _idle.forked())


def keep_threads() -> None:
    """An engine is open: threads are used again."""
    _idle.opened()


def end_threads() -> None:
    """An engine is closed: the last one ends every thread without work, and those that have some end with it."""
    _idle.closed()


async def run_in_thread(function: Callable[[], T], limiter: CapacityLimiter | None = None) -> T:
    """Call it in a thread, of as many as ``limiter``, or else anyio's, allows.

    Cancelled, this returns, and the thread goes on for nobody.
    """
    loop, context = asyncio.get_running_loop(), copy_context()
    future: asyncio.Future[T] = loop.create_future()

    def job() -> Callable[[], object]:
        try:
            settle = partial(_succeed, future, context.run(function))
        except StopIteration as error:  # a future takes none
            settle = partial(_fail, future, RuntimeError(f"it raised {error!r}"))
        except BaseException as error:
            settle = partial(_fail, future, error)
        return partial(_tell, loop, settle)

    async with limiter or current_default_thread_limiter():
        worker = _idle.take() or _Worker()
        worker.begin(job)
        return await future


def _tell(loop: asyncio.AbstractEventLoop, settle: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(settle)


def _succeed(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
