"""Watches a handler's coroutine for calls that another attempt would answer differently. It patches nothing.

A profile function is set while the coroutine itself runs, and only then: no other code in the process is watched.
"""

from __future__ import annotations

import asyncio
import datetime
import inspect
import logging
import os
import random
import secrets
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from pathlib import Path
from types import CodeType, CoroutineType, FrameType, TracebackType
from typing import Any, NamedTuple, TypeVar

import anyio

from durable.action import in_a_step
from durable.runtime.line import PACKAGE, is_ours, line_of, outward

T = TypeVar("T")

_LIBRARIES = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_LOOPS = tuple(module.__file__ for module in (asyncio.base_events, asyncio.events, asyncio.runners))
_CHANCE = (random.__file__, uuid.__file__, secrets.__file__)


class Mistake(NamedTuple):
    """A call that only a step may make."""

    name: str
    says: str
    deep: bool = False
    """Whether it is one also when a library makes it for the author's code."""


def _all(names: str, functions: tuple[object, ...], says: str) -> dict[object, Mistake]:
    return {function: Mistake(name, says) for name, function in zip(names.split(), functions, strict=True)}


_CLOCK = "which is another time on every attempt; write `await ctx.now()`"
_ANEW = "which draws anew on every attempt; write `ctx.random` or `ctx.uuid()`"
_WAIT = "which waits in memory only, and anew on every attempt; write `await ctx.sleep(...)`"
_LIMIT = "which counts anew on every attempt; write `await future.or_timeout(...)`"
_STEP = "which happens again on every attempt; do it in a step: `await ctx.run(name, function)`"

_BUILTINS: dict[object, Mistake] = {
    **_all("time.time time.time_ns time.monotonic", (time.time, time.time_ns, time.monotonic), _CLOCK),
    **_all("time.monotonic_ns", (time.monotonic_ns,), _CLOCK),
    **_all("datetime.now datetime.utcnow", attrgetter("now", "utcnow")(datetime.datetime), _CLOCK),
    **_all("datetime.today date.today", (datetime.datetime.today, datetime.date.today), _CLOCK),
    **_all("random.random random.getrandbits", (random.random, random.getrandbits), _ANEW),
    **_all("os.urandom", (os.urandom,), _ANEW),
    **_all("time.sleep", (time.sleep,), _WAIT),
    **_all("os.system os.fork", attrgetter("system", "fork")(os), _STEP),
}
_CODES: dict[CodeType, Mistake] = {
    random.Random.seed.__code__: Mistake("random.seed", _ANEW),
    uuid.uuid1.__code__: Mistake("uuid.uuid1", _ANEW),
    asyncio.sleep.__code__: Mistake("asyncio.sleep", _WAIT),
    anyio.sleep.__code__: Mistake("anyio.sleep", _WAIT),
    asyncio.wait_for.__code__: Mistake("asyncio.wait_for", _LIMIT),
    asyncio.timeout.__code__: Mistake("asyncio.timeout", _LIMIT),
    socket.socket.__init__.__code__: Mistake("socket.socket", _STEP, deep=True),
    socket.getaddrinfo.__code__: Mistake("socket.getaddrinfo", _STEP, deep=True),
    subprocess.Popen.__init__.__code__: Mistake("subprocess.Popen", _STEP, deep=True),
    threading.Thread.start.__code__: Mistake("threading.Thread.start", _STEP, deep=True),
    ThreadPoolExecutor.submit.__code__: Mistake("ThreadPoolExecutor.submit", _STEP, deep=True),
}
_ORIGINS = 3
"""How far from where a coroutine was made its author is: our own verbs make some."""

# Python calls it when a coroutine is dropped that never ran.
_DROPPED: object = getattr(vars(warnings).get("_warn_unawaited_coroutine"), "__code__", None)


def is_authors(file: str) -> bool:
    """Whether it is neither Python's, nor ours, nor of an installed package."""
    return not file.startswith((PACKAGE, *_LIBRARIES, "<frozen "))


