"""Drives a handler's coroutine, and can let go of one that refuses to end."""

from __future__ import annotations

import ctypes
from collections.abc import Coroutine, Generator
from typing import Any, Generic, Protocol, TypeVar

from durable.errors import Suspended

T = TypeVar("T")

_ABANDON = object()


def _keep_for_ever(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Let it never be collected, also not at the interpreter's end: that would resume it, for it to swallow that too.

    Only a handler that swallows everything gets here. A reference of Python's own would be dropped at the end.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine))


class Driver(Protocol):
    running: bool
    """Whether the coroutine itself runs now, and not another task that it began."""

    def yielded(self) -> None:
        """The coroutine waits for something."""
        ...


class Driven(Generic[T]):
    """A coroutine, awaited step by step."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], driver: Driver) -> None:
        self._coroutine = coroutine
        self._driver = driver

    def __await__(self) -> Generator[Any, Any, T]:
        sent: Any = None
        thrown: BaseException | None = None
        while True:
            self._driver.running = True
            try:
                step = self._coroutine.send(sent) if thrown is None else self._coroutine.throw(thrown)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self._driver.running = False
            self._driver.yielded()
            if step is _ABANDON:
                _keep_for_ever(self._coroutine)
                raise Suspended
            try:
                sent, thrown = (yield step), None
            except BaseException as error:
                thrown = error


class Abandon:
    """Awaited by a driven coroutine: it is never resumed."""

    def __await__(self) -> Generator[object, None, None]:
        yield _ABANDON
