"""Counts starts, by the commits that write them: never more than the rates say.

When a start was decided is known but for a moment: after the commit before was taken, and before its own was.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from durable.core.invocation import Commit, Invocation, Status
from durable.core.lifecycle import waits_to_start
from durable.flow import Rate
from durable.runtime.writer import LINGER_MS
from tests.simulation.rules import Path, Rules, paths

if TYPE_CHECKING:
    from tests.simulation.world import World

LINGER_S = (LINGER_MS + 1) / 1000


class Start(NamedTuple):
    """By the engine's clock: neither before nor after."""

    earliest_ms: int
    latest_ms: int


class Tempo:
    def __init__(self, world: World, rules: Rules) -> None:
        self._world, self._rules = world, rules
        self._starts: dict[Path, tuple[Rate, list[Start]]] = {}
        """By the rate that counts since the first of them."""
        self._begun: set[int] = set()
        self._unsure = set[int]()
        self._taken_ms = 0
        """When the last commit was; its end in simulated time follows, if it has ended."""
        self._free_at: float | None = None
        self._decided = Start(0, 0)
        """What the commit that is being written holds."""

    def open(self, now_ms: int) -> None:
        """A process begins. If its clock was set back, a rate begins anew."""
        if now_ms < self._taken_ms:
            self._starts = {}
        self.review()
        self._unsure = set()
        self._taken_ms, self._free_at = now_ms, asyncio.get_running_loop().time()

    def review(self) -> None:
        """What another rate counts from now on, or may, begins anew."""
        self._starts = {path: known for path, known in self._starts.items() if self._rate(path) == known[0]}

    def end_change(self) -> None:
        """Who is let in already, and has not started, was let in by other rates."""
        self._unsure |= {row.n for row in self._world.disk.invocations.values() if row.status is Status.READY}
        self.review()

    def take(self, now_ms: int) -> None:
        """A commit was taken to be written, or is tried again."""
        if self._free_at is None:
            return
        now = asyncio.get_running_loop().time()
        # In a quiet time a decision is soon written.
        quiet = now - LINGER_S > max(self._free_at, self._world.jumped_at)
        earliest_ms = now_ms - LINGER_MS - 1 if quiet else self._taken_ms
        self._decided = Start(earliest_ms, now_ms)
        self._taken_ms, self._free_at = now_ms, None

    def committed(self, commit: Commit) -> None:
        self._free_at = asyncio.get_running_loop().time()
        self._begun -= set(commit.purged)
        for row in (*commit.accepted.values(), *commit.changed.values()):
            if row.n not in self._begun and not waits_to_start(row):
                self._begun.add(row.n)
                self._start(row)

    def _start(self, row: Invocation) -> None:
        if self._rules.empty or row.n in self._unsure:
            return self._unsure.discard(row.n)
        request, target = row.request, row.request.target
        for path in paths(target.service, target.handler, target.key, request.limit):
            rate = self._rate(path)
            if rate is not None:
                self._check(path, rate, self._starts.setdefault(path, (rate, []))[1])
        return None

    def _check(self, path: Path, rate: Rate, before: list[Start]) -> None:
        before.append(self._decided)
        for n, first in enumerate(reversed(before), 1):
            least_ms = (n - rate.burst) * rate.apart_ms
            took_ms = self._decided.latest_ms - first.earliest_ms
            if took_ms < least_ms - 1:
                what = f"{n} starts at {'/'.join(path)} within {took_ms} ms, and no less than {least_ms} were to pass"
                return self._world.violated(what)
        return None

    def _rate(self, path: Path) -> Rate | None:
        """The one that certainly counts."""
        rates = {None if limit is None else limit.rate for limit in self._rules.of(path)}
        return rates.pop() if len(rates) == 1 else None