def author_line() -> str | None:
    """The line of the author's code that the event loop, or a thread, executes."""
    for frame in outward(inspect.currentframe()):
        if is_authors(frame.f_code.co_filename):
            return line_of(frame)
        if frame.f_code.co_filename in _LOOPS:
            return None
    return None


def waiting_line(coroutine: object) -> str | None:
    """The line of the author's code where a coroutine waits."""
    line = None
    while isinstance(coroutine, CoroutineType):
        if coroutine.cr_frame and is_authors(coroutine.cr_code.co_filename):
            line = line_of(coroutine.cr_frame)
        coroutine = coroutine.cr_await
    return line


def caught_at(error: BaseException) -> str:
    """Where in the author's code an exception got to, that went no further."""
    traceback = error.__traceback__
    while traceback is not None and not is_authors(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    return f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}" if traceback else "an unknown line"


Misused = Callable[[str], BaseException]
"""Remembers what is said, and gives what is to be raised."""


class Watched(Coroutine[Any, Any, T]):
    """A handler's coroutine. A mistake is raised at the line that makes it."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], misused: Misused, dropped: Callable[[str], None]) -> None:
        self._coroutine = coroutine
        self._misused, self._dropped = misused, dropped

    def send(self, value: Any, /) -> Any:
        return self._watched(lambda: self._coroutine.send(value))

    def throw(self, error: Any, value: Any = None, traceback: TracebackType | None = None, /) -> Any:
        return self._watched(lambda: self._coroutine.throw(error))

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def _watched(self, step: Callable[[], Any]) -> Any:
        outer = sys.getprofile()
        if outer is not None and not isinstance(getattr(outer, "__self__", None), Watched):
            return step()  # somebody profiles, and must not lose it
        depth = sys.get_coroutine_origin_tracking_depth()
        sys.set_coroutine_origin_tracking_depth(max(depth, _ORIGINS))
        sys.setprofile(self._profile)
        try:
            return step()
        finally:
            sys.setprofile(outer)
            sys.set_coroutine_origin_tracking_depth(depth)

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            mistake, caller = _BUILTINS.get(argument), frame
        elif event == "call" and frame.f_code is _DROPPED:
            return self._note_dropped(frame.f_locals["coro"])
        elif event == "call" and frame.f_back is not None:
            mistake, caller = None if _is_seeded(frame) else _CODES.get(frame.f_code), frame.f_back
        else:
            return None
        if mistake is not None and not in_a_step():
            self._check(mistake, caller)
        return None

    def _check(self, mistake: Mistake, caller: FrameType) -> None:
        name, author = mistake.name, _culprit(caller) if mistake.deep else caller
        while not mistake.deep and author is not None and author.f_code.co_filename in _CHANCE:
            name, author = _library_name(author.f_code), author.f_back
        if author is not None and is_authors(author.f_code.co_filename):
            raise self._misused(f"called {name}() at {line_of(author)}, {mistake.says}")

    def _note_dropped(self, coroutine: CoroutineType[Any, Any, Any]) -> None:
        name, call = coroutine.__qualname__, coroutine.__name__
        for file, line, function in coroutine.cr_origin or ():
            if is_authors(file):
                self._dropped(
                    f"never awaited the coroutine {name}() of {file}:{line}, which did not run; "
                    f"write `await {call}(...)`"
                )
            if not file.startswith(PACKAGE):
                return  # or it was made elsewhere, and is only collected here
            name = call = f"ctx.{function}"


def _is_seeded(frame: FrameType) -> bool:
    """Whether it begins the chance that a caller has named, which is the same each time."""
    return frame.f_code is random.Random.seed.__code__ and frame.f_locals.get("a") is not None


def _library_name(code: CodeType) -> str:
    return "random.Random" if code.co_name == "__init__" else f"{Path(code.co_filename).stem}.{code.co_name}"


def _culprit(frame: FrameType | None) -> FrameType | None:
    """The author's frame that a library's call is made for; none if we, or the logging of something, make it."""
    for each in outward(frame):
        if is_authors(each.f_code.co_filename):
            return each
        if is_ours(each) or each.f_code.co_filename.startswith(os.path.dirname(logging.__file__)):
            return None
    return None
