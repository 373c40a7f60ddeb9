"""How long to keep trying."""

from datetime import timedelta
from typing import Any

import pytest

from durable.retry import HANDLER_RETRIES, RetryPolicy

SECOND = timedelta(seconds=1)
YEAR = timedelta(days=365)


def test_delays_grow_by_the_factor() -> None:
    policy = RetryPolicy(first=SECOND, factor=3, longest=YEAR)

    assert [policy.delay(attempts) for attempts in (1, 2, 3)] == [SECOND, 3 * SECOND, 9 * SECOND]


def test_a_delay_is_never_longer_than_the_longest() -> None:
    policy = RetryPolicy(first=SECOND, factor=2, longest=5 * SECOND)

    assert [policy.delay(attempts) for attempts in (3, 4, 10_000)] == [4 * SECOND, 5 * SECOND, 5 * SECOND]


def test_a_first_delay_beyond_the_longest_is_cut_off() -> None:
    assert RetryPolicy(first=10 * SECOND, longest=5 * SECOND).delay(1) == 5 * SECOND


@pytest.mark.parametrize("factor", [1.0001, 2.0, 1e10, 1e308])
def test_every_growing_delay_reaches_the_longest(factor: float) -> None:
    policy = RetryPolicy(first=SECOND, factor=factor, longest=YEAR)

    assert policy.delay(10**9) == YEAR


def test_a_factor_of_one_keeps_the_delay() -> None:
    assert RetryPolicy(first=SECOND, factor=1).delay(10**9) == SECOND


@pytest.mark.parametrize("attempts", [1, 10, 10**9])
def test_a_delay_of_zero_stays_zero(attempts: int) -> None:
    assert RetryPolicy(first=timedelta(0)).delay(attempts) == timedelta(0)


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 1.0), (0.5, 1.15), (1.0, 1.3)])
def test_jitter_adds_up_to_its_fraction(chance: float, factor: float) -> None:
    policy = RetryPolicy(first=SECOND, factor=2, longest=10 * SECOND, jitter=0.3)

    assert policy.delay(2, chance) == 2 * SECOND * factor


@pytest.mark.parametrize("attempts", [5, 10_000])
def test_jitter_spreads_also_the_longest_delay(attempts: int) -> None:
    assert RetryPolicy(first=SECOND, longest=5 * SECOND, jitter=0.2).delay(attempts, 0.5) == 5.5 * SECOND


def test_jitter_on_a_longest_of_no_limit_is_left_out() -> None:
    assert RetryPolicy(first=SECOND, longest=timedelta.max, jitter=1).delay(10_000, 0.9) == timedelta.max


def test_a_policy_has_no_jitter_unless_it_says_so() -> None:
    assert RetryPolicy(first=SECOND).delay(1, 0.9) == SECOND


@pytest.mark.parametrize("jitter", [-0.1, 1.1, float("nan"), "0.1"])
def test_a_jitter_that_is_no_fraction_is_refused(jitter: Any) -> None:
    with pytest.raises(ValueError, match="jitter must be a fraction from 0 to 1, got"):
        RetryPolicy(jitter=jitter)


def test_without_limits_it_never_gives_up() -> None:
    assert not RetryPolicy().gives_up(10**9, 100 * YEAR)


def test_the_first_attempt_counts() -> None:
    policy = RetryPolicy(max_attempts=2)

    assert [policy.gives_up(attempts, timedelta(0)) for attempts in (1, 2, 3)] == [False, True, True]


def test_it_gives_up_when_its_time_is_over() -> None:
    policy = RetryPolicy(max_duration=SECOND)

    assert not policy.gives_up(100, 0.999 * SECOND)
    assert policy.gives_up(1, SECOND)


@pytest.mark.parametrize("limit", ["max_attempts", "max_duration"])
def test_either_limit_is_enough(limit: str) -> None:
    policy = RetryPolicy(max_attempts=5, max_duration=5 * SECOND)

    attempts, elapsed = (5, timedelta(0)) if limit == "max_attempts" else (1, 5 * SECOND)

    assert policy.gives_up(attempts, elapsed)


@pytest.mark.parametrize("field", ["first", "longest"])
def test_a_negative_delay_is_refused(field: str) -> None:
    fields: dict[str, Any] = {field: -SECOND}

    with pytest.raises(ValueError, match=f"cannot be negative: .*{field}=-1 day"):
        RetryPolicy(**fields)


@pytest.mark.parametrize("factor", [0.99, 0, -2, float("nan"), float("inf"), "2", None])
def test_a_factor_that_is_not_a_number_from_1_is_refused(factor: Any) -> None:
    with pytest.raises(ValueError, match="factor must be a number >= 1, got"):
        RetryPolicy(factor=factor)


@pytest.mark.parametrize("attempts", [0, -1, "3", 1.5, True])
def test_less_than_one_attempt_is_refused(attempts: Any) -> None:
    with pytest.raises(ValueError, match="max_attempts must be a whole number, at least 1, got"):
        RetryPolicy(max_attempts=attempts)


def test_a_negative_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="max_duration cannot be negative, got"):
        RetryPolicy(max_duration=-SECOND)


def test_handlers_that_failed_together_are_tried_apart() -> None:
    assert HANDLER_RETRIES.delay(1, 1.0) == 1.3 * HANDLER_RETRIES.delay(1)


def test_a_handler_is_tried_for_an_hour_and_then_paused() -> None:
    delays = sum((HANDLER_RETRIES.delay(attempts) for attempts in range(1, 70)), timedelta(0))

    assert timedelta(hours=1) < delays < timedelta(hours=1.1)
    assert HANDLER_RETRIES.gives_up(70, delays)
    assert HANDLER_RETRIES.exhausted == "pause"


def test_a_policy_that_ends_in_an_unknown_way_is_refused() -> None:
    with pytest.raises(ValueError, match='"pause" or "fail", got \'die\''):
        RetryPolicy(exhausted="die")
