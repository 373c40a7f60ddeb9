"""Power cuts: ``python -m tests.crash.power --logs 20 --cuts 20000``.

Each log is what a process with an engine asked of its disk. It is cut at random places; what a disk may have kept by
then is opened by another engine, which must go on as if nothing had happened.
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
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple, get_args

from durable.options import Durability
from durable.store import database
from tests.calls import shown
from tests.crash.disk import Disk, Note, Operation, Recorder
from tests.crash.orders import check, engine, order_some

SESSIONS = 3
ORDERS = 8
"""In a session: from the second on the database is opened, worked with, and closed again."""


class Log(NamedTuple):
    seed: int
    operations: Sequence[Operation]


class Cut(NamedTuple):
    """One power cut: what was said by then, and the disk."""

    history: Sequence[tuple[object, ...]]
    files: dict[str, bytes]


async def record(path: Path, seed: int, durability: Durability) -> Sequence[Operation]:
    # Often, in a log as short as this.
    database.CHECKPOINT_BYTES, database.TRUNCATE_BYTES, database.FREE_PAGES = 200_000, 400_000, 16
    random, recorder = Random(seed), Recorder(path)
    for session in range(SESSIONS):
        async with engine(path, recorder.note, durability) as opened:
            orders = range(session * ORDERS, (session + 1) * ORDERS)
            await order_some(opened, orders, random, recorder.note)
    return recorder.operations


def recorded(seed: int, durability: Durability = "power") -> Log:
    """By a process of its own: the system calls of this one are to stay as they are."""
    with tempfile.TemporaryDirectory() as directory:
        command = ("-m", "tests.crash.power", "--record", directory, "--durability", durability, "--seed", seed)
        shown(*command, vital=True)
        return Log(seed, pickle.loads((Path(directory) / "operations").read_bytes()))


def cut(log: Log, cuts: int) -> list[Cut]:
    """So many power cuts, anywhere, in the order of the log."""
    random, disk, history, made = Random(log.seed), Disk(), list[tuple[object, ...]](), list[Cut]()
    places = Counter(random.randint(0, len(log.operations)) for _ in range(cuts))
    for place in range(len(log.operations) + 1):
        made += [Cut(tuple(history), disk.after_a_power_cut(random)) for _ in range(places[place])]
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
    asyncio.run(check(directory / "db", made.history, range(SESSIONS * ORDERS)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=int, default=20)
    parser.add_argument("--cuts", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--durability", choices=get_args(Durability), default="power")
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.record:
        operations = asyncio.run(record(options.record / "db", options.seed, options.durability))
        (options.record / "operations").write_bytes(pickle.dumps(operations))
        sys.stdout.flush()
        os._exit(0)
    began, counts = time.monotonic(), Counter[str]()
    with tempfile.TemporaryDirectory() as directory:
        for seed in range(options.seed, options.seed + options.logs):
            log = recorded(seed, options.durability)
            counts += Counter(type(operation).__name__.lower() for operation in log.operations)
            for made in cut(log, options.cuts // options.logs):
                survive(made, Path(directory) / "cut")
                counts["cuts"] += 1
                counts["acknowledged"] += sum(what in ("result", "accepted") for what, *_ in made.history)
    print(f"{dict(counts)}: nothing was lost; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
