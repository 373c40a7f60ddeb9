"""The body of a step: where it runs, what its result is, and that it leaves its own invocation alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, NamedTuple, TypeVar, get_args, get_origin
from weakref import WeakKeyDictionary

from durable.errors import PayloadError
from durable.flaw import refused
from durable.machine import Machine
from durable.serde import declared, decode, decoder, encode
from durable.sizes import LONGEST_NAME, check_text
from durable.threads import run_in_thread

_FUNCTIONS = (FunctionType, BuiltinFunctionType)


class _Shape(NamedTuple):
    """What a function says about itself."""

    is_async: bool
    result: Any
    """What it declares to return, once awaited; ``object`` if it declares nothing that can be decoded."""


class Body:
    """One ``ctx.run``: what it does, and how its recorded result is read. As text: what messages call that result."""

    __slots__ = ("_args", "_function", "_shape", "machine", "name")

    def __init__(self, machine: Machine, name: str, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.name = check_text(name, "the first argument of ctx.run, the name of the step,", LONGEST_NAME)
        _check_callable(name, function)
        self.machine = machine
        self._function, self._args = function, args
        self._shape = _shape(function)

    async def act(self) -> bytes:
        token = _running.set(self)
        try:
            value = await self._call()
        finally:
            _running.reset(token)
        raw = encode(value, self)
        if self._shape.result is object:
            self._check_plain(value, raw)
        return raw

    def decode(self, raw: bytes) -> Any:
        return decode(self._shape.result, raw, self)

    async def _call(self) -> object:
        if self._shape.is_async:
            value = self._function(*self._args)
        else:
            # A thread cannot be stopped, and must not hold up an engine that stops; the step is tried again later.
            value = await run_in_thread(partial(self._function, *self._args))
        return await value if isawaitable(value) else value

    def _check_plain(self, value: object, raw: bytes) -> None:
        """Refuse a value that a replay, which has only ``raw``, would give back as something else."""
        if isinstance(value, bytes) or self.decode(raw) != value:
            raise PayloadError(
                f"{self} is a {type(value).__name__}, and would come back as plain JSON: let its function declare "
                "a return type that is known at run time (a lambda cannot, write a def)"
            )

    def __str__(self) -> str:
        return f"the result of step {self.name!r} in {self.machine.handler}"


_running: ContextVar[Body | None] = ContextVar("_running", default=None)
_shapes: WeakKeyDictionary[FunctionType, _Shape] = WeakKeyDictionary()


def in_a_step() -> bool:
    """Whether the body of a step is what runs."""
    return _running.get() is not None


def outside_steps(machine: Machine) -> Machine:
    """``machine``, unless it is the body of one of its own steps that asks: on replay it would not ask again."""
    body = _running.get()
    if body is not None and body.machine is machine:
        raise RuntimeError(
            f"ctx was used inside ctx.run({body.name!r}), whose body does not run again on replay; "
            "use it before or after, and give the step what it needs as an argument"
        )
    return machine


def _check_callable(name: str, function: object) -> None:
    if callable(function) and not hasattr(function, "outgoing"):  # what has that is a handler
        return
    raise TypeError(
        f"ctx.run({name!r}) was given {refused(function)}, which is no function to call; "
        "hand it over uncalled, with its arguments: ctx.run(name, function, *arguments)"
    )


def _shape(function: Callable[..., object]) -> _Shape:
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, type):
        return _Shape(is_async=False, result=function)
    plain = function.__func__ if isinstance(function, MethodType) else function
    if not isinstance(plain, FunctionType):
        return _described(function)
    try:
        return _shapes[plain]
    except KeyError:
        shape = _shapes[plain] = _described(plain)
        return shape


def _described(function: Callable[..., object]) -> _Shape:
    called = function if isinstance(function, _FUNCTIONS) else type(function).__call__
    result = _declared_result(called) if isinstance(called, FunctionType) else object
    return _Shape(iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__), result)


def _declared_result(function: FunctionType) -> Any:
    try:
        result = declared(function, "return")
        origin = get_origin(result)
        if isinstance(origin, type) and issubclass(origin, Awaitable):
            result = get_args(result)[-1]
        decoder(result, "a result")  # raises if it cannot be
    except (NameError, TypeError, AttributeError, SyntaxError):
        return object
    return object if isinstance(result, TypeVar) or result is Any else result
