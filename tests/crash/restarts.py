"""Restart storms: ``python -m tests.crash.restarts --live 10000 --cycles 50``.

An engine with thousands of invocations under way is killed a moment after it has taken its file, again and again. It
must get on all the same.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from durable import Context, Engine, ObjectContext, Options, RetryPolicy, Service, State, VirtualObject, handler
from durable.audit import audit
from durable.store.database import TRUNCATE_BYTES
from tests.crash.customers import WrongError
from tests.crash.nursery import Nursery
from tests.crash.points import watch_function
from tests.crash.served import Diary

LIFE, LONGEST_LIFE = 0.2, 2.0
"""Seconds of processor time, and of time, from when an engine took the file to its kill: it cannot begin all anew."""
ONCE = RetryPolicy(max_attempts=1, exhausted="fail")
"""Of handlers that never fail: to be killed is no failed attempt."""
STEPS = ("one", "two", "three")
KEYS = 50
LARGEST_COMMIT = 4 << 20


class Walks(Service, retry=ONCE):
    """Each takes three steps, and rests between them. While it ``hangs``, no step ends."""

    def __init__(self, diary: Diary, *, hangs: bool) -> None:
        self._diary, self._hangs = diary, hangs

    @handler
    async def walk(self, ctx: Context, number: int) -> int:
        for step in STEPS:
            await ctx.run(step, self._step, number, step)
            await ctx.sleep(timedelta(milliseconds=10 * (number % 100)))
        return number

    async def _step(self, number: int, step: str) -> None:
        if self._hangs:
            await asyncio.Event().wait()
        self._diary.note("step", str(number), step)


class Gates(VirtualObject, retry=ONCE):
    """Each is passed by one after the other."""

    passed = State(list[int], default=list[int])

    @handler
    async def go_through(self, ctx: ObjectContext, number: int) -> int:
        ctx.set(self.passed, [*await ctx.get(self.passed), number])
        await ctx.run("push", int)
        return number


async def serve(directory: Path, live: int) -> None:
    """Until it is asked to stop; the first one accepts all that there is to do, and does none of it."""
    stop, new = asyncio.Event(), not (directory / "db").exists()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    options = Options(inactivity=timedelta(milliseconds=20), grace=timedelta(seconds=1))
    walks = Walks(Diary(directory / "diary"), hangs=new)
    async with Engine(directory / "db", walks, Gates(), options=options) as engine:
        if new:
            for first in range(0, live, 100):
                await asyncio.gather(*(accept(engine, number) for number in range(first, min(first + 100, live))))
        (directory / "up").touch()
        await stop.wait()


async def accept(engine: Engine, number: int) -> None:
    if number % 3:
        await engine.send(Walks.walk, number)
    else:
        await engine.send(Gates.go_through, f"{number // 3 % KEYS}", number)


def live(directory: str, many: str) -> None:
    watch_function("durable.store.database:Database.begin", True, (Path(directory) / "taken").touch)
    asyncio.run(serve(Path(directory), int(many)))


class Look(NamedTuple):
    """What is in the file after a kill."""

    epoch: int
    completed: int
    failed: int
    recorded: int
    """Entries of all journals."""
    log_bytes: int


def look(path: Path) -> Look:
    log = path.with_name(f"{path.name}-wal")
    log_bytes = log.stat().st_size if log.exists() else 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        ((epoch,),) = connection.execute("SELECT epoch FROM meta").fetchall()
        ((completed, failed, recorded),) = connection.execute(
            "SELECT total(status = 'completed'), total(attempts > 0), total(entries) FROM invocation"
        ).fetchall()
    return Look(epoch, int(completed), int(failed), int(recorded), log_bytes)


class Result(NamedTuple):
    looks: list[Look]
    opening: list[float]
    """Seconds from each start until the file was taken."""
    again: int
    """Steps that a kill cut off."""
    idle: int
    """Lives in which nothing was recorded: on a busy machine, the time was not enough to begin anew."""
    seconds: float


def storm(many: int, cycles: int) -> Result:
    """Raise :class:`WrongError` unless all of it gets done, in spite of the kills."""
    began, looks, opening = time.monotonic(), list[Look](), list[float]()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with Nursery("tests.crash.restarts:live", directory / "log") as nursery:
            for cycle in range(1, cycles + 1):
                started = time.monotonic()
                pid = nursery.begin(directory, many)
                _until((directory / ("taken" if cycle > 1 else "up")).exists, nursery)
                opening.append(time.monotonic() - started)
                _live_on(pid)
                nursery.kill(pid)
                (directory / "taken").unlink()
                looks.append(look(directory / "db"))
            (directory / "up").unlink()
            pid = nursery.begin(directory, many)
            _until((directory / "up").exists, nursery)
            _until(lambda: look(directory / "db").completed == many, nursery)
            os.kill(pid, signal.SIGTERM)
            if code := nursery.end(pid):
                raise WrongError(f"the process ended with {code}: {nursery.said()}")
        looks.append(look(directory / "db"))
        check_looks(looks, many)
        again = _check_steps(directory / "diary", many)
        _check_file(directory / "db", many)
    idle = sum(before.recorded == after.recorded for before, after in pairwise(looks) if before.completed < many)
    return Result(looks, opening, again, idle, time.monotonic() - began)


def _live_on(pid: int) -> None:
    began, used = time.monotonic(), _used(pid)
    while _used(pid) < used + LIFE and time.monotonic() < began + LONGEST_LIFE:
        time.sleep(0.005)


def _used(pid: int) -> float:
    """The processor time of a process, where that can be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return time.monotonic()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _until(done: Callable[[], bool], nursery: Nursery) -> None:
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > 120:
            raise WrongError(f"nothing moves: {nursery.said()}")
        time.sleep(0.005)


