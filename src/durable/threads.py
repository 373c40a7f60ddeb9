"""Threads for what blocks. A process does not wait for them when it ends: one that never returns must not keep it.

The threads of anyio and of concurrent.futures are waited for at the interpreter's exit, however long that takes.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from anyio.to_thread import current_default_thread_limiter

T = TypeVar("T")

Job = Callable[[], Callable[[], object]]
"""What blocks; it returns what tells its caller."""


class _Worker:
    def __init__(self) -> None:
        self._jobs = SimpleQueue[Job]()
        Thread(target=self._work, name="durable step", daemon=True).start()

    def begin(self, job: Job) -> None:
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            tell = self._jobs.get()()
            _idle.append(self)  # first: whoever is told may begin the next at once
            tell()
            del tell


_idle = deque[_Worker]()
# A child of fork has none of them.
os.register_at_fork(after_in_child=_idle.clear)


async def run_in_thread(function: Callable[[], T]) -> T:
    """Call it in a thread, of as many as anyio allows. Cancelled, this returns, and the thread goes on for nobody."""
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

    async with current_default_thread_limiter():
        try:
            worker = _idle.pop()
        except IndexError:
            worker = _Worker()
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
