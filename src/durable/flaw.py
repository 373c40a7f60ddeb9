"""Where in a value the part is that has no JSON, and why. Asked once encoding has failed, never before.

It must end for every value that is there: one that contains itself, one of a hundred thousand levels.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from inspect import isasyncgen, iscoroutine, isgenerator, isroutine
from reprlib import Repr
from typing import Any, NamedTuple, TypeGuard

import msgspec

UNENCODABLE = (TypeError, ValueError, OverflowError, AttributeError, RecursionError)
"""What encoding raises. AttributeError: a field that was deleted. RecursionError: a value that contains itself."""

_LONGEST_PATH = 200
_words = Repr()
_words.maxother = 100

Encode = Callable[[object], bytes]
Part = tuple[str, object]
"""A part of a value, after the step that leads to it."""


class Flaw(NamedTuple):
    why: str
    path: str
    """From the value to its part, like ``.items[2].owner``; empty for the value itself."""

    def __str__(self) -> str:
        return f"{self.why} - at `${self.path}`" if self.path else self.why


def find_flaw(value: object, encode: Encode) -> Flaw | None:
    """The first part of ``value`` that ``encode`` refuses, or writes as null though it is a number."""
    return _Walk(encode).find(value)


def refused(value: object) -> str:
    """What an error calls a value that is not taken. A coroutine is closed, or Python warns that nobody awaits it."""
    if not iscoroutine(value):
        return _words.repr(value)
    value.close()
    return f"the coroutine {value.__qualname__}()"


class _Level(NamedTuple):
    step: str
    value: object
    parts: Iterator[Part]


class _Walk:
    """Depth first, and without recursion: a value may have more levels than the stack."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._levels: list[_Level] = []
        self._step = ""
        self._around: set[int] = set()
        self._entered: dict[int, object] = {}
        """By id, and kept alive: a part may be made anew whenever it is asked for."""

    def find(self, value: object) -> Flaw | None:
        why = self._enter("", value)
        while why is None and self._levels:
            part = next(self._levels[-1].parts, None)
            why = self._leave() if part is None else self._enter(*part)
        return None if why is None else Flaw(why, self._path())

    def _enter(self, step: str, value: object) -> str | None:
        self._step, parts = step, _parts(value)
        if parts is None:
            return _why(value, self._encode)
        if id(value) in self._around:
            return "it contains itself"
        if id(value) not in self._entered:
            self._entered[id(value)] = value
            self._around.add(id(value))
            self._levels.append(_Level(step, value, parts))
        return None

    def _leave(self) -> str | None:
        """No part has a flaw; the whole may have one of its own."""
        self._step, value, _ = self._levels.pop()
        self._around.discard(id(value))
        if _is_dict(value):
            return _why_keys(value, self._encode)
        if isinstance(value, msgspec.Struct):
            unset = [name for name in value.__struct_fields__ if not hasattr(value, name)]
            return f"its field {unset[0]!r} is not set" if unset else None
        return _why(value, self._encode) if _is_set(value) else None

    def _path(self) -> str:
        path = "".join(level.step for level in self._levels) + self._step
        half = _LONGEST_PATH // 2
        return path if len(path) <= _LONGEST_PATH else f"{path[:half]}...{path[-half:]}"


def _is_dict(value: object) -> TypeGuard[dict[object, object]]:
    return isinstance(value, dict)


def _is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list | tuple)


def _is_set(value: object) -> TypeGuard[Set[object]]:
    return isinstance(value, set | frozenset)


def _parts(value: object) -> Iterator[Part] | None:
    """``None`` if it has none."""
    if _is_dict(value):
        return ((_key_step(key), part) for key, part in value.items())
    if _is_sequence(value):
        return ((f"[{index}]", part) for index, part in enumerate(value))
    if _is_set(value):
        return (("[...]", part) for part in value)
    if isinstance(value, msgspec.Struct):
        return _attributes(value, value.__struct_fields__)
    if is_dataclass(value) and not isinstance(value, type):
        return _attributes(value, [field.name for field in fields(value)])
    attributes: Iterable[Any] | None = getattr(type(value), "__attrs_attrs__", None)
    return None if attributes is None else _attributes(value, [attribute.name for attribute in attributes])


def _attributes(value: object, names: Iterable[str]) -> Iterator[Part]:
    parts = ((f".{name}", getattr(value, name, msgspec.UNSET)) for name in names)
    return (part for part in parts if part[1] is not msgspec.UNSET)


def _key_step(key: object) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{_words.repr(key)}]"


def _why_keys(value: dict[object, object], encode: Encode) -> str | None:
    for key in value:
        try:
            encode({key: None})
        except UNENCODABLE as error:
            return f"{_words.repr(key)} cannot be a key: {error}"
    return None


def _why(value: object, encode: Encode) -> str | None:
    try:
        raw = encode(value)
    except UNENCODABLE as error:
        return _reason(value, error)
    # msgspec writes them as null.
    return "NaN and Infinity are not JSON" if raw == b"null" and isinstance(value, float | Enum) else None


def _reason(value: object, error: Exception) -> str:
    name = type(value).__name__
    if iscoroutine(value) or issubclass(type(value), Awaitable):
        what = refused(value) if iscoroutine(value) else f"a {name}"
        return f"{what} was not awaited; did you forget `await`?"
    if isinstance(value, type):
        return f"{value.__name__} is a class, and not an instance of it"
    if isroutine(value):
        return f"{value.__name__} is a function; did you forget to call it?"
    if isgenerator(value) or isasyncgen(value):
        return "a generator has no JSON; make it a list"
    if "'<' not supported" in str(error):
        return f"the items of a set must have an order, use a list or a StrEnum ({error})"
    if not str(error).endswith("is unsupported"):
        return str(error)
    plain = [base.__name__ for base in (str, int, float, bytes) if isinstance(value, base)]
    hint = f"make it a plain {plain[0]}" if plain else "make its class a dataclass or a msgspec.Struct, or convert it"
    return f"an object of type {name} has no JSON; {hint}"
