"""Ids survive the way to text and back; what the engine did not write, it does not read."""

from __future__ import annotations

import string

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from durable.core.ids import (
    AwakeableId,
    InvocationId,
    derived,
    plain,
    read_awakeable,
    read_invocation,
    write_awakeable,
    write_invocation,
)
from durable.errors import BadIdError
from tests.examples import examples

ids = st.binary(min_size=16, max_size=16).map(InvocationId)
indexes = st.integers(0, (1 << 32) - 1)
secrets = st.binary(min_size=32, max_size=32)
# Every separator that somebody might join parts with, and what a length looks like.
parts = st.lists(st.text("a,/\0\x01é", max_size=4) | st.text(max_size=6), max_size=5).map(tuple)


@given(ids)
@example(InvocationId(bytes(16)))
@example(InvocationId(b"\xff" * 16))
def test_an_id_is_read_as_it_was_written(id: InvocationId) -> None:
    text = write_invocation(id)

    assert read_invocation(text) == id
    assert len(text) == 38
    assert set(text) <= {*string.ascii_letters, *string.digits, "_"}


@given(ids, ids)
def test_two_ids_are_two_texts(one: InvocationId, other: InvocationId) -> None:
    assert (write_invocation(one) == write_invocation(other)) == (one == other)


@given(st.text() | st.text("inv_1sgdp0Z", min_size=30, max_size=45) | st.text("01Z", max_size=40).map("inv_1".__add__))
def test_any_text_is_an_id_or_refused(text: str) -> None:
    try:
        id = read_invocation(text)
    except BadIdError:
        return

    assert write_invocation(id)[-22:] == text[-22:]


@given(st.integers(0, 1 << 47), st.integers(0, 1 << 47), secrets, secrets)
def test_plain_ids_are_in_order_of_time(one_ms: int, other_ms: int, one: bytes, other: bytes) -> None:
    assume(one_ms < other_ms)

    assert plain(one_ms, one) < plain(other_ms, other)


@settings(max_examples=examples(500))
@given(parts, parts)
@example(("a", "b"), ("a,b",))
@example(("", "a"), ("a", ""))
@example((), ("",))
@example(("a", ""), ("a",))
def test_only_the_same_parts_have_the_same_id(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (derived("ik", *one) == derived("ik", *other)) == (one == other)


@given(secrets, ids, indexes)
def test_an_awakeable_id_is_read_as_it_was_written(secret: bytes, id: InvocationId, index: int) -> None:
    assert read_awakeable(secret, write_awakeable(secret, AwakeableId(id, index, 7))) == (id, index, 7)


@given(secrets, secrets, ids, indexes)
def test_an_awakeable_id_of_another_database_is_refused(
    secret: bytes, other: bytes, id: InvocationId, index: int
) -> None:
    assume(secret != other)

    with pytest.raises(BadIdError):
        read_awakeable(secret, write_awakeable(other, AwakeableId(id, index, 7)))


@settings(max_examples=examples(300))
@given(secrets, ids, indexes, st.data())
def test_an_awakeable_id_with_any_other_character_is_refused(
    secret: bytes, id: InvocationId, index: int, data: st.DataObject
) -> None:
    text = write_awakeable(secret, AwakeableId(id, index, 7))
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_=+/ \n") | st.characters())
    forged = text[:place] + other + text[place + 1 :]
    assume(forged != text)

    with pytest.raises(BadIdError):
        read_awakeable(secret, forged)


@given(secrets, ids, ids, indexes, indexes)
def test_a_proof_is_good_for_one_signal_of_one_invocation(
    secret: bytes, id: InvocationId, other_id: InvocationId, index: int, other_index: int
) -> None:
    assume((id, index) != (other_id, other_index))
    proof = write_awakeable(secret, AwakeableId(id, index, 7))[-21:]
    forged = write_awakeable(secret, AwakeableId(other_id, other_index, 7))[:-21] + proof

    with pytest.raises(BadIdError):
        read_awakeable(secret, forged)


@given(secrets, st.text() | st.text(string.ascii_letters + string.digits + "-_", max_size=70).map("sign_1".__add__))
def test_a_guessed_awakeable_id_is_refused(secret: bytes, text: str) -> None:
    with pytest.raises(BadIdError):
        read_awakeable(secret, text)
