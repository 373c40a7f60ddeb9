"""When something runs, again and again. Times are whole moments in, moments out: it reads no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, TypedDict
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from durable.sizes import LONGEST_TIME

Overlap = Literal["skip", "queue", "cancel", "allow"]
CatchUp = Literal["none", "one", "all"]

SHORTEST = timedelta(seconds=1)
"""Cron's own finest step; each run is a commit."""

_MS = timedelta(milliseconds=1)


class TimetableKeywords(TypedDict, total=False):
    """Of ``@schedule(...)``, as of :class:`Timetable`."""

    every: timedelta
    tz: str
    overlap: Overlap
    catch_up: CatchUp
    window: timedelta
    jitter: timedelta
    start: datetime
    end: datetime


class Timetable(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a schedule runs: a cron expression or an interval, and what happens when it cannot.

    Five fields of cron, or six with seconds first, are read in the zone ``tz`` as Debian's cron reads them.
    """

    cron: str | None = None
    every: timedelta | None = None
    """Counted from ``start``, or else from 1970 UTC: an hour is each full hour, on every machine."""
    tz: str = "UTC"
    overlap: Overlap = "skip"
    """When a time comes and the run before is still under way: skip it, run it after that one (queue), cancel that one
    and run it once it has ended, or run both (allow)."""
    catch_up: CatchUp = "one"
    """Of the times that passed while no engine was there to see them: none, the last one, or all."""
    window: timedelta | None = None
    """How long ago a time may be to be caught up; without one, any time."""
    jitter: timedelta = timedelta(0)
    """Each run is late by less than this, always by the same for the same time; never as late as the next time."""
    start: datetime | None = None
    """The first moment at which it may run."""
    end: datetime | None = None
    """The first at which it may not any more."""

    def __post_init__(self) -> None:
        if (self.cron is None) == (self.every is None):
            raise ValueError("a timetable has a cron expression or an interval: Timetable('0 3 * * *'), or (every=...)")
        self._check_durations()
        self._check_moments()
        if self.overlap not in ("skip", "queue", "cancel", "allow"):
            raise ValueError(f'overlap is "skip", "queue", "cancel" or "allow", got {self.overlap!r}')
        if self.catch_up not in ("none", "one", "all"):
            raise ValueError(f'catch_up is "none", "one" or "all", got {self.catch_up!r}')
        zone = _zone(self.tz)
        if self.cron is not None:
            _check_cron(self.cron, zone)
        elif self.tz != "UTC":
            raise ValueError(f"tz is for a cron expression, got {self.tz!r} beside every: an interval has no zone")

    def _check_durations(self) -> None:
        for name in ("every", "window", "jitter"):
            value: object = getattr(self, name)
            if value is not None and not isinstance(value, timedelta):
                raise TypeError(f"{name} is a timedelta, got {value!r}; write timedelta(minutes=5)")
            if value is not None and not timedelta(0) <= value <= LONGEST_TIME:
                raise ValueError(f"{name} is from nothing to {LONGEST_TIME.days:,} days, got {value}")
        if self.every is not None and self.every < SHORTEST:
            raise ValueError(f"every is at least {SHORTEST}, got {self.every}")

    def _check_moments(self) -> None:
        for name in ("start", "end"):
            value: object = getattr(self, name)
            if value is not None:
                msgspec.structs.force_setattr(self, name, _in_utc(name, value))
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"end ({self.end}) is not after start ({self.start})")

    @property
    def times(self) -> tuple[object, ...]:
        """What the times follow from."""
        return self.cron, self.every, self.tz, self.start, self.end

    @property
    def jitter_ms(self) -> int:
        return self.jitter // _MS

    @property
    def window_ms(self) -> int | None:
        return None if self.window is None else self.window // _MS

    def after(self, moment_ms: int) -> int | None:
        """The first time after this moment, if there is any more."""
        if self.start is not None:
            moment_ms = max(moment_ms, to_ms(self.start) - 1)
        time_ms = self._next(moment_ms)
        over = time_ms is not None and self.end is not None and time_ms >= to_ms(self.end)
        return None if over else time_ms

    def _next(self, moment_ms: int) -> int | None:
        if self.every is not None:
            first_ms, every_ms = 0 if self.start is None else to_ms(self.start), self.every // _MS
            time_ms = first_ms + ((moment_ms - first_ms) // every_ms + 1) * every_ms
            return time_ms if time_ms < _LAST_MS else None
        assert self.cron is not None
        return _cron_after(self.cron, self.tz, moment_ms)

    def latest(self, after_ms: int, until_ms: int) -> int | None:
        """The last time after one moment and up to another: however many are between, it looks at a few dozen."""
        low = self.after(after_ms)
        if low is None or low > until_ms:
            return None
        high = until_ms
        while low < high:
            middle = (low + high + 1) // 2
            time_ms = self.after(middle - 1)
            if time_ms is None or time_ms > high:
                high = middle - 1
            else:
                low = time_ms
        return low


# A decision asks for the same few times again and again, and each costs 0.1 ms, most of it for reading the expression.
@lru_cache(maxsize=4096)
def _cron_after(expression: str, tz: str, moment_ms: int) -> int | None:
    try:
        moment = datetime.fromtimestamp(moment_ms // 1000, _zone(tz))
        for time in _Walk(expression, moment):
            time_ms = to_ms(time)
            # In an hour that comes twice, what is next on the wall may have been an hour ago.
            if time_ms > moment_ms:
                return time_ms if time_ms < _LAST_MS else None
    except (OverflowError, ValueError):  # the year 9999
        return None
    return None


_QUARTER = 900
"""Seconds; at these clocks change."""


class _Walk(CronSim):
    """Never goes back, where a clock is set back within an hour or past midnight: there it would for ever."""

    def advance_month(self) -> None:
        before = self.dt
        super().advance_month()
        self._stay_behind(before)

    def advance_day(self) -> bool:
        before = self.dt
        moved = super().advance_day()
        self._stay_behind(before)
        return moved

    def _stay_behind(self, before: datetime) -> None:
        """Of a midnight that comes twice, it may be the second."""
        if self.fixup_tz is None and self.dt.astimezone(UTC) < before.astimezone(UTC):
            self.dt = self.dt.replace(fold=1)

    def advance_hour(self) -> bool:
        if self.fixup_tz is not None:  # on a wall without changes
            return super().advance_hour()
        if self.dt.hour in self.hours:
            return False
        # The day must be looked at again where it ends, and clocks change at quarters.
        self.tick(_QUARTER - (60 * self.dt.minute + self.dt.second) % _QUARTER)
        return True


def to_ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MS


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = to_ms(datetime(9900, 1, 1, tzinfo=UTC))
"""With the longest jitter it is a datetime still."""


def _in_utc(name: str, moment: object) -> datetime:
    """In a zone of its own, a moment of an hour that comes twice equals nothing."""
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ValueError(f"{name} is a datetime with a zone, got {moment!r}")
    if not 1970 <= moment.year < 9900:
        raise ValueError(f"{name} is of a year from 1970 to 9899, got {moment}")
    return moment.astimezone(UTC)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (TypeError, ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"tz is the name of a time zone, such as 'Europe/Paris', got {name!r}") from error


def _check_cron(expression: object, zone: ZoneInfo) -> None:
    if not isinstance(expression, str):
        raise TypeError(f"a cron expression is a str, got {expression!r}; an interval is Timetable(every=...)")
    try:
        first = next(CronSim(expression, datetime(2000, 1, 1, tzinfo=zone)), None)
    except CronSimError as error:
        raise ValueError(f"{expression!r} is no cron expression: {error}") from error
    if first is None:
        raise ValueError(f"{expression!r} never comes: no date is like that")
