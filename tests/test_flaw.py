"""Which part of a value has no JSON, and what is said of it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.errors import PayloadError
from durable.serde import encode


class Owned(msgspec.Struct):
    id: int
    owner: object
    note: str | msgspec.UnsetType = msgspec.UNSET


@dataclass
class Parcel:
    items: list[object]
    weight: float = field(init=False)


class Place(NamedTuple):
    shelf: object


@attrs.define
class Shelf:
    parcel: object


class Words(str):
    """A str, and not quite."""


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


def why(value: object) -> str:
    with pytest.raises(PayloadError) as error:
        encode(value, "a value")
    return str(error.value).removeprefix("a value cannot be encoded: ")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"items": [1, 2, {"owner": object()}]}, "$.items[2].owner"),
        ({"a b": object()}, "$['a b']"),
        ({7: object()}, "$[7]"),
        ((1, object()), "$[1]"),
        ({"fine", object}, "$[...]"),
        (Owned(1, object()), "$.owner"),
        (Parcel([Owned(1, [object()])]), "$.items[0].owner[0]"),
        (Place(object()), "$[0]"),
        (Shelf({"x": object()}), "$.parcel.x"),
        ([{"ok": True}, None, [[object()]]], "$[2][0][0]"),
    ],
)
def test_the_part_is_named_by_its_path(value: object, path: str) -> None:
    assert why(value).endswith(f" - at `{path}`")


def test_the_value_itself_needs_no_path() -> None:
    assert why(object()) == (
        "an object of type object has no JSON; make its class a dataclass or a msgspec.Struct, or convert it"
    )


async def forgotten() -> None: ...


def listed() -> Any:
    return (each for each in ())


async def streamed() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (forgotten, "the coroutine forgotten() was not awaited; did you forget `await`?"),
        (lambda: asyncio.get_running_loop().create_future(), "a Future was not awaited; did you forget `await`?"),
        (lambda: Owned, "Owned is a class, and not an instance of it"),
        (lambda: listed, "listed is a function; did you forget to call it?"),
        (lambda: [].append, "append is a function; did you forget to call it?"),
        (listed, "a generator has no JSON; make it a list"),
        (streamed, "a generator has no JSON; make it a list"),
        (lambda: Words("x"), "an object of type Words has no JSON; make it a plain str"),
        (lambda: {1, "a"}, "the items of a set must have an order, use a list or a StrEnum ("),
        (lambda: "\ud800", "'utf-8' codec can't encode character"),
        (lambda: float("nan"), "NaN and Infinity are not JSON"),
    ],
)
async def test_a_usual_mistake_is_told_what_it_is(make: Callable[[], object], says: str) -> None:
    assert why([make()]).startswith(says)


@pytest.mark.parametrize("key", [(1, 2), None, True, "\ud800"])
def test_a_key_that_is_none_of_json_is_named(key: object) -> None:
    said = why({"prices": {"ok": 1, key: 2}})

    assert said.startswith(f"{key!r} cannot be a key: ")
    assert said.endswith(" - at `$.prices`")


def test_a_field_that_is_not_set_is_named() -> None:
    owned = Owned(1, 2)
    del owned.owner

    assert why([owned]) == "its field 'owner' is not set - at `$[0]`"


def test_an_object_without_words_is_told_by_its_class() -> None:
    assert why({"a": Mute()}).startswith("an object of type Mute has no JSON")


def test_a_value_that_contains_itself_is_told_where() -> None:
    value: dict[str, Any] = {"name": "root", "children": [{}]}
    value["children"][0]["parent"] = value

    assert why(value) == "it contains itself - at `$.children[0].parent`"


def nested(levels: int, inner: object) -> object:
    return functools.reduce(lambda value, _: [value], range(levels), inner)


@pytest.mark.parametrize("levels", [5_000, 100_000])
def test_too_many_levels_are_told(levels: int) -> None:
    assert why(nested(levels, 1)) == "it has too many levels"


def test_a_part_beyond_every_stack_is_found() -> None:
    said = why(nested(100_000, object()))

    assert "an object of type object has no JSON" in said
    assert said.endswith("[0][0]`")
    assert len(said) < 500


def test_a_part_that_is_there_a_billion_times_is_looked_at_once() -> None:
    value: object = [1]
    for _ in range(2_000):
        value = [value, value]

    assert why(value) == "it has too many levels"


numbers = st.sampled_from([float("nan"), float("inf"), float("-inf")])


@given(numbers, st.lists(st.none() | st.integers() | st.text() | st.binary(), max_size=5))
def test_what_is_no_number_is_found_among_anything(number: float, others: list[object]) -> None:
    assert why({"others": others, "number": number}) == "NaN and Infinity are not JSON - at `$.number`"


@given(st.lists(st.none() | st.integers() | st.text() | st.binary() | st.floats(allow_nan=False, allow_infinity=False)))
def test_where_every_number_is_one_nothing_is_found(value: list[object]) -> None:
    assert encode([None, value], "a value")
