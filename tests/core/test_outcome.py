"""Outcomes, to errors and back."""

from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from durable.core.outcome import LONGEST, Failure, Success
from durable.errors import InvocationCancelledError, TerminalError


def test_a_terminal_error_comes_back_as_it_was() -> None:
    error = TerminalError("declined", status=402, metadata={"code": "51"})

    again = Failure.of(error).error()

    assert (again.message, again.status, again.metadata) == ("declined", 402, {"code": "51"})


def test_a_cancellation_reaches_the_caller_as_a_failure_with_status_409() -> None:
    assert Failure.of(InvocationCancelledError()) == Failure(409, "cancelled")


def test_an_error_that_was_not_meant_for_callers_is_told_with_its_type_and_status_500() -> None:
    assert Failure.raised(KeyError("sku")) == Failure(500, "KeyError('sku')")


def test_nothing_there_is_not_an_empty_value() -> None:
    assert Success() == Success(None)
    assert Success() != Success(b"")


def test_metadata_is_not_shared_between_failures() -> None:
    assert Failure(500, "a").metadata is not Failure(500, "b").metadata


class Markup(str):
    __slots__ = ()


class Code(int):
    __slots__ = ()


@pytest.mark.parametrize(
    ("status", "kept"),
    [
        (404, 404),
        (HTTPStatus.NOT_FOUND, 404),
        (Code(404), 404),
        ("404", 404),
        ("not found", 500),
        (None, 500),
        (True, 500),
        (4.5, 500),
        (1 << 63, 500),
    ],
)
def test_a_failure_can_be_stored_whatever_its_status_was(status: Any, kept: int) -> None:
    failure = Failure(status, "no")

    assert failure.status == kept
    assert stored(failure) == failure


@pytest.mark.parametrize(
    ("message", "kept"),
    [("nö \N{SNOWMAN}", "nö \N{SNOWMAN}"), ("\ud800", "?"), (Markup("no"), "no"), (b"no", "b'no'"), (None, "None")],
)
def test_a_failure_can_be_stored_whatever_it_says(message: Any, kept: str) -> None:
    failure = Failure(500, message, {message: message})

    assert (failure.message, failure.metadata) == (kept, {kept: kept})
    assert stored(failure) == failure


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Odd(TerminalError):
    """Makes of our attributes what it likes."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def __str__(self) -> str:
        return "odd"

    def __getattr__(self, name: str) -> object:
        raise KeyError(name) if name in {"message", "status", "metadata"} else AttributeError(name)


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (Odd(), Failure(500, "odd")),
        (Odd(message=Mute(), status=Mute(), metadata={"a": Mute()}), Failure(500, "Mute", {"a": "Mute"})),
        (Odd(metadata=["a"]), Failure(500, "odd")),
        (Odd(metadata="a"), Failure(500, "odd")),
        (Odd(status=409, message="no", metadata=MappingProxyType({"a": "b"})), Failure(409, "no", {"a": "b"})),
    ],
)
def test_a_failure_is_made_of_any_terminal_error(error: TerminalError, kept: Failure) -> None:
    assert Failure.of(error) == kept
    assert stored(Failure.of(error)) == kept


def test_metadata_is_kept_as_far_as_there_is_room() -> None:
    failure = Failure(500, "x" * 100_000, {str(n): "y" * 10_000 for n in range(1_000)})

    assert len(failure.message) == LONGEST
    assert failure.metadata == {str(n): "y" * 10_000 for n in range(6)}
    assert stored(failure) == failure


def stored(failure: Failure) -> Failure:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(failure), type=Failure)


def test_an_outcome_does_not_change() -> None:
    with pytest.raises(AttributeError):
        Success(b"1").value = b"2"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
