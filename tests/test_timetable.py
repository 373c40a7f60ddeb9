"""Times from cron and intervals, also where clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable import Timetable
from durable.timetable import to_ms

ZONES = (
    "UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia",
    "Pacific/Chatham",
)  # fmt: skip
# Around each zone's changes of the clock; Apia had no 30 December 2011.
CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 4, 4, 14, tzinfo=UTC),  # Chatham's, an hour before Lord Howe's
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2026, 3, 8, 5, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
]
DAY_MS = 86_400_000

minutes = st.sampled_from(["0", "30", "15,45", "*", "*/7", "59"])
hours = st.sampled_from(["0", "1", "2", "3", "*", "*/2", "*/3", "1-3", "23"])
days = st.sampled_from(["*", "1", "L", "29", "30"])
crons = st.builds(lambda minute, hour, day: f"{minute} {hour} {day} * *", minutes, hours, days)
intervals = st.integers(1, 100_000).map(lambda seconds: timedelta(seconds=seconds))
timetables = st.one_of(
    st.builds(lambda cron, tz: Timetable(cron, tz=tz), crons, st.sampled_from(ZONES)),
    st.builds(lambda every: Timetable(every=every), intervals),
)
moments = st.builds(
    lambda change, offset: to_ms(change) + offset, st.sampled_from(CHANGES), st.integers(-2 * DAY_MS, 2 * DAY_MS)
)


def times(timetable: Timetable, start: datetime, count: int) -> list[datetime]:
    zone, moment_ms, found = ZoneInfo(timetable.tz), to_ms(start) - 1, list[datetime]()
    for _ in range(count):
        time_ms = timetable.after(moment_ms)
        assert time_ms is not None
        found.append(datetime.fromtimestamp(time_ms / 1000, zone))
        moment_ms = time_ms
    return found


def walls(cron: str, tz: str, start: str, count: int) -> list[str]:
    found = times(Timetable(cron, tz=tz), datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(tz)), count)
    return [time.strftime("%d %H:%M %z") for time in found]


def test_a_daily_time_that_a_spring_night_has_not_runs_when_the_gap_is_over() -> None:
    assert walls("30 2 * * *", "Europe/Paris", "2026-03-28", 3) == [
        "28 02:30 +0100",
        "29 03:00 +0200",
        "30 02:30 +0200",
    ]


def test_a_daily_time_that_an_autumn_night_has_twice_runs_once() -> None:
    assert walls("30 2 * * *", "Europe/Paris", "2026-10-24", 3) == [
        "24 02:30 +0200",
        "25 02:30 +0200",
        "26 02:30 +0100",
    ]


def test_every_half_hour_goes_on_through_the_hour_that_comes_twice() -> None:
    assert walls("*/30 * * * *", "America/New_York", "2026-11-01 00:30", 6) == [
        "01 00:30 -0400",
        "01 01:00 -0400",
        "01 01:30 -0400",
        "01 01:00 -0500",
        "01 01:30 -0500",
        "01 02:00 -0500",
    ]


def test_every_half_hour_leaves_out_the_hour_that_is_not_there() -> None:
    assert walls("*/30 * * * *", "America/New_York", "2026-03-08 01:30", 2) == [
        "08 01:30 -0500",
        "08 03:00 -0400",
    ]


def test_a_change_of_half_an_hour() -> None:
    """Lord Howe goes from 02:00 to 02:30, and from 02:00 back to 01:30."""
    assert walls("15 2 * * *", "Australia/Lord_Howe", "2026-10-03", 3) == [
        "03 02:15 +1030",
        "04 02:30 +1100",
        "05 02:15 +1100",
    ]
    assert walls("45 1 * * *", "Australia/Lord_Howe", "2026-04-04", 3) == [
        "04 01:45 +1100",
        "05 01:45 +1100",
        "06 01:45 +1030",
    ]


@pytest.mark.parametrize("cron", ["* 3 * * *", "50 */3 * * *", "*/20 */3 * * *", "30 */2 * * *", "* 2 * * *"])
@pytest.mark.parametrize("tz", ["Pacific/Chatham", "Australia/Lord_Howe", "Europe/Paris"])
def test_what_has_a_star_runs_whenever_the_wall_says_so(cron: str, tz: str) -> None:
    """Chatham's clocks are set back from 03:45 to 02:45, in the middle of an hour."""
    timetable = Timetable(cron, tz=tz)
    for start in (datetime(2026, 4, 4, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)):
        walls = [(start + timedelta(minutes=minute)).astimezone(ZoneInfo(tz)) for minute in range(2 * 24 * 60)]
        minute, hour, *_ = cron.split()
        expected = [to_ms(wall) for wall in walls if _says(minute, wall.minute) and _says(hour, wall.hour)]
        found, moment_ms = list[int](), to_ms(start) - 1
        while (moment_ms := timetable.after(moment_ms) or 0) <= to_ms(walls[-1]):
            found.append(moment_ms)
        assert found == expected


def _says(field: str, number: int) -> bool:
    first, _, every = field.partition("/")
    return number % int(every) == 0 if every else first in ("*", str(number))


def test_a_midnight_that_comes_twice() -> None:
    """In St. John's it was 23:01 again after 00:00, in 2009 as the month began."""
    for cron in ("* * * * SUN", "* * * 11 *"):
        assert walls(cron, "America/St_Johns", "2009-10-31T23:59", 3) == [
            "01 00:00 -0230",
            "01 00:00 -0330",
            "01 00:01 -0330",
        ]


