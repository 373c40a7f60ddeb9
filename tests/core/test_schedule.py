"""What is owed, and when; the times themselves are tests/test_timetable.py's matter."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable.core import schedule
from durable.core.entries import Target
from durable.core.ids import InvocationId
from durable.core.schedule import GRACE_MS, Definition, Schedule, Span
from durable.timetable import Timetable, to_ms
from tests.examples import examples

BEGUN = to_ms(datetime(2026, 1, 1, tzinfo=UTC))
HOUR, MINUTE = 3_600_000, 60_000


def hourly(*, begun: int = BEGUN, every: timedelta = timedelta(hours=1), **keywords: Any) -> Schedule:
    definition = Definition(
        id="s", target=Target("Reports", "build", None), payload=b"{}", timetable=Timetable(every=every, **keywords)
    )
    return schedule.begin(definition, begun)


def ran(row: Schedule) -> Schedule:
    """The first that is owed runs, and is under way."""
    time_ms = schedule.next_ms(row)
    assert time_ms is not None
    return schedule.start(row, time_ms, known=False)


def ended(row: Schedule) -> Schedule:
    return schedule.settle(row, lambda _: True)


def drained(row: Schedule) -> list[int]:
    """The hours, counted from the beginning, that run if each run ends at once."""
    found = list[int]()
    while (time_ms := schedule.next_ms(row)) is not None:
        found.append((time_ms - BEGUN) // HOUR)
        row = ended(schedule.start(row, time_ms, known=False))
    assert row.owed == ()
    return found


def test_nothing_is_owed_before_its_time() -> None:
    row = hourly()

    assert schedule.due_ms(row) == BEGUN + HOUR
    assert schedule.notice(row, BEGUN + HOUR - 1).schedule is row


def test_a_time_is_owed_once() -> None:
    row = schedule.notice(hourly(), BEGUN + HOUR).schedule

    again = schedule.notice(row, BEGUN + HOUR).schedule

    assert again is row
    assert drained(row) == [1]


def test_a_run_is_named_by_its_schedule_and_its_time() -> None:
    row = ran(schedule.notice(hourly(), BEGUN + HOUR).schedule)

    assert row.last == (BEGUN + HOUR, schedule.run_id("s", BEGUN + HOUR))
    assert row.under_way == (row.last.id,)
    assert schedule.run_id("s", BEGUN) != schedule.trigger_id("s", BEGUN) != schedule.run_id("t", BEGUN)


@pytest.mark.parametrize(
    ("overlap", "owed", "cancels"), [("skip", [], False), ("queue", [2], False), ("cancel", [2], True)]
)
def test_a_time_that_comes_while_a_run_is_under_way(overlap: Any, owed: list[int], cancels: bool) -> None:
    row = ran(schedule.notice(hourly(overlap=overlap), BEGUN + HOUR).schedule)

    noticed = schedule.notice(row, BEGUN + 2 * HOUR)

    assert noticed.cancels == cancels
    assert schedule.next_ms(noticed.schedule) is None
    assert drained(ended(noticed.schedule)) == owed


def test_what_may_overlap_does_not_wait() -> None:
    row = ran(schedule.notice(hourly(overlap="allow"), BEGUN + HOUR).schedule)

    row = schedule.notice(row, BEGUN + 2 * HOUR).schedule

    assert schedule.next_ms(row) == BEGUN + 2 * HOUR
    assert row.under_way == ()


def test_a_queue_of_a_thousand_is_as_small_as_one_of_two() -> None:
    row = ran(schedule.notice(hourly(overlap="queue"), BEGUN + HOUR).schedule)

    for hour in range(2, 1000):
        row = schedule.notice(row, BEGUN + hour * HOUR).schedule

    assert len(row.owed) == 1
    assert drained(ended(row)) == list(range(2, 1000))


@pytest.mark.parametrize(
    ("keywords", "owed"),
    [
        ({"catch_up": "none"}, []),
        ({"catch_up": "one"}, [5]),
        ({"catch_up": "one", "window": timedelta(minutes=29)}, []),
        ({"catch_up": "one", "window": timedelta(minutes=30)}, [5]),
        ({"catch_up": "all"}, [1, 2, 3, 4, 5]),
        ({"catch_up": "all", "window": timedelta(minutes=90)}, [4, 5]),
        ({"catch_up": "all", "window": timedelta(minutes=29)}, []),
    ],
)
def test_what_passed_unseen(keywords: dict[str, Any], owed: list[int]) -> None:
    row = schedule.notice(hourly(**keywords), BEGUN + 5 * HOUR + 30 * MINUTE).schedule

    assert drained(row) == owed
    assert schedule.due_ms(row) == BEGUN + 6 * HOUR


def test_a_moment_of_absence_misses_nothing() -> None:
    row = hourly(catch_up="none")

    assert drained(schedule.notice(row, BEGUN + HOUR + GRACE_MS).schedule) == [1]
    assert drained(schedule.notice(row, BEGUN + HOUR + GRACE_MS + 1).schedule) == []


@pytest.mark.parametrize("catch_up", ["none", "all"])
def test_with_jitter_a_time_is_as_old_as_its_start(catch_up: str) -> None:
    window = {} if catch_up == "none" else {"window": timedelta(milliseconds=GRACE_MS)}
    row = hourly(catch_up=catch_up, jitter=timedelta(minutes=50), **window)
    starts_ms = schedule.starts_ms(row, BEGUN + HOUR)
    assert starts_ms > BEGUN + HOUR + GRACE_MS

    assert drained(schedule.notice(row, starts_ms + GRACE_MS).schedule) == [1]
    assert drained(schedule.notice(row, starts_ms + GRACE_MS + 1).schedule) == []


def test_several_that_were_missed_are_run_in_order_also_where_one_would_be_skipped() -> None:
    row = ran(schedule.notice(hourly(catch_up="all"), BEGUN + HOUR).schedule)

    row = schedule.notice(row, BEGUN + 4 * HOUR).schedule

    assert drained(ended(row)) == [2, 3, 4]


def test_what_waits_in_a_queue_was_not_missed() -> None:
    row = ran(schedule.notice(hourly(overlap="queue"), BEGUN + HOUR).schedule)
    row = schedule.notice(row, BEGUN + 2 * HOUR).schedule

    row = schedule.notice(row, BEGUN + 5 * HOUR).schedule

    assert drained(ended(row)) == [2, 5]


def test_what_came_during_a_pause_is_not_owed_and_what_came_before_is() -> None:
    row = schedule.pause(hourly(), BEGUN + HOUR)
    assert schedule.due_ms(row) is None
    assert schedule.next_ms(row) is None
    assert schedule.notice(row, BEGUN + 2 * HOUR).schedule is row

    row = schedule.resume(row, BEGUN + 3 * HOUR)

    assert schedule.due_ms(row) == BEGUN + 4 * HOUR
    assert drained(row) == [1]


def test_resuming_what_is_not_paused_loses_nothing() -> None:
    row = hourly()

    assert schedule.resume(row, BEGUN + 3 * HOUR) is row


def test_other_times_count_from_now_on() -> None:
    row = schedule.notice(hourly(overlap="queue"), BEGUN + HOUR).schedule
    other = hourly(every=timedelta(hours=2)).definition

    changed = schedule.redefine(schedule.pause(row, BEGUN + HOUR), other, BEGUN + 5 * HOUR)

    assert changed.paused
    assert changed.owed == ()
    assert schedule.due_ms(schedule.resume(changed, BEGUN + 5 * HOUR)) == BEGUN + 6 * HOUR


def test_another_policy_leaves_what_is_owed() -> None:
    row = schedule.notice(hourly(), BEGUN + HOUR).schedule

    changed = schedule.redefine(row, hourly(overlap="queue").definition, BEGUN + 5 * HOUR)

    assert (changed.owed, changed.seen_ms) == (row.owed, row.seen_ms)


def test_a_backfill_waits_behind_what_is_owed() -> None:
    row = schedule.notice(hourly(), BEGUN + HOUR).schedule

    row = schedule.backfill(row, Span(BEGUN - 3 * HOUR, BEGUN - HOUR))

    assert drained(row) == [1, -2, -1]


def test_a_backfill_without_a_time_changes_nothing() -> None:
    row = hourly()

    assert schedule.backfill(row, Span(BEGUN + 1, BEGUN + 2)) is row


def test_what_is_known_to_have_run_is_passed_over() -> None:
    row = schedule.backfill(hourly(), Span(BEGUN - 3 * HOUR, BEGUN - HOUR))

    row = schedule.start(row, BEGUN - 2 * HOUR, known=True)

    assert row.last is None
    assert drained(row) == [-1]


def test_what_is_owed_and_has_no_time_any_more_is_forgotten() -> None:
    """The rules of its zone have changed, say."""
    row = schedule.backfill(hourly(), Span(BEGUN - 3 * HOUR, BEGUN - HOUR))
    odd = Schedule(definition=row.definition, seen_ms=BEGUN, owed=(Span(BEGUN + 1, BEGUN + 2), *row.owed))

    assert schedule.settle(odd, lambda _: True).owed == row.owed


def under_way_late(overlap: Any) -> Schedule:
    """A backfilled run of the hour -2 is under way, and the hour -1 is owed."""
    row = schedule.backfill(hourly(overlap=overlap), Span(BEGUN - 3 * HOUR, BEGUN - HOUR))
    return ran(row)


@pytest.mark.parametrize(("overlap", "owed"), [("skip", [1, -1]), ("cancel", [2, -1]), ("queue", [-1, 1, 2])])
def test_times_that_come_during_a_backfill(overlap: Any, owed: list[int]) -> None:
    first = schedule.notice(under_way_late(overlap), BEGUN + HOUR)
    assert schedule.next_ms(first.schedule) is None

    second = schedule.notice(first.schedule, BEGUN + 2 * HOUR)

    assert not any(schedule.to_cancel(each.schedule) for each in (first, second) if each.cancels)
    assert drained(ended(second.schedule)) == owed


def test_a_run_between_two_of_a_backfill_is_cancelled_like_any() -> None:
    row = ran(ended(schedule.notice(under_way_late("cancel"), BEGUN + HOUR).schedule))
    assert row.last is not None

    noticed = schedule.notice(row, BEGUN + 2 * HOUR)

    assert noticed.cancels
    assert schedule.to_cancel(noticed.schedule) == (row.last.id,)
    assert drained(ended(noticed.schedule)) == [2, -1]


@pytest.mark.parametrize("overlap", ["skip", "cancel"])
def test_what_a_downtime_left_is_run_behind_what_comes(overlap: Any) -> None:
    row = schedule.notice(hourly(overlap=overlap, catch_up="all"), BEGUN + 4 * HOUR).schedule

    row = schedule.notice(ran(row), BEGUN + 5 * HOUR).schedule

    assert drained(ended(row)) == [5, 2, 3, 4]


@pytest.mark.parametrize("overlap", ["skip", "cancel"])
def test_what_is_too_fast_for_its_runs_does_not_pile_up(overlap: Any) -> None:
    """An engine that looks at every other time has not been away."""
    row = hourly(every=timedelta(seconds=1), overlap=overlap, catch_up="all")
    for look in range(1, 200):
        row = schedule.notice(row, BEGUN + look * 2000).schedule
        row = row if row.under_way else ran(row)
        row = ended(row) if look % 5 == 0 else row

    assert len(row.owed) <= 2


@pytest.mark.parametrize("overlap", ["skip", "cancel"])
def test_a_queue_that_is_none_any_more_holds_up_nothing(overlap: Any) -> None:
    row = ran(schedule.notice(hourly(overlap="queue"), BEGUN + HOUR).schedule)
    row = schedule.notice(schedule.notice(row, BEGUN + 2 * HOUR).schedule, BEGUN + 3 * HOUR).schedule

    row = ended(schedule.redefine(row, hourly(overlap=overlap).definition, BEGUN + 3 * HOUR))
    row = schedule.notice(ran(row), BEGUN + 4 * HOUR).schedule

    assert drained(ended(row)) == [4, 3]


def test_what_waits_can_be_given_up() -> None:
    row = schedule.notice(under_way_late("queue"), BEGUN + HOUR).schedule

    row = schedule.give_up(row)

    assert drained(ended(row)) == []
    assert schedule.due_ms(row) == BEGUN + 2 * HOUR


def test_a_trigger_is_a_run_beside_the_timetable() -> None:
    row = schedule.trigger(hourly(), BEGUN + 5)

    assert row.last == (BEGUN + 5, schedule.trigger_id("s", BEGUN + 5))
    assert row.triggered_ms == BEGUN + 5
    assert schedule.due_ms(row) == BEGUN + HOUR


def test_what_has_ended_is_not_under_way() -> None:
    row = schedule.trigger(schedule.trigger(hourly(), BEGUN + 5), BEGUN + 6)
    first, second = row.under_way

    assert schedule.settle(row, lambda id: id == first).under_way == (second,)
    assert schedule.settle(row, lambda _: False) is row


def test_nothing_is_due_from_the_end_on() -> None:
    row = hourly(end=datetime(2026, 1, 1, 1, 30, tzinfo=UTC), jitter=timedelta(minutes=10))

    row = schedule.notice(row, BEGUN + 2 * HOUR).schedule

    assert schedule.due_ms(row) is None
    assert drained(row) == [1]


policies = st.fixed_dictionaries(
    {
        "every": st.integers(1, 120).map(lambda seconds: timedelta(seconds=seconds)),
        "overlap": st.sampled_from(["skip", "queue", "cancel", "allow"]),
        "catch_up": st.sampled_from(["none", "one", "all"]),
        "window": st.none() | st.integers(0, 300).map(lambda seconds: timedelta(seconds=seconds)),
        "jitter": st.integers(0, 300).map(lambda seconds: timedelta(seconds=seconds)),
    }
)
# How long until somebody looks again, and whether the runs under way have ended by then.
looks = st.lists(st.tuples(st.integers(0, 600_000), st.booleans()), max_size=12)


@settings(max_examples=examples(300), deadline=None)
@given(policies, looks)
def test_no_time_runs_twice_or_too_early_and_all_in_order_where_none_goes_first(
    policy: dict[str, Any], looks: list[tuple[int, bool]]
) -> None:
    row, now_ms, times = hourly(**policy), BEGUN, list[int]()
    for pause_ms, ends in looks:
        now_ms += pause_ms
        row = schedule.notice(ended(row) if ends else row, now_ms).schedule
        while (time_ms := schedule.next_ms(row)) is not None:
            assert schedule.starts_ms(row, time_ms) <= now_ms
            times.append(time_ms)
            row = schedule.start(row, time_ms, known=False)

    assert len(times) == len(set(times))
    assert times == sorted(times) or policy["overlap"] in ("skip", "cancel")
    assert all(span.after_ms < span.until_ms for span in row.owed)


@settings(max_examples=examples(300), deadline=None)
@given(policies, looks)
def test_all_are_run_if_all_are_caught_up(policy: dict[str, Any], looks: list[tuple[int, bool]]) -> None:
    row, now_ms, times = hourly(**policy | {"catch_up": "all", "window": None, "overlap": "queue"}), BEGUN, list[int]()
    for pause_ms, ends in looks:
        now_ms += pause_ms
        row = schedule.notice(ended(row) if ends else row, now_ms).schedule
        if (time_ms := schedule.next_ms(row)) is not None:
            times.append(time_ms)
            row = schedule.start(row, time_ms, known=False)
    while (time_ms := schedule.next_ms(row := ended(row))) is not None:
        times.append(time_ms)
        row = schedule.start(row, time_ms, known=False)

    expected, timetable = list[int](), row.definition.timetable
    while (time_ms := timetable.after(expected[-1] if expected else BEGUN)) is not None:
        if schedule.starts_ms(row, time_ms) > now_ms:
            break
        expected.append(time_ms)
    assert times == expected


@given(policies, st.integers(0, 10_000_000))
def test_jitter_keeps_the_order_and_never_reaches_the_next_time(policy: dict[str, Any], offset: int) -> None:
    row = hourly(**policy)
    first = row.definition.timetable.after(BEGUN + offset)
    assert first is not None
    second = row.definition.timetable.after(first)
    assert second is not None

    assert first <= schedule.starts_ms(row, first) < second
    assert schedule.starts_ms(row, first) - first < max(row.definition.timetable.jitter_ms, 1)


def test_an_id_has_16_bytes() -> None:
    assert len(InvocationId(schedule.run_id("s", BEGUN))) == 16
