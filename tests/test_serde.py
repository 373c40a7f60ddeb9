"""Values to bytes and back."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, NewType, TypedDict
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.errors import PayloadError
from durable.serde import decoder, encode, plain


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Size(StrEnum):
    SMALL = "s"
    LARGE = "l"


class Item(msgspec.Struct, frozen=True):
    name: str
    price: Decimal
    bought: datetime
    picture: bytes
    color: Color | None = None


@dataclass
class Parcel:
    id: UUID
    items: list[Item]
    labels: set[Size]
    counts: dict[int, int]
    place: tuple[float, float]
    age: timedelta


class Label(TypedDict):
    text: str
    printed: date


Checksum = NewType("Checksum", bytes)
Short = Annotated[bytes, msgspec.Meta(max_length=3)]

numbers = st.floats(allow_nan=False, allow_infinity=False)
items = st.builds(
    Item,
    name=st.text(),
    price=st.decimals(allow_nan=False, allow_infinity=False),
    bought=st.datetimes(),
    picture=st.binary(),
    color=st.none() | st.sampled_from(Color),
)
parcels = st.builds(
    Parcel,
    id=st.uuids(),
    items=st.lists(items, max_size=3),
    labels=st.sets(st.sampled_from(Size)),
    counts=st.dictionaries(st.integers(), st.integers(), max_size=3),
    place=st.tuples(numbers, numbers),
    # msgspec reads the fraction of a duration as a float: beyond a century the last microsecond is not exact.
    age=st.timedeltas(min_value=timedelta(days=-36500), max_value=timedelta(days=36500)),
)
json = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def kind(value: object) -> str:
    return type(value).__name__


def round_trip(value: object, type: Any) -> object:
    return decoder(type, "a value")(encode(value, "a value"))


@given(parcels)
def test_what_is_encoded_decodes_to_the_same(parcel):
    assert round_trip(parcel, Parcel) == parcel


@given(json)
def test_plain_json_needs_no_type(value):
    assert plain("a value")(encode(value, "a value")) == value


@given(st.binary())
def test_bytes_are_themselves(value):
    assert encode(value, "a value") == value
    assert round_trip(value, bytes) == value


@pytest.mark.parametrize("type", [Checksum, Short, bytes | None])
def test_a_type_made_of_bytes_is_bytes(type):
    assert round_trip(b"\xff\x00", type) == b"\xff\x00"


def test_the_constraints_of_annotated_bytes_hold():
    with pytest.raises(PayloadError, match="length <= 3"):
        round_trip(b"four", Short)


def test_none_is_nothing():
    assert encode(None, "a value") == b""


@pytest.mark.parametrize("raw", [b"", b"null"])
@pytest.mark.parametrize("type", [None, int | None, Item | None, object])
def test_nothing_and_null_are_none(type, raw):
    assert decoder(type, "a value")(raw) is None


def test_optional_bytes_are_none_if_there_are_none():
    assert round_trip(b"", bytes | None) is None


def test_a_typed_dict_decodes_as_declared():
    label = Label(text="fragile", printed=date(2030, 1, 1))

    assert round_trip(label, Label) == label


@given(st.permutations(["b", "a", "c"]), st.permutations([3, 1, 2]))
def test_equal_values_have_equal_bytes(names, counts):
    value = {"set": set(names), "dict": dict.fromkeys(names, 1), "numbers": dict.fromkeys(counts, 1)}

    expected = b'{"dict":{"a":1,"b":1,"c":1},"numbers":{"1":1,"2":1,"3":1},"set":["a","b","c"]}'
    assert encode(value, "a value") == expected


def test_an_input_that_does_not_decode_is_the_callers_fault_and_names_the_field():
    decode = decoder(list[Item], "the input of Shop.Buy", status=400)

    with pytest.raises(
        PayloadError, match=r"^the input of Shop.Buy does not decode: .* `str`.* - at `\$\[0\].name`$"
    ) as got:
        decode(b'[{"name": 7}]')
    assert got.value.status == 400


def test_decoding_is_strict():
    with pytest.raises(PayloadError, match="Expected `int`, got `str`"):
        decoder(int, "a value")(b'"7"')


@pytest.mark.parametrize("raw", [b"{", b"\xff", b'"\xff"', b'"\\ud800"', b"NaN", b"1e999", b"[" * 100_000])
def test_bytes_that_are_no_json_are_a_payload_error(raw):
    with pytest.raises(PayloadError, match=r"^a value does not decode: it is not JSON: "):
        plain("a value")(raw)


def test_a_type_in_what_is_no_json_is_not_what_is_wrong():
    with pytest.raises(PayloadError, match=r"^a value does not decode: it is not JSON: Input data was truncated$"):
        decoder(int, "a value")(b"{")


def test_a_missing_value_is_a_payload_error():
    with pytest.raises(PayloadError, match="Expected `str`, got `null`"):
        decoder(str, "a value")(b"")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_in_json_is_refused_where_it_is(number):
    with pytest.raises(
        PayloadError, match=r"^the output of A.b cannot be encoded: NaN .* at `\$.prices\[1\].net`$"
    ) as got:
        encode({"free": None, "prices": [{"net": 1.0}, {"net": number}]}, "the output of A.b")
    assert got.value.status == 500


@pytest.mark.parametrize(
    "value", [object(), "\ud800", {"\ud800": 1}, {(1, 2): 3}, [10**5000], 1j, {Color.RED, Color.BLUE}], ids=kind
)
def test_a_value_that_has_no_json_is_a_payload_error(value):
    with pytest.raises(PayloadError, match=r"^the output of A.b cannot be encoded: "):
        encode(value, "the output of A.b")


def test_a_value_that_contains_itself_is_a_payload_error():
    value: list[Any] = []
    value.append(value)

    with pytest.raises(PayloadError, match=r"a value cannot be encoded: it contains itself - at `\$\[0\]`"):
        encode(value, "a value")


@pytest.mark.parametrize("type", [bytes | str, Item | Parcel])
def test_a_type_that_cannot_be_told_from_its_bytes_is_refused(type):
    with pytest.raises(TypeError, match=r"^the input of A.b has a type that cannot be decoded"):
        decoder(type, "the input of A.b")