def test_a_day_that_a_zone_has_not() -> None:
    """What was to run on it runs as the next day begins."""
    assert walls("0 12 * * *", "Pacific/Apia", "2011-12-29", 3) == [
        "29 12:00 -1000",
        "31 00:00 +1400",
        "31 12:00 +1400",
    ]


@settings(max_examples=300, deadline=None)
@given(timetables, moments, st.lists(st.integers(0, DAY_MS), max_size=3))
def test_the_next_time_does_not_depend_on_where_one_looks_from(
    timetable: Timetable, moment: int, offsets: list[int]
) -> None:
    time_ms = timetable.after(moment)

    assert time_ms is not None
    assert time_ms > moment
    for offset in offsets:
        between = min(moment + offset, time_ms - 1)
        assert timetable.after(between) == time_ms
    assert (timetable.after(time_ms) or 0) > time_ms


@settings(max_examples=200, deadline=None)
@given(timetables, moments, st.integers(0, DAY_MS))
def test_the_latest_is_the_last_that_one_meets_on_the_way(timetable: Timetable, after: int, length: int) -> None:
    expected, time_ms, until = None, timetable.after(after), after + length // 20
    while time_ms is not None and time_ms <= until:
        expected, time_ms = time_ms, timetable.after(time_ms)

    assert timetable.latest(after, until) == expected


def test_an_interval_is_counted_from_1970_or_from_its_start() -> None:
    start = datetime(2026, 1, 1, 0, 7, tzinfo=UTC)
    plain, from_start = Timetable(every=timedelta(hours=1)), Timetable(every=timedelta(hours=1), start=start)

    assert times(plain, start, 1) == [datetime(2026, 1, 1, 1, tzinfo=UTC)]
    assert times(from_start, datetime(2025, 1, 1, tzinfo=UTC), 2) == [start, start + timedelta(hours=1)]


def test_there_is_no_time_from_the_end_on() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    timetable = Timetable("0 * * * *", start=start, end=start + timedelta(hours=2))

    assert times(timetable, start, 2) == [start, start + timedelta(hours=1)]
    assert timetable.after(to_ms(start + timedelta(hours=1))) is None


def test_times_end_where_datetime_does() -> None:
    assert Timetable("0 0 1 1 *").after(to_ms(datetime(9999, 6, 1, tzinfo=UTC))) is None


def test_an_interval_is_no_cron_expression() -> None:
    with pytest.raises(TypeError, match=r"a cron expression is a str, got .*; an interval is Timetable\(every="):
        Timetable(timedelta(hours=1))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Timetable(), "a cron expression or an interval"),
        (lambda: Timetable("* * * * *", every=timedelta(hours=1)), "a cron expression or an interval"),
        (lambda: Timetable("* * *"), r"'\* \* \*' is no cron expression"),
        (lambda: Timetable("0 0 30 2 *"), "no cron expression"),
        (lambda: Timetable("* * * * *", tz="Europe/Atlantis"), "tz is the name of a time zone"),
        (lambda: Timetable("* * * * *", tz="../etc/passwd"), "tz is the name of a time zone"),
        (lambda: Timetable(every=timedelta(milliseconds=5)), "every is at least"),
        (
            lambda: Timetable(every=timedelta(days=1), tz="Europe/Paris"),
            "tz is for a cron expression, got 'Europe/Paris'",
        ),
        (lambda: Timetable(every=timedelta(hours=1), jitter=timedelta(-1)), "jitter is from nothing to 3,653 days"),
        (lambda: Timetable(every=timedelta(days=4_000_000)), "every is from nothing to 3,653 days"),
        (
            lambda: Timetable("* * * * *", start=datetime.max.replace(tzinfo=UTC)),
            "start is of a year from 1970 to 9899",
        ),
        (lambda: Timetable("* * * * *", end=datetime.min.replace(tzinfo=UTC)), "end is of a year from 1970"),
        (lambda: Timetable(every=timedelta(hours=1), start=datetime(2026, 1, 1)), "a datetime with a zone"),  # noqa: DTZ001
        (lambda: Timetable("* * * * *", overlap="maybe"), "overlap is"),
        (lambda: Timetable("* * * * *", catch_up="some"), "catch_up is"),
    ],
)
def test_a_timetable_that_makes_no_sense_is_refused(make: object, match: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize("timetable", [Timetable(every=timedelta(days=3000)), Timetable("0 0 1 1 *")])
def test_the_last_time_is_one_that_a_calendar_knows(timetable: Timetable) -> None:
    time_ms = timetable.after(to_ms(datetime(9890, 6, 1, tzinfo=UTC)))
    last_ms = 0
    while time_ms is not None:
        time_ms, last_ms = timetable.after(time_ms), time_ms

    assert datetime.fromtimestamp(last_ms / 1000, UTC).year in range(9890, 9900)


def test_a_moment_of_an_hour_that_comes_twice_equals_itself() -> None:
    """Python says of a moment in such an hour that it equals no moment of another zone."""
    start = datetime(2025, 10, 26, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris"))
    timetable = Timetable(every=timedelta(hours=1), start=start)

    assert msgspec.json.decode(msgspec.json.encode(timetable), type=Timetable) == timetable