def check_looks(looks: list[Look], many: int) -> None:
    _same([each.epoch for each in looks], [*range(1, len(looks) + 1)], "epochs")
    _same([each.failed for each in looks], [0] * len(looks), "failed attempts of handlers that never fail")
    for before, after in pairwise(looks):
        if after.completed < before.completed or after.recorded < before.recorded:
            raise WrongError(f"what was recorded became less: {before}, then {after}")
    if looks[0].completed < many and looks[-2].recorded == looks[0].recorded:
        raise WrongError(f"nothing moved between the first kill and the last: {looks[-2]}")
    if (largest := max(each.log_bytes for each in looks)) > TRUNCATE_BYTES + LARGEST_COMMIT:
        raise WrongError(f"the log grew to {largest} bytes")
    _same(looks[-1].log_bytes, 0, "the log of a closed database")


def _check_steps(diary: Path, many: int) -> int:
    """How many began again; none after the next one of its walk had begun."""
    began = dict[str, int]()
    again = 0
    for line in _noted(diary):
        _, number, step, _ = line
        at, last = STEPS.index(step), began.get(number, -1)
        if at < last or at > last + 1:
            raise WrongError(f"step {step!r} of walk {number} ran after step {STEPS[last]!r}")
        again += at == last
        began[number] = at
    _same(set(began.values()), {len(STEPS) - 1}, "the last step of every walk")
    _same(len(began), sum(number % 3 > 0 for number in range(many)), "walks")
    return again


def _noted(diary: Path) -> Iterator[list[str]]:
    with diary.open() as lines:
        yield from (line.split() for line in lines)


def _check_file(path: Path, many: int) -> None:
    _same(audit(path).findings, (), "the audit")
    with closing(sqlite3.connect(path)) as connection:
        kinds = dict(connection.execute("SELECT service, count(*) FROM invocation GROUP BY service").fetchall())
        passed = [value for (value,) in connection.execute("SELECT value FROM state WHERE service = 'Gates'")]
    _same(sum(kinds.values()), many, "invocations")
    numbers = [int(number) for value in passed for number in value.decode().strip("[]").split(",")]
    _same(sorted(numbers), [*range(0, many, 3)], "who went through a gate")


def _same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise WrongError(f"{what}: {found!r} instead of {expected!r}")


def report(result: Result) -> str:
    killed, opening = result.looks[:-1], sorted(result.opening[1:])
    largest = max(each.log_bytes for each in result.looks)
    told = (
        f"{len(killed)} kills",
        f"completed {killed[0].completed} at the first, {killed[-1].completed} at the last",
        f"all {result.looks[-1].completed} at the end",
        f"{result.idle} lives without progress",
        f"{result.again} steps ran again",
        f"the file taken after {opening[len(opening) // 2]:.2f} s, at most {opening[-1]:.2f} s",
        f"the log at most {largest >> 20} MB",
        f"{result.seconds:.0f} s",
    )
    return "; ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.restarts", description=__doc__)
    parser.add_argument("--live", type=int, default=10_000)
    parser.add_argument("--cycles", type=int, default=50)
    asked = parser.parse_args()
    print(report(storm(asked.live, asked.cycles)))


if __name__ == "__main__":
    main()
