"""Odd types: each one comes back as it went, or is refused before anything is served."""

from __future__ import annotations

from asyncio import Future
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from datetime import date, timedelta, tzinfo
from enum import Enum, Flag, IntEnum
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NoReturn, Protocol, TypedDict, TypeVar

import attrs
import msgspec
import pytest

from durable import Context, ObjectContext, Promise, Service, State, VirtualObject, Workflow, WorkflowContext, handler
from durable.errors import PayloadError
from durable.serde import decoder, encode_as
from durable.service import handlers_of

T = TypeVar("T")


@dataclass
class Total:
    parts: list[int]
    sum: int = field(init=False)

    def __post_init__(self) -> None:
        self.sum = sum(self.parts)


@dataclass
class Retried:
    of: str
    times: int = field(init=False, default=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    amount: int
    currency: Literal["EUR", "USD"] = "EUR"


@attrs.frozen
class Parcel:
    weight: float


class Place(NamedTuple):
    shelf: str
    box: int = 1


class Label(TypedDict, total=False):
    text: str
    printed: date


class Page(msgspec.Struct, Generic[T]):
    items: list[T]
    next: Page[T] | None = None


class Cat(msgspec.Struct, tag=True, array_like=True):
    lives: int


class Dog(msgspec.Struct, tag=True, array_like=True):
    name: str


class Change(msgspec.Struct, omit_defaults=True, rename="camel"):
    new_name: str | msgspec.UnsetType | None = msgspec.UNSET
    old_name: str = ""


class Size(IntEnum):
    SMALL = 1


class Rights(Flag):
    READ = 1
    WRITE = 2


class Loosely(msgspec.Struct):
    where: Path | None = None


Age = NewType("Age", int)


@pytest.mark.parametrize(
    ("type", "value"),
    [
        (Total, Total([1, 2])),
        (Retried, Retried("x")),
        (list[Price], [Price(amount=3, currency="USD")]),
        (Parcel, Parcel(1.5)),
        (Place, Place("a")),
        (tuple[Place, ...], (Place("a"), Place("b", 2))),
        (Label, Label(printed=date(2030, 1, 1))),
        (Page[Age], Page([Age(1)], Page([]))),
        (Cat | Dog | None, Dog("Rex")),
        (Cat | Dog | None, None),
        (Change, Change(new_name=None)),
        (Change, Change()),
        (Literal["a", 1, None], "a"),
        (Literal["a", 1, None], 1),
        (Annotated[int, msgspec.Meta(ge=1)], 7),
        (int | str | None, "7"),
        (dict[date, set[Size]], {date(2030, 1, 1): {Size.SMALL}}),
        (Rights, Rights.READ | Rights.WRITE),
        (Mapping[str, frozenset[int]], {"a": frozenset({1, 2})}),
        (Iterable[int], [1, 2]),
        (list[object], [1, "a", None]),
        (Loosely, Loosely()),
        (timedelta, timedelta(days=2, microseconds=1)),
    ],
)
def test_a_value_comes_back_as_it_went(type: Any, value: object) -> None:
    assert decoder(type, "a value")(encode_as(type, value, "a value")) == value


@pytest.mark.parametrize(
    ("type", "value", "says"),
    [
        (int, "7", r"^a value is not the int that was declared, but of type str: Expected `int`, got `str`$"),
        (
            list[int],
            [1, "a"],
            r"is not the list\[int\] .*, but of type list: Expected `int`, got `str` - at `\$\[1\]`$",
        ),
        (int, None, "is not the int that was declared, but of type NoneType: Expected `int`, got `null`"),
        (type(None), 7, "is not the NoneType that was declared, but of type int"),
        (Annotated[int, msgspec.Meta(ge=1)], 0, "Expected `int` >= 1"),
        (Literal["a", "b"], "c", "Invalid enum value 'c'"),
        (Place, ("a", "b"), r"Expected `int`, got `str` - at `\$\[1\]`"),
        (Label, {"printed": "yesterday"}, r"Invalid RFC3339 encoded date - at `\$.printed`"),
        (Cat | Dog, Parcel(1.5), "Expected `array`, got `object`"),
        (Total, Retried("x"), r"required field `parts`"),
        (bytes, "text", "is not the bytes that was declared, but of type str: Expected `bytes`"),
        (bytes, None, "is not the bytes that was declared, but of type NoneType: Expected `bytes`"),
        (bytes | None, [1], "but of type list: Expected `bytes`"),
        (Annotated[bytes, msgspec.Meta(max_length=2)], b"abc", "Expected `bytes` of length <= 2"),
        (str, b"abc", "is not the str that was declared, but of type bytes: JSON is malformed"),
        (object, b"\xff", "is not the object that was declared, but of type bytes"),
    ],
)
def test_a_value_that_could_not_be_read_is_not_written(type: Any, value: object, says: str) -> None:
    with pytest.raises(PayloadError, match=says) as error:
        encode_as(type, value, "a value")

    assert error.value.status == 500


class Odd:
    """What msgspec does not know."""


class Quacking(Protocol):
    def quack(self) -> None: ...


@dataclass
class Counted:
    start: InitVar[int]


class Mixed(Enum):
    A = 1
    B = "b"


class Holding(msgspec.Struct):
    odd: list[Odd]


REFUSED: list[Any] = [
    Odd,
    list[Odd],
    Holding,
    dict[str, tuple[Odd, int]],
    complex,
    Path,
    Quacking,
    Counted,
    Mixed,
    Future[int],
    Callable[[], int],
    OrderedDict[str, int],
    Counter[str],
    deque[int],
    tzinfo,
    list[int] | set[int],
    bytes | str,
    NoReturn,
    "int",
    5,
]


def names(type: Any) -> str:
    return getattr(type, "__name__", str(type))


@pytest.mark.parametrize("type", REFUSED, ids=names)
def test_what_no_json_is_read_as_is_refused(type: Any) -> None:
    with pytest.raises(TypeError, match=r"^the input of A\.b has a type that cannot be decoded: "):
        decoder(type, "the input of A.b")


def test_the_class_of_a_type_that_is_refused_is_named() -> None:
    with pytest.raises(TypeError, match="no JSON is read as Odd; use a dataclass, a Struct or a plain type"):
        decoder(Holding, "a value")


def test_a_handler_of_a_refused_type_is_not_served() -> None:
    class Asked(Service):
        @handler
        async def f(self, ctx: Context, value: list[Odd]) -> None: ...

    class Answering(Service):
        @handler
        async def f(self, ctx: Context) -> Holding: ...

    for cls, what in ((Asked, "input"), (Answering, "output")):
        with pytest.raises(TypeError, match=rf"^the {what} of {cls.__name__}\.f has a type that cannot be decoded"):
            handlers_of(cls)


def test_a_state_or_a_promise_of_a_refused_type_is_not_served() -> None:
    class Stated(VirtualObject):
        odd = State(Odd)

        @handler
        async def f(self, ctx: ObjectContext) -> None: ...

    class Promised(Workflow):
        odd = Promise(list[Odd])

        @handler
        async def run(self, ctx: WorkflowContext) -> None: ...

    for cls, what in ((Stated, "state Stated.odd"), (Promised, "promise Promised.odd")):
        with pytest.raises(TypeError, match=f"^{what} has a type that cannot be decoded: no JSON is read as Odd"):
            handlers_of(cls)
