"""What is said to who uses the API in a way that no type allows: what happened, and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isfunction
from os import PathLike

from durable.flaw import refused
from durable.options import Options
from durable.state import Promise, State

_KEYED = "a context of a VirtualObject or a Workflow"
_WRITING = "an ObjectContext or a WorkflowContext"
_GIVERS: Mapping[str, str] = {
    "key": _KEYED,
    "get": _KEYED,
    "state_keys": _KEYED,
    "set": _WRITING,
    "clear": _WRITING,
    "clear_all": _WRITING,
    "promise": "a context of a Workflow",
}


def not_there(context: object, name: str) -> AttributeError:
    """What a context has not, and which one has it."""
    message = f"{type(context).__name__} has no {name!r}"
    if name in _GIVERS:
        message += f": only {_GIVERS[name]} has; annotate the handler's ctx with it, if the handler may have one"
    return AttributeError(message, name=name, obj=context)


def not_a_handler(given: object) -> TypeError:
    return TypeError(f"{refused(given)} is not a handler; name one by its class, as in UserSession.add_item")


def check_method(given: object) -> None:
    """Of what ``@handler`` decorates."""
    kind = type(given)
    if issubclass(kind, staticmethod | classmethod):
        name: str = getattr(given, "__qualname__", "it")
        raise TypeError(f"{name} is a {kind.__name__}; a handler is a plain method: `async def f(self, ctx: ...)`")
    if isinstance(given, type):
        raise TypeError(f"@handler was given the class {given.__qualname__}; it decorates methods")
    if not isfunction(given):
        hint = f"; a name is given as @handler(name={given!r})" if isinstance(given, str) else ""
        raise TypeError(f"@handler was given {given!r}, and decorates an `async def` method{hint}")


def check_engine(database: object, options: object) -> None:
    """Of what an engine is made of, beside its services."""
    if not isinstance(database, str | PathLike):
        raise TypeError(f"the first argument of Engine is the path of its database, got {refused(database)}")
    if not isinstance(options, Options | None):
        raise TypeError(f"options is an Options, got {refused(options)}; write options=Options(...)")


def check_state(given: object) -> None:
    if not isinstance(given, State):
        raise TypeError(f"{refused(given)} is no State; declare one in the body of a class: `paid = State(bool)`")


def check_promise(given: object) -> None:
    if not isinstance(given, Promise):
        raise TypeError(f"{refused(given)} is no Promise; declare one in the body of a class: `paid = Promise(bool)`")


def check_entry(given: object) -> None:
    """Of a restart: whether the journal has it is for the engine to say, if the journal can hold the question."""
    if not isinstance(given, int) or abs(given) >= 1 << 63:
        raise TypeError(f"from_entry is the number of a journal entry, got {refused(given)}")
