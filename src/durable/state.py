"""Names for what outlives a handler: a key's states, a workflow's promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar, overload

from durable.flaw import refused
from durable.serde import decoder, encode_as
from durable.shape import accepts_none
from durable.sizes import LONGEST_NAME, check_text

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
X = TypeVar("X")


class Declared:
    """What has a name in the store: that of its attribute in the body of a class, unless it was given another."""

    sort: ClassVar[str]

    def __init__(self, type: type[Any], name: str | None) -> None:
        self.type = type
        self._name = name
        self._attribute: str | None = None
        self.title = f"{self.sort} {name!r}"
        if name is not None and not check_text(name, f"the name of a {self.sort}", LONGEST_NAME):
            raise ValueError(f"the name of a {self.sort} cannot be empty")

    def __set_name__(self, owner: type[Any], name: str) -> None:
        if self._attribute is None:
            self._attribute = name
            self.title = f"{self.sort} {owner.__name__}.{name}"

    @property
    def name(self) -> str:
        name = self._name or self._attribute
        if name is None:
            raise TypeError(
                f"this {type(self).__name__} has no name: declare it in the body of a class, "
                f"as in `paid = {type(self).__name__}(bool)`, or give it a name="
            )
        return name

    def check_attribute(self, attribute: str) -> None:
        """:class:`TypeError` if it is another attribute already: the two would be one."""
        if attribute != self._attribute:
            raise TypeError(f"{attribute} is {self.title} again; declare another one, each has one name")

    def check_type(self) -> None:
        """:class:`TypeError` if its type cannot be decoded."""
        decoder(self.type, self.title)

    def _encode(self, value: object, handler: str) -> bytes:
        return encode_as(self.type, value, f"{self.title} in {handler}")

    @cached_property
    def _decode(self) -> Callable[[bytes], Any]:
        return decoder(self.type, self.title)


class Readable(ABC, Generic[T_co]):
    """The reading side of :class:`State`: covariant, so that ``print(await ctx.get(self.basket))`` checks."""

    @property
    @abstractmethod
    def name(self) -> str: ...

    @abstractmethod
    def decode(self, raw: bytes | None, /) -> T_co:
        """The stored value, or the default for ``None``."""


class State(Declared, Readable[T]):
    """A typed key of durable state; the attribute's name is the key, unless ``name`` says another.

    Without a ``default`` the value is ``None`` until it is set, and setting it to ``None`` clears it.
    """

    sort = "state"

    @overload
    def __init__(self: State[X | None], type: type[X], /, *, name: str | None = None) -> None: ...
    @overload
    def __init__(self: State[X], type: type[X], /, *, default: Callable[[], X], name: str | None = None) -> None: ...
    def __init__(
        self, type: type[Any], /, *, default: Callable[[], Any] | None = None, name: str | None = None
    ) -> None:
        if default is not None and not callable(default):
            raise TypeError(
                f"the default of a State is a function that makes one, got {refused(default)}; "
                f"write default=lambda: {refused(default)}"
            )
        super().__init__(type, name)
        self._default = default

    def decode(self, raw: bytes | None, /) -> T:
        value: T = self._make_default() if raw is None else self._decode(raw)
        return value

    def encode(self, value: T, handler: str, /) -> bytes | None:
        """What to store; ``None`` if that is nothing. :class:`PayloadError` if ``value`` is not of its type."""
        if value is None and self._clearable:
            return None
        return self._encode(value, handler)

    def _make_default(self) -> Any:
        return None if self._default is None else self._default()

    @cached_property
    def _clearable(self) -> bool:
        """Whether ``None`` is no value of its type, but what is read when none is set."""
        return self._default is None and not accepts_none(self.type)


class Promise(Declared, Generic[T_co]):
    """A typed name of a durable promise; the attribute's name is the promise's, unless ``name`` says another."""

    sort = "promise"

    def __init__(self, type: type[T_co], /, *, name: str | None = None) -> None:
        super().__init__(type, name)

    def decode(self, raw: bytes, /) -> T_co:
        value: T_co = self._decode(raw)
        return value

    def encode(self, value: object, handler: str, /) -> bytes:
        """What completes it; :class:`PayloadError` if ``value`` is not of its type."""
        return self._encode(value, handler)
