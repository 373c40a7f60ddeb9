"""How long to keep trying. Pure arithmetic: no clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import msgspec


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long to keep trying, and what to do when that is over.

    On ``ctx.run`` an exhausted policy raises :class:`TerminalError` at the ``await``.
    On a handler or an engine it pauses the invocation, or fails it with its last error.
    """

    first: timedelta = timedelta(milliseconds=50)
    factor: float = 2.0
    longest: timedelta = timedelta(seconds=10)
    max_attempts: int | None = None
    """The first attempt counts."""
    max_duration: timedelta | None = None
    """Since the first failed attempt began."""
    jitter: float = 0.0
    """Up to this fraction of it is added to each delay at random, also to the longest: 0.3 is up to 30 % more."""
    exhausted: Literal["pause", "fail"] = "pause"

    def __post_init__(self) -> None:
        self._check_types()
        if self.first < timedelta(0) or self.longest < timedelta(0):
            raise ValueError(f"a retry delay cannot be negative: first={self.first}, longest={self.longest}")
        if not (_is_number(self.factor) and 1.0 <= self.factor < float("inf")):
            raise ValueError(f"factor must be a number >= 1, got {self.factor!r}")
        if self.max_attempts is not None and not (_is_count(self.max_attempts) and self.max_attempts >= 1):
            raise ValueError(f"max_attempts must be a whole number, at least 1, got {self.max_attempts!r}")
        if self.max_duration is not None and self.max_duration < timedelta(0):
            raise ValueError(f"max_duration cannot be negative, got {self.max_duration}")
        if not (_is_number(self.jitter) and 0.0 <= self.jitter <= 1.0):
            raise ValueError(f"jitter must be a fraction from 0 to 1, got {self.jitter!r}")

    def _check_types(self) -> None:
        if self.exhausted not in ("pause", "fail"):
            raise ValueError(f'exhausted is "pause" or "fail", got {self.exhausted!r}')
        for name in ("first", "longest", "max_duration"):
            value: object = getattr(self, name)
            if not isinstance(value, timedelta) and not (name == "max_duration" and value is None):
                raise TypeError(f"{name} is a timedelta, got {value!r}; write timedelta(seconds=5)")

    def delay(self, attempts: int, chance: float = 0.0) -> timedelta:
        """How long to wait after ``attempts`` failures in a row, from 1.

        ``chance`` is a random number from 0 to 1, drawn by the caller: how much of the jitter is added.
        """
        grown = self._grown(attempts)
        try:
            return grown * (1 + self.jitter * chance)
        except OverflowError:  # next to timedelta.max, which somebody may write for "no limit"
            return grown

    def _grown(self, attempts: int) -> timedelta:
        longest, first = self.longest.total_seconds(), self.first.total_seconds()
        try:
            return timedelta(seconds=min(longest, first * self.factor ** (attempts - 1)))
        except OverflowError:  # the power is beyond every float
            return self.longest if first else self.first

    def gives_up(self, attempts: int, elapsed: timedelta) -> bool:
        """Whether ``attempts`` failures in a row, over ``elapsed``, are the end."""
        too_often = self.max_attempts is not None and attempts >= self.max_attempts
        too_long = self.max_duration is not None and elapsed >= self.max_duration
        return too_often or too_long


def check_policy(given: object) -> None:
    if not isinstance(given, RetryPolicy):
        raise TypeError(f"retry is a RetryPolicy, got {given!r}; write retry=RetryPolicy(max_attempts=3)")


def _is_count(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool)


def _is_number(given: object) -> bool:
    return isinstance(given, int | float)


HANDLER_RETRIES = RetryPolicy(
    first=timedelta(milliseconds=500), longest=timedelta(seconds=60), max_attempts=70, jitter=0.3
)
"""What an invocation gets unless its handler says otherwise: Restate's defaults."""
