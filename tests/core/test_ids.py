"""Ids, as text and back."""

import pytest

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

ID = InvocationId(bytes.fromhex("781674a9d306b017947631474513f5c2"))
SECRET = b"s" * 32


def test_a_plain_id_begins_with_its_time() -> None:
    earlier, later = plain(1_000, b"\xff" * 10), plain(1_001, b"\x00" * 10)

    assert earlier < later
    assert len(earlier) == len(later) == 16


def test_an_id_is_written_as_restate_writes_it() -> None:
    # The vector is Restate's; its first part, the partition key, is always zero here.
    vector = "inv_12xIqvhw1q0m5VSvGReUdjPMKfqQLnBqvC"

    written = write_invocation(ID)

    assert written[-22:] == vector[-22:]
    assert written[:-22] == "inv_1" + "0" * 11
    assert len(written) == len(vector)


def test_an_id_of_another_partition_is_read_by_its_unique_half() -> None:
    assert read_invocation("inv_12xIqvhw1q0m5VSvGReUdjPMKfqQLnBqvC") == ID


@pytest.mark.parametrize("number", [0, 1, 61, 62, (1 << 128) - 1])
def test_every_id_is_padded_to_one_length(number: int) -> None:
    id = InvocationId(number.to_bytes(16, "little"))

    assert len(write_invocation(id)) == 38
    assert read_invocation(write_invocation(id)) == id


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "bad format"),
        ("inv", "bad format"),
        ("inv_", "bad format"),
        ("cart_1" + "0" * 33, "bad format"),
        ("sign_1" + "0" * 33, "id doesn't match the expected type"),
        ("dp_1" + "0" * 33, "id doesn't match the expected type"),
        ("inv_2" + "0" * 33, "unrecognized codec version"),
        ("inv_1" + "0" * 32, "bad length"),
        ("inv_1" + "0" * 34, "bad length"),
        ("inv_1" + "0" * 32 + "-", "base62 decode error"),
        ("inv_1" + "-" + "0" * 32, "base62 decode error"),
        ("inv_1" + "0" * 32 + "²", "base62 decode error"),
        ("inv_1" + "0" * 11 + "Z" * 22, "base62 decode error"),
    ],
)
def test_what_is_no_id_is_refused_in_restates_words(text: str, why: str) -> None:
    with pytest.raises(BadIdError, match=f"^bad invocation id '{text}': {why}$") as error:
        read_invocation(text)

    assert error.value.why == why


def test_a_derived_id_depends_on_where_its_parts_end() -> None:
    ids = {
        derived("ik", *parts) for parts in [("a", "bc"), ("ab", "c"), ("abc",), ("abc", ""), ("", "abc"), ("a,b", "c")]
    }

    assert len(ids) == 6


def test_a_derived_id_depends_on_its_kind() -> None:
    assert derived("ik", "a") != derived("wf", "a")


def test_a_derived_id_never_changes() -> None:
    # Written down when the first database was: another digest would accept every idempotent call anew.
    assert derived("wf", "Order", "7").hex() == "ceb4826177d4ad0aa945507f0681356c"


def test_an_awakeable_id_tells_whose_signal_it_completes() -> None:
    text = write_awakeable(SECRET, AwakeableId(ID, 17, 7))

    assert text.startswith("sign_1")
    assert read_awakeable(SECRET, text) == (ID, 17, 7)


def test_an_awakeable_id_of_another_secret_is_refused() -> None:
    text = write_awakeable(b"t" * 32, AwakeableId(ID, 17, 7))

    with pytest.raises(BadIdError, match="unknown awakeable"):
        read_awakeable(SECRET, text)


@pytest.mark.parametrize("text", ["", "prom_1AAAA", "sign_1é", "sign_1A", "inv_1" + "0" * 33])
def test_what_is_no_awakeable_id_is_a_bad_format(text: str) -> None:
    with pytest.raises(BadIdError, match="bad format"):
        read_awakeable(SECRET, text)


@pytest.mark.parametrize("tail", ["", "AAAA"])
def test_an_awakeable_id_without_its_proof_is_too_short(tail: str) -> None:
    text = write_awakeable(SECRET, AwakeableId(ID, 17, 7))[:40] + tail

    with pytest.raises(BadIdError, match="bad length"):
        read_awakeable(SECRET, text)


@pytest.mark.parametrize("more", ["=", "\n", "!"])
def test_an_awakeable_id_has_one_text_only(more: str) -> None:
    text = write_awakeable(SECRET, AwakeableId(ID, 17, 7))

    with pytest.raises(BadIdError):
        read_awakeable(SECRET, text + more)
