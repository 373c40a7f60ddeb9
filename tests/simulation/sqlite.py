"""SQLite as the disk: a real file, used on the loop's own thread, so that the same seed is the same history."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from durable.audit import audit
from durable.core.ids import InvocationId
from durable.core.invocation import Caller, Commit, Timer
from durable.store import rows
from durable.store.connection import connect_to_read, transaction
from durable.store.database import Database
from durable.store.memory import MemoryDisk
from durable.store.queries import QUERIES
from durable.store.sqlite import SQLiteStore, Writer

P = ParamSpec("P")
T = TypeVar("T")


class _InlineWriter(Writer):
    """Has no thread: what is asked of it is done before anything else runs."""

    _opened: sqlite3.Connection

    async def start(self) -> None:
        self._opened = self._connector()

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    async def close(self) -> None:
        self._opened.close()


class InlineStore(SQLiteStore):
    """What it commits is written to a disk in memory too, which the rules are held against."""

    make_writer = _InlineWriter

    def __init__(self, path: Path, mirror: MemoryDisk) -> None:
        super().__init__(path, "process")  # a sync tells nothing here: nobody cuts the power
        self._mirror = mirror
        if not path.exists():
            _create(path, mirror.secret)

    async def commit(self, commit: Commit, /) -> None:
        await super().commit(commit)
        self._mirror.write(commit)

    def abandon(self, error: Exception) -> None:
        self._database.abandon(error)

    async def kill(self, error: Exception) -> None:
        """Let go of the file, and leave its log as it is."""
        self.abandon(error)
        await self.close()


def _create(path: Path, secret: bytes) -> None:
    """With a secret that is known, or no two runs would give the same ids."""
    with closing(Database(path).connect()) as connection, transaction(connection):
        connection.execute("UPDATE meta SET secret = ?", (rows.seal(secret),))


def faults(path: Path, disk: MemoryDisk) -> Iterator[str]:
    """What an audit finds in the file, and where it differs from what was committed."""
    for finding in audit(path, thorough=False).findings:
        yield f"audit: {finding}"
    with closing(connect_to_read(path)) as connection:
        for what, there, wanted in _both(connection, disk):
            if there != wanted:
                yield f"the file's {what} are {there}, and were committed as {wanted}"


def _both(connection: sqlite3.Connection, disk: MemoryDisk) -> Iterator[tuple[str, Any, Any]]:
    def ask(sql: str, *parameters: object) -> list[Any]:
        return connection.execute(sql, parameters).fetchall()

    found = [rows.read_invocation(row) for (id,) in ask("SELECT id FROM invocation") for row in ask(_INVOCATION, id)]
    yield "invocations", {row.n: row for row in found}, disk.invocations
    journals = {row.n: rows.read_journal(row.n, 0, ask(QUERIES["journal"], row.n)) for row in found}
    yield "journals", journals, {n: disk.journal(n) for n in disk.invocations}
    state = {(service, key, name): value for service, key, name, value in ask(f"SELECT {_NAME}, value FROM state")}
    limits = rows.read_limits(ask("SELECT pattern, body, crc FROM flow_limit"))
    yield "limits", {limit.pattern: limit for limit in limits}, disk.limits
    yield "rates", dict(ask("SELECT path, next_start_us FROM rate")), _in_us(disk.rates)
    yield "schedules", dict(ask("SELECT id, schedule FROM schedule")), disk.schedules
    yield "states", state, disk.state
    yield "promises", {tuple(row) for row in ask(f"SELECT {_NAME} FROM promise")}, set(disk.promises)
    yield "timers", {Timer(*row) for row in ask("SELECT due_ms, n, completion FROM timer")}, disk.timers
    waiters = ask("SELECT id, caller, completion FROM waiter")
    yield "waiters", {(InvocationId(id), _caller(*rest)) for id, *rest in waiters}, disk.waiters
    listeners = {(*row[:3], _caller(*row[3:])) for row in ask(f"SELECT {_NAME}, caller, completion FROM listener")}
    yield "listeners", listeners, disk.listeners


def _in_us(rates: dict[str, float]) -> dict[str, int]:
    return {path: round(next_start_ms * 1000) for path, next_start_ms in rates.items()}


def _caller(id: bytes, completion: int) -> Caller:
    return Caller(InvocationId(id), completion)


_INVOCATION = QUERIES["invocation"]
_NAME = "service, key, name"
