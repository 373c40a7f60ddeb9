"""Names for what outlives a handler: a key's states, a workflow's promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar, overload

from durable.serde import check_text, decoder

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
X = TypeVar("X")


class Readable(ABC, Generic[T_co]):
    """The reading side of :class:`State`: covariant, so that ``print(await ctx.get(self.basket))`` checks."""

    name: str

    @abstractmethod
    def decode(self, raw: bytes | None, /) -> T_co:
        """The stored value, or the default for ``None``."""


class State(Readable[T]):
    """A typed key of durable state; the attribute's name is the key, unless ``name`` says another.

    Without a ``default`` the value is ``None`` until it is set.
    """

    @overload
    def __init__(self: State[X | None], type: type[X], /, *, name: str | None = None) -> None: ...
    @overload
    def __init__(self: State[X], type: type[X], /, *, default: Callable[[], X], name: str | None = None) -> None: ...
    def __init__(
        self, type: type[Any], /, *, default: Callable[[], Any] = lambda: None, name: str | None = None
    ) -> None:
        self.type = type
        self.default = default
        self.name, self.title = _named(name, "state")

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self.name = self.name or name
        self.title = f"state {owner.__name__}.{name}"

    def decode(self, raw: bytes | None, /) -> T:
        value: T = self.default() if raw is None else self._decode(raw)
        return value

    @cached_property
    def _decode(self) -> Callable[[bytes], Any]:
        return decoder(self.type, self.title)


class Promise(Generic[T_co]):
    """A typed name of a durable promise; the attribute's name is the promise's, unless ``name`` says another."""

    def __init__(self, type: type[T_co], /, *, name: str | None = None) -> None:
        self.type = type
        self.name, self.title = _named(name, "promise")

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self.name = self.name or name
        self.title = f"promise {owner.__name__}.{name}"

    def decode(self, raw: bytes, /) -> T_co:
        return decoder(self.type, self.title)(raw)


def _named(name: str | None, what: str) -> tuple[str, str]:
    """Its name, which an attribute may still give it, and what messages call it."""
    if name is None:
        return "", f"a {what}"
    if not check_text(name, f"the name of a {what}"):
        raise ValueError(f"the name of a {what} cannot be empty")
    return name, f"{what} {name!r}"
