"""Lanes and meters, one at a time."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.core.lanes import LaneKey, Meter, Mode
from durable.flow import Limit, Rate
from tests.core.bench import NOW

keys = st.builds(
    LaneKey,
    st.sampled_from(Mode),
    st.integers(0, 9),
    st.sampled_from(["Mail", "a.b-c"]),
    st.sampled_from(["send", "s_2"]),
    st.none() | st.sampled_from(["tenant", "tenant/acme", "tenant/acme/eu", "t-1/-"]),
    st.none() | st.text(),
    st.none(),
).flatmap(lambda key: st.sampled_from([key, key._replace(key=None, bucket=17)]))


@given(keys)
def test_a_lane_is_read_as_it_was_written(key: LaneKey) -> None:
    assert LaneKey.read(key.write()) == key


@pytest.mark.parametrize("text", ["", "x0 A/b - ", "s A/b - ", "s0 Ab - ", "s0 A/b -"])
def test_what_is_no_lane_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        LaneKey.read(text)


def test_a_lane_counts_for_all_that_it_is_part_of() -> None:
    key = LaneKey(Mode.START, 0, "Cart", "add", "tenant/acme/eu", "jane")

    assert ["/".join(path) for path in key.paths()] == [
        "engine", "service/Cart", "handler/Cart/add", "key/Cart/jane", "limit/tenant", "limit/tenant/acme",
        "limit/tenant/acme/eu",
    ]  # fmt: skip


def starts(rate: Rate, moments: Iterator[int] | list[int]) -> list[int]:
    """When somebody started who asked at each of these moments."""
    meter, started = Meter(("engine",), Limit("engine", rate=rate)), []
    for moment in moments:
        while meter.opens_ms(moment) <= moment:
            meter.picked += 1
            meter.start(moment)
            started.append(moment)
    return started


def test_a_smooth_rate_spaces_its_starts() -> None:
    assert starts(Rate(4, timedelta(seconds=1)), [NOW + ms for ms in range(1001)]) == [
        NOW, NOW + 250, NOW + 500, NOW + 750, NOW + 1000
    ]  # fmt: skip


def test_a_burst_is_let_in_at_once() -> None:
    assert starts(Rate(4, timedelta(seconds=1), burst=4), [NOW, NOW + 100, NOW + 250]) == [NOW] * 4 + [NOW + 250]


@given(
    st.integers(1, 20),
    st.integers(1, 100_000),
    st.integers(1, 20),
    st.lists(st.integers(0, 50_000), min_size=1, max_size=60),
)
def test_no_stretch_of_the_period_has_more_than_count_and_burst(
    count: int, per_ms: int, burst: int, waits: list[int]
) -> None:
    moments = [NOW + ms for ms in accumulate(waits)]

    started = starts(Rate(count, timedelta(milliseconds=per_ms), burst), moments)

    for index, first in enumerate(started):
        within = [moment for moment in started[index:] if moment < first + per_ms]
        assert len(within) <= count + burst


def test_a_clock_that_was_set_back_keeps_nobody_waiting_for_long() -> None:
    meter = Meter(("engine",), Limit("engine", rate=Rate(1, timedelta(seconds=1), burst=2)))

    meter.resume(NOW + 3_600_000, NOW)

    assert meter.opens_ms(NOW) == NOW + 1000


@pytest.mark.parametrize(
    ("limit", "used", "said"),
    [
        (Limit("service/Mail", concurrency=2), 2, "service/Mail lets 2 run at once, and 2 do"),
        (Limit("service/*", concurrency=0), 0, "service/Mail lets 0 run at once, and 0 do (by the limit service/*)"),
        (Limit("service/Mail", 2, Rate(3, timedelta(minutes=1))), 1, "service/Mail lets 3 start in 0:01:00"),
        (Limit("service/Mail", concurrency=2), 1, "service/Mail has room"),
    ],
)
def test_a_meter_says_what_holds_others_back(limit: Limit, used: int, said: str) -> None:
    meter = Meter(("service", "Mail"), limit)
    meter.used = used

    assert str(meter) == said


@pytest.mark.parametrize(
    ("rate", "seconds"),
    [(None, 1), (Rate(2, timedelta(minutes=1)), 30), (Rate(100, timedelta(seconds=1)), 1)],
)
def test_who_is_refused_may_come_back_when_the_rate_has_let_one_in(rate: Rate | None, seconds: int) -> None:
    assert Meter(("engine",), Limit("engine", rate=rate, queue=1)).wait() == timedelta(seconds=seconds)
