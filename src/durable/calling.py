"""What a caller says beside the input: the options of one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypedDict

from durable.flow import check_limit_key, check_priority
from durable.singleton import check_line
from durable.sizes import LONGEST_KEY, check_headers, check_text


class CallOptions(TypedDict, total=False):
    """Of ``Handler.options(...)``; ``None`` leaves one as it is."""

    idempotency_key: str | None
    """Calls with the same one are one call, and have one result."""
    headers: Mapping[str, str] | None
    identity: str | None
    """For a client that has authenticated somebody; a handler's calls carry that of its own caller by themselves."""
    attach: bool | None
    """Whether the call of a workflow's run that was invoked before waits for that one's outcome."""
    limit_key: str | None
    """Whose part of the handler's named limit it counts for: ``acme``, or ``acme/eu``."""
    priority: int | None
    """From 0 to 9; each is served twice as often as the one below, while both wait."""
    singleton_key: str | None
    """Each is one of its own, of a singleton or a debounced handler."""


def _idempotency_key(value: object) -> str:
    if value == "":
        raise ValueError("an idempotency key cannot be empty")
    return check_text(value, "an idempotency key", LONGEST_KEY)


def _identity(value: object) -> str:
    return check_text(value, "an identity", LONGEST_KEY)


def _attach(value: object) -> bool:
    return bool(value)


CHECKS: Mapping[str, Callable[..., object]] = {
    "idempotency_key": _idempotency_key,
    "headers": check_headers,
    "identity": _identity,
    "attach": _attach,
    "limit_key": check_limit_key,
    "priority": check_priority,
    "singleton_key": check_line,
}
"""What each is kept as; it raises ``TypeError`` or ``ValueError`` if that cannot be."""
