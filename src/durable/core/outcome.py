"""What came of something: a value or a failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import msgspec

from durable.errors import TerminalError

LONGEST = 64 * 1024
"""Characters of a message, and of all metadata together: enough to read."""


class Success(msgspec.Struct, frozen=True, array_like=True, tag="ok", gc=False):
    value: bytes | None = None
    """``None`` is *nothing there* (a peek that found no value); an empty value is ``b""``."""


class Failure(msgspec.Struct, frozen=True, array_like=True, tag="err", gc=False):
    """A terminal failure, as callers see it."""

    status: int
    message: str
    metadata: dict[str, str] = {}

    def __post_init__(self) -> None:
        # A failure is made from whatever was raised: one that cannot be stored would stop the engine.
        said = (*self.metadata.keys(), *self.metadata.values())
        fits = all(map(_is_text, said)) and sum(map(len, said)) <= LONGEST
        if not (_is_status(self.status) and _is_text(self.message) and fits):
            msgspec.structs.force_setattr(self, "status", _status(self.status))
            msgspec.structs.force_setattr(self, "message", _text(self.message))
            msgspec.structs.force_setattr(self, "metadata", _metadata(self.metadata))

    @classmethod
    def of(cls, error: TerminalError) -> Failure:
        # A subclass need not have called our __init__, and may make of our attributes what it likes.
        message, metadata = _attribute(error, "message"), _attribute(error, "metadata")
        status = _attribute(error, "status")
        return cls(status, message or _described(error, str), dict(metadata) if _is_mapping(metadata) else {})

    @classmethod
    def raised(cls, error: BaseException) -> Failure:
        """For an error that was not meant for callers."""
        return cls(500, _described(error, repr))

    def error(self) -> TerminalError:
        return TerminalError(self.message, status=self.status, metadata=self.metadata)


Outcome = Success | Failure


def _is_status(value: object) -> bool:
    return type(value) is int and abs(value) < 1 << 63


def _is_text(value: object) -> bool:
    # Not a subclass of str (markup, say): msgspec encodes none.
    return type(value) is str and len(value) <= LONGEST and (value.isascii() or value == _text(value))


def _text(value: object) -> str:
    return _described(value, str)[:LONGEST].encode("utf-8", "replace").decode()


def _metadata(given: Mapping[str, str]) -> dict[str, str]:
    """As much of it as there is room for."""
    kept, room = dict[str, str](), LONGEST
    for name, value in given.items():
        name, value = _text(name), _text(value)
        room -= len(name) + len(value)
        if room < 0:
            break
        kept[name] = value
    return kept


def _is_mapping(value: object) -> TypeGuard[Mapping[str, str]]:
    """Of what is not known yet; it is made text later."""
    return isinstance(value, Mapping)


def _attribute(error: TerminalError, name: str) -> Any:
    try:
        return getattr(error, name, None)
    except Exception:
        return None


def _described(value: object, describe: Callable[[object], str]) -> str:
    try:
        return describe(value)
    except Exception:
        return type(value).__name__


def _status(value: object) -> int:
    try:
        status = int(_described(value, str))
    except ValueError:
        return 500
    return status if _is_status(status) else 500
