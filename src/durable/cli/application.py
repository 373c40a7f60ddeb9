"""What ``durable serve`` was given: an ASGI application, or a function that makes one. Nothing else may look served."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Signature, isclass, signature

from durable.flaw import refused


class NoApplicationError(Exception):
    """Says what is there instead."""


def application(name: str, given: object) -> Callable[..., object]:
    """The application that is called ``name``, made if it is a function without parameters."""
    taken = _signature(given)
    if taken is None or isclass(given) or _takes(taken, 3):
        return _callable(name, given)
    if not _takes(taken, 0):
        raise NoApplicationError(_instead(name, f"takes {taken}"))
    made = _callable(name, given)()
    taken = _signature(made)
    if taken is not None and not _takes(taken, 3):
        raise NoApplicationError(_instead(f"{name}()", f"takes {taken}"))
    return _callable(f"{name}()", made)


def _callable(name: str, given: object) -> Callable[..., object]:
    if not callable(given):
        raise NoApplicationError(_instead(name, f"is {refused(given)}"))
    return given


def _signature(given: object) -> Signature | None:
    try:
        return signature(given) if callable(given) else None
    except (TypeError, ValueError):  # it cannot be known
        return None


def _takes(taken: Signature, count: int) -> bool:
    try:
        taken.bind(*range(count))
    except TypeError:
        return False
    return True


def _instead(name: str, what: str) -> str:
    return (
        f"{name} {what}, and is no ASGI application; name what takes (scope, receive, send), such as the Starlette "
        "application whose lifespan opens the engine, or a function without parameters that returns it"
    )
