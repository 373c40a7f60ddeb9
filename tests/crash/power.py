"""Power cuts: ``python -m tests.crash.power --logs 20 --cuts 20000``.

Each log is what a process with an engine asked of its disk. It is cut at random places; what a disk may have kept by
then is opened by another engine, which must go on as if nothing had happened. Further logs, one to five, are of an
upgrade, a backup and a restore: no copy may have its name and not be whole.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pickle
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple, get_args

from durable.options import Durability
from durable.store import database
from tests.calls import shown
from tests.crash import copies
from tests.crash.disk import Disk, Note, Operation, Recorder, Rename
from tests.crash.orders import check, engine, order_some

SESSIONS = 3
AFTER = 2
"""Calls, from a rename until its directory is synced and somebody was told of it."""
ORDERS = 8
"""In a session: from the second on the database is opened, worked with, and closed again."""


class Log(NamedTuple):
    seed: int
    operations: Sequence[Operation]
    files: Mapping[str, bytes] = {}
    """What was there before."""
    copies: Mapping[str, bytes] = {}
    """What was made of it."""


class Cut(NamedTuple):
    """One power cut: what was said by then, and the disk."""

    history: Sequence[tuple[object, ...]]
    files: dict[str, bytes]
    copies: Mapping[str, bytes]


async def record_orders(directory: Path, seed: int, durability: Durability) -> Log:
    # Often, in a log as short as this.
    database.CHECKPOINT_BYTES, database.TRUNCATE_BYTES, database.FREE_PAGES = 200_000, 400_000, 16
    path = directory / "db"
    random, recorder = Random(seed), Recorder(path)
    for session in range(SESSIONS):
        async with engine(path, recorder.note, durability) as opened:
            orders = range(session * ORDERS, (session + 1) * ORDERS)
            await order_some(opened, orders, random, recorder.note)
    return Log(seed, recorder.operations)


async def record_copies(directory: Path, seed: int, durability: Durability) -> Log:
    files, recorder = copies.begin(directory, seed), Recorder(directory / "db")
    made = await copies.work(directory, recorder.note, durability)
    return Log(seed, recorder.operations, files, made)


WORK = {"orders": record_orders, "copies": record_copies}


def recorded(seed: int, durability: Durability = "power", work: str = "orders") -> Log:
    """By a process of its own: the system calls of this one are to stay as they are."""
    with tempfile.TemporaryDirectory() as directory:
        command = ("-m", "tests.crash.power", "--record", directory, "--durability", durability, "--seed", seed)
        shown(*command, "--work", work, vital=True)
        return Log(*pickle.loads((Path(directory) / "log").read_bytes()))


def cut(log: Log, cuts: int) -> list[Cut]:
    """So many power cuts, anywhere, in the order of the log; but every other one, where there are any, at a rename."""
    random, disk, history, made = Random(log.seed), Disk(log.files), list[tuple[object, ...]](), list[Cut]()
    renamed = [place for place, each in enumerate(log.operations, 1) if isinstance(each, Rename)]
    turns = [place + calls for calls in range(AFTER + 1) for place in renamed]
    places = Counter(
        turns[n // 2 % len(turns)] if turns and n % 2 else random.randint(0, len(log.operations)) for n in range(cuts)
    )
    for place in range(len(log.operations) + 1):
        for _ in range(places[place]):
            made.append(Cut(tuple(history), disk.after_a_power_cut(random), log.copies))
        if place < len(log.operations):
            operation = log.operations[place]
            disk.take(operation)
            if isinstance(operation, Note):
                history.append(operation.text)
    return made


def survive(made: Cut, directory: Path) -> None:
    """Raise :class:`tests.crash.orders.Lost`, or what keeps an engine from opening, unless nothing was lost."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for name, content in made.files.items():
        (directory / name).write_bytes(content)
    # What is left of an index that is mapped is anybody's guess.
    (directory / "db-shm").write_bytes(os.urandom(32_768))
    if made.copies:
        asyncio.run(copies.check(directory, {text[0] for text in made.history}, made.copies))
    else:
        asyncio.run(check(directory / "db", made.history, range(SESSIONS * ORDERS)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=int, default=20)
    parser.add_argument("--cuts", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--durability", choices=get_args(Durability), default="power")
    parser.add_argument("--work", choices=WORK, default="orders", help=argparse.SUPPRESS)
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.record:
        log = asyncio.run(WORK[options.work](options.record, options.seed, options.durability))
        (options.record / "log").write_bytes(pickle.dumps(tuple(log)))
        sys.stdout.flush()
        os._exit(0)
    began, counts = time.monotonic(), Counter[str]()
    for seed in range(options.seed, options.seed + options.logs):
        counts += search(recorded(seed, options.durability), options.cuts // options.logs)
    print(f"{dict(counts)}: nothing was lost; {time.monotonic() - began:.0f} s", flush=True)
    if options.durability != "power":
        return
    began, counts, logs = time.monotonic(), Counter[str](), max(1, options.logs // 5)
    for seed in range(options.seed, options.seed + logs):
        counts += search(recorded(seed, work="copies"), options.cuts // options.logs)
    print(f"copies, {dict(counts)}: none is there in part; {time.monotonic() - began:.0f} s")


def search(log: Log, cuts: int) -> Counter[str]:
    """What there was to lose, and was not."""
    counts = Counter(type(operation).__name__.lower() for operation in log.operations)
    with tempfile.TemporaryDirectory() as directory:
        for made in cut(log, cuts):
            survive(made, Path(directory) / "cut")
            counts["cuts"] += 1
            counts["acknowledged"] += sum(what in ("result", "accepted") for what, *_ in made.history)
    return counts


if __name__ == "__main__":
    main()
