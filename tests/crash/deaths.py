"""Deaths at named points: ``python -m tests.crash.deaths --hits 5 --pairs 2000``.

A process lives its day, and dies by SIGKILL when it comes to a point for the first time, or the second, or in pairs:
the one that goes on dies too. The last one must finish the day, and nothing may differ but what ran twice.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from durable.audit import audit
from durable.core.ids import read_invocation
from tests.crash.customers import Book, WrongError
from tests.crash.day import OLDEST
from tests.crash.nursery import Nursery
from tests.crash.points import Point, points
from tests.crash.storm import check_steps
from tests.golden.finish import asked, results
from tests.golden.make import HERE, unpack

COURSES = ("old", "fresh")
"""A database of version 1 whose engine was killed, with all that it left under way; and none."""

WORKERS = 2

Death = tuple[Point, int]


class Days:
    def __init__(self, room: Path, nursery: Nursery) -> None:
        self._directory, self._nursery = room / "day", nursery
        self.met = Counter[Point]()

    def live(self, course: str, deaths: Sequence[Death]) -> bool:
        """Whether all of the deaths came; :class:`WrongError` if anything is not as it must be."""
        title = f"{course}, {' and '.join(f'{point} ({hit})' for point, hit in deaths)}"
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir()
        if course == "old":
            unpack(HERE / f"version-{OLDEST}-killed.tar.gz", self._directory)
        died = 0
        for point, hit in deaths:
            if not self._dies(title, point, hit):
                break
            died += 1
        self._dies(title)
        _check(self._directory, title, course, died)
        return died == len(deaths)

    def _dies(self, title: str, *death: object) -> bool:
        code = self._nursery.end(self._nursery.begin(self._directory, *death))
        for name in ("db", "backup", "restored"):
            path = self._directory / name
            if path.exists() and path.stat().st_size:
                _same(audit(path).findings, (), f"{title}: the audit of {name}")
        _check_kept(self._directory, title)
        if code == -signal.SIGKILL and death:
            self.met[death[0]] += 1  # type: ignore[index]
            return True
        _same(code, 0, f"{title}: how the process ended: {self._nursery.said()}")
        return False


def _check_kept(directory: Path, title: str) -> None:
    """What somebody was told to be there is in the file, at once."""
    told = _told(directory)
    if not any(kind in ("accepted", "completed") for kind, _, _ in told):
        return
    with closing(sqlite3.connect(f"file:{directory / 'db'}?mode=ro", uri=True)) as connection:
        statuses = dict(connection.execute("SELECT id, status FROM invocation").fetchall())
    for kind, tag, id in told:
        if kind in ("accepted", "completed"):
            status = statuses.get(read_invocation(id))
            if status is None or (kind == "completed" and status != kind):
                raise WrongError(f"{title}: {tag} was told to be {kind}, and is {status} in the file")


def _told(directory: Path) -> list[tuple[str, str, Any]]:
    told = directory / "told"
    return [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []


def _check(directory: Path, title: str, course: str, died: int) -> None:
    first: dict[tuple[str, str], object] = {}
    for kind, tag, answer in _told(directory):
        if kind != "confirmed":  # whoever asks with the same key is told the same: for ever, but not after its purge
            _same(answer, first.setdefault((kind, tag), answer), f"{title}: {kind} {tag}")
    _same({tag for kind, tag in first if kind == "order"}, {"o-1", "o-2"}, f"{title}: orders")
    _same(first["killed", "p-2"], 409, f"{title}: what was killed")
    if course == "old":
        _same({tag: answer for (kind, tag), answer in first.items() if kind == "golden"}, results(OLDEST), title)
    _check_asked(directory / "asked", title, course, died)
    book = Book(directory / "diary")
    book.read_diary()
    for (kind, tag), answer in first.items():
        if kind in ("order", "parcel", "signup"):
            book.answers[kind][tag] = answer
    check_steps(book)


def _check_asked(diary: Path, title: str, course: str, died: int) -> None:
    """Each step that was left to do began, and no more often than there were deaths to cut it off."""
    counts = Counter(line.split()[0] for line in diary.read_text().splitlines())
    del counts["today"]
    wanted = {who.replace(" ", "_") for who in asked(OLDEST)} if course == "old" else set[str]()
    _same({*counts}, wanted, f"{title}: whose steps began")
    if most := [who for who, count in counts.items() if count > 1 + died]:
        raise WrongError(f"{title}: the steps of {most} ran more often than they were cut off")


def _same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise WrongError(f"{what}: {found!r} instead of {expected!r}")


Plan = Sequence[tuple[str, Sequence[Death]]]
"""Days to try, each a course and its deaths."""


def plans(hits: int, pairs: int, random: Random) -> list[Plan]:
    """To be met once, a point is looked for in one course and then in the other; more often, in both."""
    every = [*points()]
    if hits == 1:
        met: list[Plan] = [[(course, [(point, 1)]) for course in COURSES] for point in every]
    else:
        met = [[(course, [(point, hit)])] for point in every for hit in range(1, hits + 1) for course in COURSES]
    chosen = [[(random.choice(every), random.randint(1, 3)) for _ in range(2)] for _ in range(pairs)]
    return met + [[(random.choice(COURSES), pair)] for pair in chosen]


def die_everywhere(hits: int = 1, pairs: int = 0, seed: int = 0) -> Counter[Point]:
    """How often a process died at each point; each of them is met, or :class:`WrongError`."""
    met, planned = Counter[Point](), plans(hits, pairs, Random(seed))
    with ThreadPoolExecutor(WORKERS) as workers:
        for each in workers.map(_live_all, [planned[worker::WORKERS] for worker in range(WORKERS)]):
            met += each
    if missing := [str(point) for point in points() if not met[point]]:
        raise WrongError(f"no process came to these points: {missing}")
    return met


def _live_all(planned: Sequence[Plan]) -> Counter[Point]:
    with tempfile.TemporaryDirectory() as room, Nursery("tests.crash.day:live", Path(room) / "log") as nursery:
        days = Days(Path(room), nursery)
        for plan in planned:
            any(days.live(course, deaths) for course, deaths in plan)
        return days.met


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.deaths", description=__doc__)
    parser.add_argument("--hits", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given, began = parser.parse_args(), time.monotonic()
    met = die_everywhere(given.hits, given.pairs, given.seed)
    seconds = time.monotonic() - began
    print(f"{met.total()} deaths at {len(met)} points: nothing was lost or doubled; {seconds:.0f} s")


if __name__ == "__main__":
    main()
