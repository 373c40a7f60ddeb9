"""The body of a step: where it runs, what its result is, and that it leaves its own invocation alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, NamedTuple, TypeVar, get_args, get_origin
from weakref import WeakKeyDictionary

from anyio.to_thread import run_sync

from durable.errors import PayloadError
from durable.flaw import refused
from durable.limits import LONGEST_NAME, check_text
from durable.machine import Action, Machine
from durable.serde import declared, decoder, encode


class Step(NamedTuple):
    name: str
    action: Action
    decode: Callable[[bytes], Any]


class _Body(NamedTuple):
    machine: Machine
    name: str


_running: ContextVar[_Body | None] = ContextVar("_running", default=None)
_results: WeakKeyDictionary[FunctionType, Any] = WeakKeyDictionary()


def prepare(machine: Machine, name: str, function: Callable[..., object], args: tuple[Any, ...]) -> Step:
    """``function(*args)`` as the body of the step ``name``, and what reads its recorded result."""
    name = check_text(name, "the first argument of ctx.run, the name of the step,", LONGEST_NAME)
    _check_callable(name, function)
    what = f"the result of step {name!r} in {machine.handler}"
    result = result_type(function)
    decode = decoder(result, what)

    async def action() -> bytes:
        with _body(machine, name):
            value = await _call(partial(function, *args))
        raw = encode(value, what)
        if result is object:
            _check_plain(value, raw, decode, what)
        return raw

    return Step(name, action, decode)


def outside_steps(machine: Machine) -> Machine:
    """``machine``, unless it is the body of one of its own steps that asks: on replay it would not ask again."""
    body = _running.get()
    if body is not None and body.machine is machine:
        raise RuntimeError(
            f"ctx was used inside ctx.run({body.name!r}), whose body does not run again on replay; "
            "use it before or after, and give the step what it needs as an argument"
        )
    return machine


@contextmanager
def _body(machine: Machine, name: str) -> Generator[None]:
    token = _running.set(_Body(machine, name))
    try:
        yield
    finally:
        _running.reset(token)


def _check_callable(name: str, function: object) -> None:
    if callable(function) and not hasattr(function, "outgoing"):  # what has that is a handler
        return
    raise TypeError(
        f"ctx.run({name!r}) was given {refused(function)}, which is no function to call; "
        "hand it over uncalled, with its arguments: ctx.run(name, function, *arguments)"
    )


async def _call(function: partial[object]) -> object:
    if is_async(function):
        value = function()
    else:
        # A thread cannot be stopped, and must not hold up an engine that stops; the step is tried again later.
        value = await run_sync(function, abandon_on_cancel=True)
    return await value if isawaitable(value) else value


def _check_plain(value: object, raw: bytes, decode: Callable[[bytes], object], what: str) -> None:
    """Refuse a value that a replay, which has only ``raw``, would give back as something else."""
    if isinstance(value, bytes) or decode(raw) != value:
        raise PayloadError(
            f"{what} is a {type(value).__name__}, and would come back as plain JSON: let its function declare "
            "a return type that is known at run time (a lambda cannot, write a def)"
        )


def is_async(function: Callable[..., object]) -> bool:
    while isinstance(function, partial):
        function = function.func
    return iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)


def result_type(function: Callable[..., object]) -> Any:
    """What ``function`` declares to return, once awaited; ``object`` if it declares nothing that can be decoded."""
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, type):
        return function
    if isinstance(function, MethodType):
        function = function.__func__
    if not isinstance(function, FunctionType | BuiltinFunctionType):
        function = type(function).__call__
    if not isinstance(function, FunctionType):
        return object
    if function not in _results:
        _results[function] = _declared_result(function)
    return _results[function]


def _declared_result(function: FunctionType) -> Any:
    try:
        result = declared(function, "return")
        origin = get_origin(result)
        if isinstance(origin, type) and issubclass(origin, Awaitable):
            result = get_args(result)[-1]
        decoder(result, "a result")
    except (NameError, TypeError, AttributeError, SyntaxError):
        return object
    return object if isinstance(result, TypeVar) or result is Any else result
