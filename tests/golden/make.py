"""The golden databases of this release's schema version: ``python -m tests.golden.make``.

Run it once for each version, before it is released, and keep what it makes for ever. It needs no more than the public
names of ``durable``.
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
from collections.abc import Callable, Coroutine
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from durable import Engine, Options
from tests.golden.services import (
    DELAY,
    NIGHTLY,
    ONE_AN_HOUR,
    ONE_IS_SERVED,
    Approval,
    Desk,
    Outside,
    Shelf,
    Work,
    services,
)

HERE = Path(__file__).parent
FILES = ("db", "db-wal", "awakeables.json")
SHELF = "Regal ü/1"
STATUSES = {
    "scheduled", "pending", "ready", "running", "backing-off", "suspended", "paused", "completed",
}  # fmt: skip
OPTIONS = Options(inactivity=timedelta(0), grace=timedelta(0), cleanup=timedelta(milliseconds=50))


async def begin(directory: Path) -> None:
    """Bring every kind of invocation into every state that the outside can keep it in; then die."""
    outside = Outside(open=False)
    async with Engine(directory / "db", *services(outside), options=OPTIONS) as engine:
        await send_works(engine)
        await send_keyed(engine)
        await send_limited(engine)
        await engine.schedules.create("nightly", NIGHTLY, Work.finish, "nightly")
        await until(lambda: all_hang(outside))
        await answer(engine, outside)
        await until(lambda: {*outside.asked} >= HANGING)
        await asyncio.sleep(0.3)  # a look at what has expired, and the last commits
        (directory / "awakeables.json").write_text(json.dumps(outside.awakeables))
        os.kill(os.getpid(), signal.SIGKILL)


async def go_on(directory: Path, *, close: bool) -> None:
    """Go on after that death, which those that were running may be to blame for; then close, or die again."""
    outside = Outside(open=False)
    async with Engine(directory / "db", *services(outside), options=OPTIONS):
        await until(lambda: {*outside.asked} >= HANGING)
        await asyncio.sleep(0.3)
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


async def send_limited(engine: Engine) -> None:
    await engine.limits.put(ONE_IS_SERVED)
    await engine.limits.put(ONE_AN_HOUR)
    for name, handler in LIMITED.items():
        await engine.send(handler.options(idempotency_key=name), name)


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
LIMITED: dict[str, Any] = {"holder": Desk.serve, "waiter": Desk.serve, "rung": Desk.ring, "to ring": Desk.ring}
HANGING = {"step", "caller callee", "second", "cancelled undo", "answered", "approval answered"}
"""The steps that are under way at the end."""


def all_hang(outside: Outside) -> bool:
    hanging = {"step", "paused", "caller callee", "second", "cancelled do", "both"}
    return hanging <= {*outside.asked} and {"awaiting", "answered"} <= outside.awakeables.keys()


async def until(done: Callable[[], bool]) -> None:
    for _ in range(1000):
        if done():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def made(directory: Path, close: bool) -> None:
    live(begin(directory))
    live(go_on(directory, close=close))


def live(life: Coroutine[Any, Any, None]) -> None:
    """In a process of its own, which may die of it."""
    pid = os.fork()
    if not pid:
        asyncio.run(life)
        os._exit(0)
    os.waitpid(pid, 0)
    life.close()


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
