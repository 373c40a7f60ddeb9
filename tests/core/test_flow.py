"""What people may write as a limit, and which of several counts."""

from datetime import timedelta

import pytest

from durable.errors import PayloadError
from durable.flow import (
    Limit,
    LimitSet,
    Rate,
    check_declared,
    check_limit_key,
    check_limits,
    check_priority,
    parse_pattern,
)

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("engine", ("engine",)),
        ("service/Mail", ("service", "Mail")),
        ("handler/Mail/send", ("handler", "Mail", "send")),
        ("handler/*/send", ("handler", "*", "send")),
        ("key/Cart/a/b", ("key", "Cart", "a/b")),
        ("limit/tenant", ("limit", "tenant")),
        ("limit/tenant/*/eu", ("limit", "tenant", "*", "eu")),
    ],
)
def test_a_pattern_is_a_path(pattern: str, parts: tuple[str, ...]) -> None:
    assert parse_pattern(pattern) == parts


@pytest.mark.parametrize(
    "pattern",
    ["", "*", "engine/", "engine/x", "key/Cart/", "service", "service/", "service/A/b", "handler/A", "key/Cart",
     "limit", "limit/a/b/c/d", "limit/a/ü", "queue/x", "limit//a"],
)  # fmt: skip
def test_what_names_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"expected engine|cannot be: each part"):
        Limit(pattern, concurrency=1)


def test_a_pattern_is_text_that_can_be_stored() -> None:
    with pytest.raises(PayloadError, match="the pattern of a limit is not valid Unicode"):
        Limit("key/Cart/\ud800", concurrency=1)


@pytest.mark.parametrize(
    "bounds",
    [{"concurrency": -1}, {"concurrency": True}, {"queue": 1.5}, {"rate": 3}, {"hold": 1}, {"description": 3},
     *({bound: 2**bits} for bound in ("concurrency", "queue") for bits in (31, 63, 70))],
)  # fmt: skip
def test_bounds_that_make_no_sense_are_refused(bounds: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError), match=next(iter(bounds))):
        Limit("engine", **bounds)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "rate",
    [(0, SECOND), (1, timedelta(0)), (1, SECOND, 0), (1, 60), (True, SECOND), (2**31, SECOND), (2**63, SECOND),
     (1, SECOND, 2**31), (1, SECOND, 2**70), (1, timedelta(days=365_000)), (1, timedelta.max),
     (1, timedelta(days=3653), 1000)],
)  # fmt: skip
def test_rates_that_make_no_sense_are_refused(rate: tuple[object, ...]) -> None:
    with pytest.raises((TypeError, ValueError), match="a rate"):
        Rate(*rate)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["", "a/b/c", "a b", "a/", 5, "x" * 37])
def test_limit_keys_have_one_or_two_plain_parts(key: object) -> None:
    with pytest.raises(ValueError, match="a limit key is one or two parts"):
        check_limit_key(key)


@pytest.mark.parametrize("priority", [-1, 10, True, 1.0, "1"])
def test_priorities_are_small(priority: object) -> None:
    with pytest.raises(ValueError, match="from 0 to 9"):
        check_priority(priority)


def test_what_is_held_is_a_slot() -> None:
    with pytest.raises(ValueError, match="hold keeps the slots of a concurrency, and there is none"):
        Limit("engine", rate=Rate(1, SECOND), hold=True)


def test_a_limit_without_bounds_is_an_exception_from_another() -> None:
    check_declared((Limit("limit/tenant/*", 1), Limit("limit/tenant/acme")))
    with pytest.raises(ValueError, match="limit limit/tenant/acme says nothing"):
        check_declared((Limit("limit/tenant", 1), Limit("limit/tenant/acme"), Limit("limit/tenant/*")))


def test_one_limit_for_each_pattern() -> None:
    with pytest.raises(ValueError, match="two limits are for engine"):
        check_limits((Limit("engine", 1), Limit("engine", 2)))


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        (("limit", "tenant"), "limit/tenant"),
        (("limit", "tenant", "acme"), "limit/tenant/acme"),
        (("limit", "tenant", "other"), "limit/tenant/*"),
        (("limit", "tenant", "acme", "eu"), "limit/tenant/acme/*"),
        (("limit", "tenant", "other", "eu"), "limit/tenant/*/eu"),
        (("limit", "tenant", "other", "us"), None),
        (("service", "Mail"), None),
    ],
)
def test_the_most_specific_limit_counts(path: tuple[str, ...], pattern: str | None) -> None:
    patterns = ["limit/tenant", "limit/tenant/*", "limit/tenant/acme", "limit/tenant/*/eu", "limit/tenant/acme/*"]
    limits = LimitSet([Limit(pattern, concurrency=1) for pattern in patterns])

    found = limits.of(path)

    assert (found and found.pattern) == pattern


class Counting(str):
    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counting.compared += 1
        return str.__eq__(self, other)


def test_the_limit_of_a_path_is_found_among_thousands_without_looking_at_each() -> None:
    limits = LimitSet([Limit(f"limit/t{number}/*", concurrency=1) for number in range(3000)])

    found = limits.of(("limit", Counting("t2999"), "acme"))

    assert found == Limit("limit/t2999/*", concurrency=1)
    assert Counting.compared < 10
