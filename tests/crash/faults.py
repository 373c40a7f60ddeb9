"""A disk that fails: ``python -m tests.crash.faults --points 5000``.

Each point is one call that an engine makes to its disk: that one fails, or it and those after it, or its files are
taken away under it. A process by fork works until it ends or stops; what it left must then be as it was acknowledged,
for an engine that finds the files as they are, and for one that finds them after a power cut.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import pickle
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from durable import EngineStoppedError, StoreError
from durable.runtime import writer
from durable.store import database
from tests.calls import UNSUPPORTED
from tests.crash.disk import SYNCS, Disk, Note, Operation, Recorder, Sync
from tests.crash.orders import check, engine, order_some, order_until_accepted

ORDERS = range(8)
CALLS = 420
"""That a session makes, about."""
WENT_ON, STOPPED = 0, 3

ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "EROFS": errno.EROFS}
HANDS = ("remove db", "remove db-wal", "replace db", "replace db-wal")


class Fault(NamedTuple):
    what: str
    """An error, or what another program does."""
    at: int
    calls: int
    """How many fail."""


class Point:
    """Where a disk fails, while a process works on it."""

    def __init__(self, path: Path, fault: Fault) -> None:
        self._path, self._fault = path, fault
        self.recorder = Recorder(path, self._strike)

    def _strike(self, number: int, call: str, name: str) -> int:
        fault = self._fault
        if number == fault.at:
            self.recorder.note("struck", call)
            if fault.what in HANDS:
                self._interfere(*fault.what.split())
        if fault.what in HANDS or not fault.at <= number < fault.at + fault.calls:
            return 0
        # No room is found by what writes, and not by what takes away.
        room = fault.what == "ENOSPC" and call in (*SYNCS, "unlink", "unlinkat", "ftruncate")
        return 0 if room else ERRORS[fault.what]

    def _interfere(self, verb: str, name: str) -> None:
        file = self._path.with_name(name)
        if verb == "replace" and file.exists():
            copy = file.with_name("copy")
            shutil.copy(file, copy)
            copy.replace(file)
        else:
            file.unlink(missing_ok=True)

    async def work(self) -> int:
        try:
            async with engine(self._path, self.recorder.note) as opened:
                self.recorder.note("open")
                order = order_until_accepted if self._fault.what == "ENOSPC" else order_some
                await order(opened, ORDERS, Random(self._fault.at), self.recorder.note)
        except (EngineStoppedError, StoreError) as error:
            self.recorder.note("error", str(error))
            return STOPPED
        return WENT_ON


class Left(NamedTuple):
    by: int
    """How the process ended."""
    operations: Sequence[Operation]

    @property
    def history(self) -> list[tuple[object, ...]]:
        return [each.text for each in self.operations if isinstance(each, Note)]


def strike(directory: Path, fault: Fault) -> Left:
    """Let a process work on such a disk, in an empty directory."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    child = os.fork()
    if not child:
        _work(directory, fault)
    _, status = os.waitpid(child, 0)
    by = os.waitstatus_to_exitcode(status)
    if by == UNSUPPORTED:
        sys.exit(UNSUPPORTED)
    if by not in (WENT_ON, STOPPED):
        raise AssertionError(f"{fault}: it ended with {by}")
    return Left(by, pickle.loads((directory / "operations").read_bytes()))


def _work(directory: Path, fault: Fault) -> None:
    database.CHECKPOINT_BYTES, database.TRUNCATE_BYTES = 60_000, 120_000
    writer.FIRST_RETRY_MS, writer.LONGEST_RETRY_MS = 1, 4
    code = 1
    try:
        point = Point(directory / "db", fault)
        code = asyncio.run(point.work())
        (directory / "operations").write_bytes(pickle.dumps(point.recorder.operations))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def verify(directory: Path, fault: Fault, left: Left, random: Random) -> None:
    """Raise unless all that was acknowledged is there, whole, and what was not is not claimed."""
    _check_no_false_acknowledgement(fault, left)
    if fault.what in HANDS:
        return  # what is there is the other program's
    if random.random() < 0.5:
        disk = Disk()
        for operation in left.operations:
            disk.take(operation)
        for file in directory.glob("db*"):
            file.unlink()
        for name, content in disk.after_a_power_cut(random).items():
            (directory / name).write_bytes(content)
    said = [text for text in left.history if text[0] in ("step", "result", "accepted")]
    asyncio.run(check(directory / "db", said, ORDERS))


def _check_no_false_acknowledgement(fault: Fault, left: Left) -> None:
    """Nothing is acknowledged after the first sync that comes after another program's hand in an open database."""
    opened = struck = synced = False
    for operation in left.operations:
        match operation:
            case Note(("struck", *_)):
                struck = opened
            case Note(("open",)):
                opened = True
            case Sync() if struck:
                synced = True
            case Note((("result" | "accepted") as what, *rest)) if synced and fault.what in HANDS:
                raise AssertionError(f"{fault}: {what} {rest} was acknowledged after it")
            case _:
                pass


def faults(points: int, random: Random) -> list[Fault]:
    kinds = [(what, calls) for what in ERRORS for calls in (1, 1_000_000)]
    kinds[3:4] = [("ENOSPC", 40)]  # there is room again after that many
    kinds += [(what, 1) for what in HANDS]
    return [Fault(kinds[n % len(kinds)][0], random.randint(1, CALLS), kinds[n % len(kinds)][1]) for n in range(points)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began, counts, random = time.monotonic(), Counter[str](), Random(options.seed)
    with tempfile.TemporaryDirectory() as directory:
        for fault in faults(options.points, random):
            left = strike(Path(directory) / "disk", fault)
            try:
                verify(Path(directory) / "disk", fault, left, random)
            except BaseException as error:
                error.add_note(f"{fault}, {'it went on' if left.by == WENT_ON else left.history[-1]}")
                raise
            struck = any(text[0] == "struck" for text in left.history)
            ended = "unstruck" if not struck else "went on" if left.by == WENT_ON else "stopped"
            counts[f"{fault.what}, {ended}"] += 1
    for what, count in sorted(counts.items()):
        print(f"{what}: {count}")
    print(f"nothing was lost or claimed in {options.points} faults; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
