"""What is too long or too large is refused where it comes in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from durable import Context, ObjectContext, Options, PayloadError, Promise, Service, State, VirtualObject, handler
from durable.sizes import LARGEST_HEADERS, LONGEST_KEY, LONGEST_NAME, check_headers, check_size, check_text
from tests.fakes import FakeMachine

LONG_KEY = "é" * (LONGEST_KEY // 2) + "x"
LONG_NAME = "é" * (LONGEST_NAME // 2) + "x"
unchecked: Any = check_headers


class Cart(VirtualObject):
    @handler
    async def add(self, ctx: ObjectContext, item: str) -> None: ...


class Mail(Service):
    @handler
    async def send(self, ctx: Context) -> None: ...


def test_a_text_may_have_as_many_bytes_as_it_may_have() -> None:
    assert check_text("é" * 4, "a key", 8) == "é" * 4
    with pytest.raises(PayloadError, match=r"^a key has 10 bytes, and can have 8: 'ééééé'\.\.\.$") as error:
        check_text("é" * 5, "a key", 8)

    assert error.value.status == 400


def test_a_payload_that_is_too_large_is_told_what_to_do() -> None:
    with pytest.raises(PayloadError, match=r"^the input has 33,554,433 bytes; at most 33,554,432 are kept: store it"):
        check_size(bytes(32 * 1024 * 1024 + 1), "the input")


def test_headers_count_together() -> None:
    half = "x" * (LARGEST_HEADERS // 2 - 1)

    assert check_headers({"a": half, "b": half}) == {"a": half, "b": half}
    with pytest.raises(PayloadError, match="the headers have 65,537 bytes, and can have 65,536") as error:
        check_headers({"a": half, "b": half + "x"})
    assert error.value.status == 400


@pytest.mark.parametrize("headers", [[("a", "b")], "a", 7])
def test_headers_are_a_mapping(headers: object) -> None:
    with pytest.raises(TypeError, match="headers are a mapping of names to values, got"):
        unchecked(headers)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: Cart.add.outgoing((LONG_KEY, "x"), {}), "the key of Cart.add has 1,025 bytes, and can have 1,024"),
        (lambda: Mail.send.options(idempotency_key=LONG_KEY), "an idempotency key has 1,025 bytes"),
        (lambda: Mail.send.options(identity=LONG_KEY), "an identity has 1,025 bytes"),
        (lambda: Mail.send.options(headers={"a": "x" * LARGEST_HEADERS}), "the headers have 65,537 bytes"),
        (lambda: Context(FakeMachine()).run(LONG_NAME, str), "the name of the step, has 513 bytes, and can have 512"),
        (lambda: Context(FakeMachine()).signal(LONG_NAME, str), "the name of a signal has 513 bytes"),
        (lambda: Context(FakeMachine()).send_signal("inv_1x", LONG_NAME, 1), "the name of a signal has 513 bytes"),
        (lambda: Context(FakeMachine()).reject_signal("inv_1x", LONG_NAME, "no"), "the name of a signal has 513 bytes"),
        (lambda: State(int, name="x" * 513), "the name of a state has 513 bytes, and can have 512"),
        (lambda: Promise(int, name="x" * 513), "the name of a promise has 513 bytes"),
        (lambda: Options(version="x" * 513), "the version of your code has 513 bytes"),
    ],
)
def test_what_is_too_long_is_refused_at_once(ask: Callable[[], object], says: str) -> None:
    with pytest.raises(PayloadError, match=says):
        ask()


def test_what_is_just_short_enough_is_taken() -> None:
    key = "x" * LONGEST_KEY

    outgoing = Cart.add.options(idempotency_key=key, identity=key).outgoing((key, "x"), {})

    assert (outgoing.target.key, outgoing.idempotency_key) == (key, key)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"inactivity": 5}, TypeError, r"inactivity is a timedelta, got 5; write timedelta\(seconds=5\)"),
        ({"cleanup": timedelta(0)}, ValueError, "cleanup must be positive"),
        ({"parked": "many"}, ValueError, "parked must be an int of at least 1, got 'many'"),
        ({"durability": "none"}, ValueError, "durability is one of power, process, got 'none'"),
        ({"retry": 3}, TypeError, "retry is a RetryPolicy, got 3"),
        ({"version": 7}, TypeError, "the version of your code is a str, got 7"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Options(**options)
