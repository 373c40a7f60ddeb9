"""The golden databases of this release's schema version: ``python -m tests.golden.make``.

Run it once for each version, before it is released, and keep what it makes for ever. It needs no more than the public
names of ``durable``, so that it runs on the releases of old, too.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sqlite3
import sys
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from durable import Engine, Options
from tests.golden.services import DELAY, Approval, Outside, Shelf, Work, services

HERE = Path(__file__).parent
FILES = ("db", "db-wal", "awakeables.json")
SHELF = "Regal ü/1"
STATUSES = {"scheduled", "pending", "running", "backing-off", "suspended", "paused", "completed"}


async def begin(directory: Path, outside: Outside, close: bool) -> None:
    """Bring every kind of invocation into every state that the outside can keep it in; then close, or die."""
    options = Options(inactivity=timedelta(0), grace=timedelta(0), cleanup=timedelta(milliseconds=50))
    async with Engine(directory / "db", *services(outside), options=options) as engine:
        await send_works(engine)
        await send_keyed(engine)
        await until(lambda: all_hang(outside))
        await answer(engine, outside)
        await until(lambda: all_answered(outside))
        await asyncio.sleep(0.3)  # a look at what has expired, and the last commits
        (directory / "awakeables.json").write_text(json.dumps(outside.awakeables))
        if not close:
            os.kill(os.getpid(), signal.SIGKILL)


async def send_works(engine: Engine) -> None:
    for name, handler in WORKS.items():
        await engine.send(handler.options(idempotency_key=name), name)
    await engine.send_later(DELAY, Work.finish.options(idempotency_key="scheduled"), "scheduled")
    await engine.call(Work.finish.options(idempotency_key="large"), "x" * 20_000)
    await engine.call(Work.finish.options(idempotency_key="purged"), "purged")
    await (await engine.lookup(Work.finish.options(idempotency_key="purged"))).purge()
    await engine.call(Work.finish.options(idempotency_key="without journal"), "without journal")
    await (await engine.lookup(Work.finish.options(idempotency_key="without journal"))).purge_journal()


async def send_keyed(engine: Engine) -> None:
    await engine.call(Shelf.put, SHELF, "first")
    for name, handler in (("second", Shelf.hold), ("third", Shelf.put), ("fourth", Shelf.hold)):
        await engine.send(handler.options(idempotency_key=name), SHELF, name)
    for key in ("open", "answered"):
        await engine.send(Approval.run, key, key)


async def answer(engine: Engine, outside: Outside) -> None:
    await engine.awakeable(outside.awakeables["answered"]).resolve("yes")
    await engine.call(Approval.brief, "answered", "yes")
    await (await engine.lookup(Work.step.options(idempotency_key="paused"))).pause()
    await (await engine.lookup(Work.undo.options(idempotency_key="cancelled"))).cancel()
    await (await engine.lookup(Work.signals.options(idempotency_key="signalled"))).signal("two", "second")


WORKS: dict[str, Any] = {
    "done": Work.finish, "refused": Work.refuse, "step": Work.step, "paused": Work.step, "asleep": Work.sleep,
    "both": Work.both, "awaiting": Work.awaken, "answered": Work.awaken, "caller": Work.call, "failing": Work.fail,
    "cancelled": Work.undo, "signalled": Work.signals, "forgotten": Work.forget,
}  # fmt: skip


def all_hang(outside: Outside) -> bool:
    hanging = {"step", "paused", "caller callee", "second", "cancelled do", "both"}
    return hanging <= {*outside.asked} and {"awaiting", "answered"} <= outside.awakeables.keys()


def all_answered(outside: Outside) -> bool:
    return {"cancelled undo", "answered", "approval answered"} <= {*outside.asked}


async def until(done: Callable[[], bool]) -> None:
    for _ in range(1000):
        if done():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def made(directory: Path, close: bool) -> None:
    """By a process of its own, which may die of it."""
    pid = os.fork()
    if not pid:
        asyncio.run(begin(directory, Outside(open=False), close))
        os._exit(0)
    os.waitpid(pid, 0)


def pack(directory: Path, name: str) -> Path:
    target = HERE / f"{name}.tar.gz"
    with tarfile.open(target, "w:gz") as archive:
        for file in FILES:
            if (directory / file).exists():
                content = (directory / file).read_bytes()
                entry = tarfile.TarInfo(file)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return target


def unpack(archive: Path, directory: Path) -> Path:
    """The database in it."""
    with tarfile.open(archive) as opened:
        opened.extractall(directory, filter="data")
    return directory / "db"


def main() -> None:
    for name, close in (("killed", False), ("closed", True)):
        with tempfile.TemporaryDirectory() as directory:
            made(Path(directory), close)
            with tempfile.TemporaryDirectory() as copy:
                target = pack(Path(directory), "unnamed")
                with closing(sqlite3.connect(unpack(target, Path(copy)))) as connection:
                    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
                    found = dict(connection.execute("SELECT status, count(*) FROM invocation GROUP BY status"))
            assert {*found} == STATUSES, found
            target = target.rename(HERE / f"version-{version}-{name}.tar.gz")
            print(target, target.stat().st_size, found, file=sys.stderr)


if __name__ == "__main__":
    main()
