"""Durations as clients write them: friendly (``1h 30m``), ISO 8601 (``PT1H30M``), or bare milliseconds. Pure."""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction

from durable.ingress.refusal import Refusal

LONGEST_DELAY = timedelta(days=3653)
"""Ten years. A longer one is a mistake in the unit."""

_MICROSECONDS: dict[str, int | Fraction] = {
    "weeks": 604_800_000_000,
    "days": 86_400_000_000,
    "hours": 3_600_000_000,
    "minutes": 60_000_000,
    "seconds": 1_000_000,
    "milliseconds": 1_000,
    "microseconds": 1,
    "nanoseconds": Fraction(1, 1_000),
}
# 18 digits: past every delay in any unit, and short enough to compute with.
_WHOLE = r"[0-9]{1,18}"
_BARE = re.compile(_WHOLE)
_ISO = re.compile(
    rf"P(?=.)(?:(?P<weeks>{_WHOLE})W)?(?:(?P<days>{_WHOLE})D)?"
    rf"(?:T(?=.)(?:(?P<hours>{_WHOLE}(?:[.,][0-9]{{1,9}}(?=H$))?)H)?"
    rf"(?:(?P<minutes>{_WHOLE}(?:[.,][0-9]{{1,9}}(?=M$))?)M)?"
    rf"(?:(?P<seconds>{_WHOLE}(?:[.,][0-9]{{1,9}})?)S)?)?",
    re.IGNORECASE,
)
_UNITS = {
    "weeks": "weeks?|wks?|w",
    "days": "days?|d",
    "hours": "hours?|hrs?|h",
    "minutes": "minutes?|mins?|m",
    "seconds": "seconds?|secs?|s",
    "milliseconds": "milliseconds?|millis?|msecs?|ms",
    "microseconds": "microseconds?|micros?|usecs?|us|\u00b5s|\u03bcs",
    "nanoseconds": "nanoseconds?|nanos?|nsecs?|ns",
}
_FRIENDLY = re.compile(
    "".join(
        rf"(?:(?P<{unit}>{_WHOLE}(?:[.,][0-9]{{1,9}}(?=[^0-9]*$))?)\s*(?:{words})(?![a-z\u00b5\u03bc])(?:\s*,\s*|\s*))?"
        for unit, words in _UNITS.items()
    )
)
_CALENDAR = re.compile(r"P[0-9]+[YM]|[0-9]+\s*(?:y|yrs?|years?|mos?|months?)\b", re.IGNORECASE)


def parse_delay(text: str) -> timedelta:
    """The delay that ``text`` writes, from zero to ten years; anything else is a :class:`Refusal`."""
    return _parse(text, "delay")


def parse_timeout(text: str) -> timedelta:
    """As :func:`parse_delay`, for the query parameter ``timeout``."""
    return _parse(text, "timeout")


def _parse(text: str, parameter: str) -> timedelta:
    try:
        duration = _duration(text.strip())
    except ValueError as error:
        raise _bad(parameter, str(error)) from error
    if duration > LONGEST_DELAY:
        raise _bad(parameter, f"'{text[:50]}' is longer than ten years")
    return duration


def _duration(text: str) -> timedelta:
    if not text or len(text) > 200:
        raise ValueError("an empty text is not a duration" if not text else "the text is too long")
    if _BARE.fullmatch(text):
        return _sum({"milliseconds": text})
    found = _ISO.fullmatch(text) or _FRIENDLY.fullmatch(text)
    if found is None:
        raise ValueError(_why(text))
    return _sum(found.groupdict())


def _sum(parts: dict[str, str | None]) -> timedelta:
    """Rounded up to a microsecond: what should be later never becomes now."""
    total = sum(
        (Fraction(number.replace(",", ".")) * _MICROSECONDS[unit] for unit, number in parts.items() if number),
        start=Fraction(),
    )
    # The cap keeps timedelta from overflowing; the caller refuses what is near it.
    return timedelta(microseconds=min(-(-total.numerator // total.denominator), 10**18))


def _why(text: str) -> str:
    if text.startswith("-") or text.endswith("ago"):
        return f"'{text}' is negative"
    if _CALENDAR.match(text):
        return f"'{text}' has no fixed length, please use units of days or smaller"
    return f"'{text[:50]}' is not a duration, write it like '1h 30m', '500ms' or 'PT1H30M'"


def _bad(parameter: str, why: str) -> Refusal:
    return Refusal(400, f"bad {parameter} query parameter, must be a ISO8601 duration: {why}")
