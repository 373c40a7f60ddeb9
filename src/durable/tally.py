"""When a map has enough: pure counting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from math import floor
from typing import TypedDict

import msgspec

from durable.core.outcome import Failure, Outcome
from durable.errors import TerminalError

SHOWN = 5
"""Failures that a message tells."""


class Tolerance(TypedDict, total=False):
    """Of a map: when it stops early. Without any of these no failure is tolerated."""

    min_successful: int
    """Stop as soon as so many have succeeded; until then as many may fail as are not needed."""
    tolerated_failures: int
    """Stop when more have failed."""
    tolerated_fraction: float
    """Stop when more than this part of all inputs have failed: 0.1 tolerates one of ten."""


class Goal(msgspec.Struct, frozen=True, array_like=True):
    """What a map of ``total`` inputs wants."""

    total: int
    tolerated: int
    """Failures."""
    needed: int | None = None
    """Successes that are enough."""

    @classmethod
    def of(cls, total: int, tolerance: Mapping[str, object]) -> Goal:
        """:class:`TypeError` or :class:`ValueError` for a tolerance that makes no sense, whatever the inputs are."""
        unknown = tolerance.keys() - Tolerance.__annotations__.keys()
        if unknown:
            raise TypeError(f"a map has no option {', '.join(sorted(unknown))}; it has {', '.join(_OPTIONS)}")
        needed = check_count(tolerance.get("min_successful"), "min_successful", 1)
        failures = check_count(tolerance.get("tolerated_failures"), "tolerated_failures", 0)
        fraction = _check_fraction(tolerance.get("tolerated_fraction"))
        limits = [
            None if needed is None else total - needed,
            failures,
            # Not a hair less than what was written: 0.29 * 100 is 28.999999999999996.
            None if fraction is None else floor(fraction * total + 1e-9),
        ]
        return cls(total, min((limit for limit in limits if limit is not None), default=0), needed)


class Tally(msgspec.Struct, array_like=True):
    """What came of those that have ended."""

    succeeded: int = 0
    failed: int = 0

    def count(self, *, failed: bool) -> None:
        if failed:
            self.failed += 1
        else:
            self.succeeded += 1

    def missed(self, goal: Goal) -> bool:
        """Whether more failed than is tolerated."""
        return self.failed > goal.tolerated

    def stops(self, goal: Goal) -> bool:
        return self.missed(goal) or (goal.needed is not None and self.succeeded >= goal.needed)

    def error(self, goal: Goal, outcomes: Iterable[Outcome | None]) -> TerminalError:
        """That the goal was missed, with the first failures in the order of the inputs."""
        failures = [(n, each) for n, each in enumerate(outcomes) if isinstance(each, Failure) and each != STOPPED]
        shown = "; ".join(f"input {n}: {failure.message}" for n, failure in islice(failures, SHOWN))
        statuses = {failure.status for _, failure in failures}
        failed = max(self.failed, len(failures))  # what was cancelled may fail by itself, when the tally is closed
        wanted = f"{goal.tolerated} tolerated" if goal.needed is None else f"{goal.needed} had to succeed"
        return TerminalError(
            f"{failed} of {goal.total} failed, {wanted}" + (f": {shown}" if shown else ""),
            status=statuses.pop() if len(statuses) == 1 else 500,
        )


STOPPED = Failure(409, "cancelled")
"""What one that was cancelled ends with."""
NOT_BEGUN = Failure(409, "not begun: the map had stopped")

_OPTIONS = tuple(Tolerance.__annotations__)


def check_count(given: object, what: str, least: int) -> int | None:
    """``None`` is nothing said."""
    if given is None:
        return None
    if not isinstance(given, int) or isinstance(given, bool):
        raise TypeError(f"{what} is a whole number, got {given!r}")
    if given < least:
        raise ValueError(f"{what} must be at least {least}, got {given}")
    return given


def _check_fraction(given: object) -> float | None:
    if given is None:
        return None
    if not isinstance(given, int | float) or not 0 <= given <= 1:
        raise ValueError(f"tolerated_fraction is a number from 0 to 1, got {given!r}")
    return float(given)
