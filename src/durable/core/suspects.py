"""Which invocation killed the process: those that were running at its death are tried apart, ever fewer at a time.

A handler can end the process that runs it, and would end the next one too. Who was running when a process died is a
suspect. After two deaths in a row the suspects are tried before anything else is started: in groups if they are many,
then one by one. Who is caught alone is paused; whose journal grows, or who ends or waits, is none any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import NamedTuple

import msgspec

from durable.core.ids import InvocationId
from durable.core.outcome import Failure

TRIED_FROM = 2
"""Deaths. One may be a power cut, or an impatient operator: it delays nobody."""
MOST_DEATHS = 5
ALONE = 2
"""Deaths alone that are enough, if there were not ``MOST_DEATHS``: once may be chance."""
FEW = 8
"""Suspects that are tried one by one at once."""

SHORTEST_MS, LONGEST_MS = 1_000, 60_000
"""How long a trial lasts, if nothing ends it."""

FREE = 0
"""No trial: started with all others, or not started."""


class Suspect(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row: an invocation that was running when a process died."""

    n: int
    deaths: int = 1
    """In a row, while it ran and its journal did not grow."""
    alone: int = 0
    """Of them, while nothing else ran."""
    position: int
    """Of the last piece of its journal then."""
    survived_ms: int = 0
    """How long it had run before the last death, at least."""
    epoch: int
    """Of the engine that wrote this."""
    trial: int = FREE
    """In that engine: ``FREE``, or how many ran that might have killed it, with this one."""

    @property
    def credible(self) -> bool:
        """Whether the row can be what was written: it has no checksum."""
        return 0 <= self.alone <= self.deaths < 100 and 0 <= self.survived_ms <= LONGEST_MS

    @property
    def guilty(self) -> bool:
        return self.alone >= ALONE or (self.alone > 0 and self.deaths >= MOST_DEATHS)

    @property
    def failure(self) -> Failure:
        return Failure(
            500,
            f"the process died {self.deaths} times while this invocation ran and recorded nothing new, and at the "
            f"last {'time' if self.alone == 1 else f'{self.alone} times'} nothing else ran: make its handler leave the "
            "process alive",
        )


class Left(NamedTuple):
    """An invocation that is running, says the disk."""

    n: int
    id: InvocationId
    position: int
    """Of the last piece of its journal; -1 if it has none."""


class Plan(NamedTuple):
    guilty: list[Suspect]
    trials: list[list[Suspect]]
    """One after the other, before anything else."""
    free: list[Suspect]
    """To be started with all others."""


def blame(left: Left, before: Suspect | None, epoch: int) -> Suspect:
    """What is to be held against it, after the engine before ``epoch`` died."""
    if before is None or before.position != left.position:
        return Suspect(n=left.n, position=left.position, epoch=epoch)
    trial = before.trial if before.epoch == epoch - 1 else FREE
    deaths, alone = before.deaths, before.alone
    if trial > 0:
        deaths, alone = deaths + 1, alone + (trial == 1)
    else:
        deaths = max(deaths, min(deaths + 1, TRIED_FROM))  # anybody may have done it
    return msgspec.structs.replace(before, deaths=deaths, alone=alone, epoch=epoch, trial=FREE)


def blame_all(left: Sequence[Left], before: Mapping[int, Suspect], epoch: int) -> Plan:
    suspects = [blame(each, before.get(each.n), epoch) for each in left]
    guilty = [each for each in suspects if each.guilty]
    tried = [each for each in suspects if not each.guilty and each.deaths >= TRIED_FROM]
    return Plan(guilty, _trials(tried), [each for each in suspects if each.deaths < TRIED_FROM])


def _trials(tried: list[Suspect]) -> list[list[Suspect]]:
    """Whom most speaks against comes first: who survives a trial keeps the next one from being alone."""
    tried = sorted(tried, key=lambda each: (-each.alone, -each.deaths, each.n))
    close = [each for each in tried if len(tried) <= FEW or each.deaths > TRIED_FROM]
    many = tried[len(close) :]
    size = isqrt(len(many)) + 1
    return [[each] for each in close] + [many[start : start + size] for start in range(0, len(many), size)]


def patience_ms(group: Sequence[Suspect]) -> int:
    """How long a trial lasts: longer than it took the last time, of which the half may be known."""
    return min(SHORTEST_MS + 2 * max(each.survived_ms for each in group), LONGEST_MS)
