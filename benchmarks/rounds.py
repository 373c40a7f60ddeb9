"""Contestants take turns, round after round, so that a slow minute of the machine is everybody's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.apart import apart
from benchmarks.load import Load, Run

Contestant = Callable[[Path, Load], Run]
"""Takes an empty directory, and bears a load."""


class Spread(msgspec.Struct, frozen=True):
    """A figure of several rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: list[float]) -> Spread:
        return cls(median(figures), min(figures), max(figures))


class Measured(msgspec.Struct, frozen=True):
    """What one contestant did under one load, round by round."""

    concurrency: int
    runs: list[Run]

    def spread(self, figure: Callable[[Run], float]) -> Spread:
        return Spread.of([figure(run) for run in self.runs])

    @property
    def rate(self) -> Spread:
        return self.spread(lambda run: run.rate)

    @property
    def cpu_us(self) -> Spread:
        return self.spread(lambda run: run.cpu_us)

    @property
    def p50_ms(self) -> Spread:
        return self.spread(lambda run: run.p50_ms)

    @property
    def p99_ms(self) -> Spread:
        return self.spread(lambda run: run.p99_ms)

    def rates_to(self, other: Measured) -> Spread:
        """The ratio of the rates, round by round."""
        return _paired(self, other, lambda run: run.rate)

    def times_to(self, other: Measured, times: float = 1.0) -> Spread:
        """The ratio of the median latencies, round by round, to so many times the other's."""
        return _paired(self, other, lambda run: run.p50_ms, times)


def _paired(one: Measured, other: Measured, figure: Callable[[Run], float], times: float = 1.0) -> Spread:
    pairs = zip(one.runs, other.runs, strict=True)
    return Spread.of([figure(mine) / (times * figure(theirs)) for mine, theirs in pairs])


def rounds(contestants: Mapping[str, Contestant], load: Load, times: int) -> dict[str, Measured]:
    """What each did, by name. Every run has a process and a directory of its own; every other round is backwards."""
    runs: dict[str, list[Run]] = {name: [] for name in contestants}
    for turn in range(times):
        for name in list(contestants)[:: -1 if turn % 2 else 1]:
            with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
                runs[name].append(apart(contestants[name], Path(directory), load))
    return {name: Measured(load.concurrency, each) for name, each in runs.items()}
