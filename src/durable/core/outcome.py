"""What came of something: a value or a failure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from durable.errors import TerminalError

LONGEST = 64 * 1024
"""Characters of a message: enough to read."""


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
        texts = (self.message, *self.metadata.keys(), *self.metadata.values())
        if not (_is_status(self.status) and all(map(_is_text, texts))):
            msgspec.structs.force_setattr(self, "status", _status(self.status))
            msgspec.structs.force_setattr(self, "message", _text(self.message))
            msgspec.structs.force_setattr(self, "metadata", {_text(k): _text(v) for k, v in self.metadata.items()})

    @classmethod
    def of(cls, error: TerminalError) -> Failure:
        # A subclass need not have called our __init__.
        message = getattr(error, "message", None) or _described(error, str)
        return cls(getattr(error, "status", 500), message, getattr(error, "metadata", None) or {})

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
    return str(value)[:LONGEST].encode("utf-8", "replace").decode()


def _described(error: BaseException, describe: Callable[[object], str]) -> str:
    try:
        return describe(error)
    except Exception:
        return type(error).__name__


def _status(value: object) -> int:
    try:
        status = int(str(value))
    except ValueError:
        return 500
    return status if _is_status(status) else 500
