"""The copies of a database that must not be half there: one before an upgrade, a backup, and what is restored of it.

A golden database of version 1 is opened, finished, backed up beside further work, and the backup is restored.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from durable import Engine, Options
from durable.audit import audit
from durable.backup import restore
from durable.options import Durability
from durable.store.schema import STEPS
from tests.crash.orders import Lost, Say
from tests.golden.finish import finish, results
from tests.golden.make import HERE, SHELF, unpack
from tests.golden.services import Outside, Shelf, services

OLD = 1
COPIES = {"upgraded": f"db.v{OLD}", "backup": "db.backup", "restored": "db.restored"}
"""What each is said to be once it must be there, and its name."""
ADDED = "fifth"


def begin(directory: Path, seed: int) -> dict[str, bytes]:
    """The files that there are at first, of an engine that was killed or closed."""
    unpack(HERE / f"version-{OLD}-{('killed', 'closed')[seed % 2]}.tar.gz", directory)
    return contents(directory, ("db", "db-wal", "awakeables.json"))


def contents(directory: Path, names: Iterable[str]) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in names if (directory / name).exists()}


async def work(directory: Path, say: Say, durability: Durability) -> dict[str, bytes]:
    """Returns the copies, each of which is sound."""
    sqlite3.connect = _careless(sqlite3.connect)
    path, outside = directory / "db", Outside(open=True)
    async with _engine(path, outside, durability) as engine:
        say("upgraded")
        await finish(engine, OLD, _awakeables(directory))
        say("finished")
        assert (await engine.backup(path.with_name(COPIES["backup"]))).clean
        say("backup")
        await engine.call(Shelf.put, SHELF, ADDED)
        say("added")
    assert restore(path.with_name(COPIES["backup"]), path.with_name(COPIES["restored"])).clean
    say("restored")
    assert all(audit(path.with_name(name)).clean for name in COPIES.values())
    return contents(directory, COPIES.values())


def _careless(connect: Callable[..., sqlite3.Connection]) -> Callable[..., sqlite3.Connection]:
    """Like a SQLite that was built to sync nothing unless it is told to: a copy must not rely on its connection."""

    def connect_carelessly(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA synchronous=OFF").fetchall()
        return connection

    return connect_carelessly


async def check(directory: Path, said: set[object], copies: Mapping[str, bytes]) -> None:
    """A copy that has its name is all of it; the database is the old one or the new one, and can be finished."""
    path = directory / "db"
    found = contents(directory, COPIES.values())
    for what, name in COPIES.items():
        if name not in found and what in said:
            raise Lost(f"{name} was said to be {what} and is gone")
        if found.get(name, copies[name]) != copies[name]:
            raise Lost(f"{name} is there and is not whole")
    if (left := audit(path).findings) != ():
        raise Lost(f"the database is not as it must be: {left}")
    with closing(sqlite3.connect(path)) as connection:
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    if version != len(STEPS) and (version != OLD or "upgraded" in said):
        raise Lost(f"the database has schema version {version}")
    if version != OLD and COPIES["upgraded"] not in found:
        raise Lost("the database was upgraded, and there is no copy of what it was")
    await _go_on(directory, said)


async def _go_on(directory: Path, said: set[object]) -> None:
    outside = Outside(open=True)
    async with asyncio.timeout(60), _engine(directory / "db", outside) as engine:
        finished = await finish(engine, OLD, _awakeables(directory))
        books = await engine.call(Shelf.all, SHELF)
    if finished != results(OLD) or ("finished" in said and outside.asked):
        raise Lost(f"it came to {finished}, and these ran: {outside.asked}")
    if "added" in said and ADDED not in books:
        raise Lost(f"what was added is gone: {books}")


def _engine(path: Path, outside: Outside, durability: Durability = "power") -> Engine:
    return Engine(path, *services(outside), options=Options(durability=durability))


def _awakeables(directory: Path) -> dict[str, str]:
    awakeables: dict[str, str] = json.loads((directory / "awakeables.json").read_text())
    return awakeables
