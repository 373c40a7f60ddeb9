"""Everything that was measured: kept as JSON, read as a table of targets with the details below."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from benchmarks import in_process, over_http
from benchmarks.growth import backlog, callers, file, journal, sleepers, start, timers
from benchmarks.peers import contest
from benchmarks.scale import Scale
from benchmarks.table import Row

T = TypeVar("T")


class Machine(msgspec.Struct, frozen=True):
    when: str
    processors: int
    system: str
    python: str
    sqlite: str

    @classmethod
    def here(cls) -> Machine:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        system = f"{platform.system()} {platform.machine()}"
        return cls(now, os.cpu_count() or 1, system, platform.python_version(), sqlite3.sqlite_version)

    def check(self, before: Machine) -> None:
        """Refuse to put results beside others: the page says of all that they are of this machine, and this day."""
        theirs, ours = (msgspec.structs.replace(each, when=each.when[:10]) for each in (before, self))
        if theirs != ours:
            raise ValueError(f"the other parts were measured on {before}, and this is {self}; measure all of them here")


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """A part that was not measured is ``None``."""

    machine: Machine
    in_process: in_process.InProcess | None = None
    over_http: over_http.OverHttp | None = None
    journal: journal.Journal | None = None
    sleepers: sleepers.Sleepers | None = None
    timers: timers.Timers | None = None
    backlog: backlog.Backlog | None = None
    callers: callers.Callers | None = None
    start: start.Start | None = None
    file: file.File | None = None
    peers: contest.Peers | None = None


PARTS = tuple(name for name in Results.__struct_fields__ if name != "machine")


def measure(scale: Scale, parts: Collection[str], say: Callable[[str], None], before: Results | None = None) -> Results:
    """Measure these parts; the others are what they were before."""

    def part(name: str, measure_it: Callable[[Scale], T], old: T | None) -> T | None:
        if name not in parts:
            return old
        say(f"measuring: {name.replace('_', ' ')}")
        return measure_it(scale)

    here = Machine.here()
    old = before or Results(machine=here)
    here.check(old.machine)
    return Results(
        machine=here,
        start=part("start", start.measure, old.start),
        in_process=part("in_process", in_process.measure, old.in_process),
        over_http=part("over_http", over_http.measure, old.over_http),
        peers=part("peers", contest.measure, old.peers),
        journal=part("journal", journal.measure, old.journal),
        timers=part("timers", timers.measure, old.timers),
        backlog=part("backlog", backlog.measure, old.backlog),
        callers=part("callers", callers.measure, old.callers),
        file=part("file", file.measure, old.file),
        sleepers=part("sleepers", sleepers.measure, old.sleepers),
    )


def rows(found: Results) -> list[Row]:
    return [
        *_rows(in_process.rows, found.in_process),
        *contest.rows(found.peers),
        *_rows(journal.rows, found.journal),
        *_rows(sleepers.rows, found.sleepers),
        *_rows(timers.rows, found.timers),
        *_rows(backlog.rows, found.backlog),
        *_rows(callers.rows, found.callers),
        *_rows(start.rows, found.start),
        *_rows(file.rows, found.file),
    ]


def _rows(make: Callable[[T], list[Row]], found: T | None) -> list[Row]:
    return [] if found is None else make(found)


def details(found: Results) -> list[str]:
    tables = [
        in_process.details(found.in_process) if found.in_process else "",
        over_http.details(found.over_http) if found.over_http else "",
        contest.details(found.peers) if found.peers else "",
        sleepers.details(found.sleepers) if found.sleepers else "",
    ]
    return [table for table in tables if table]
