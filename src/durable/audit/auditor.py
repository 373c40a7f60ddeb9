"""An audit from its first rule to its last row. It opens a connection of its own, and can run beside an engine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from durable.audit import structure, sweep
from durable.audit.finding import Audit, Found, found
from durable.audit.reader import MOST, ORPHANS, RULES, Reader, name_of, reading
from durable.core.ids import InvocationId
from durable.core.invocation import Caller, Commit, Timer
from durable.store.rows import Row
from durable.store.schema import recognise

T = TypeVar("T")

Rest = Callable[[float], None]
"""What an audit does after each short read, told how many seconds that took."""


def audit(path: Path, *, overdue_ms: int | None = None, thorough: bool = True, rest: Rest = lambda _: None) -> Audit:
    """All that is not true of the database at ``path``; :class:`StoreError` if it cannot be read as one of ours.

    ``thorough`` asks SQLite too, which reads the file in one go. What was due before ``overdue_ms`` must have
    happened: only of a running engine.
    """
    found = examine(path, overdue_ms=overdue_ms, thorough=thorough, rest=rest)
    return Audit(datetime.now(UTC), tuple(each.finding for each in found))


def examine(path: Path, *, overdue_ms: int | None = None, thorough: bool = True, rest: Rest) -> list[Found]:
    """Like ``audit``, with what mends each finding."""
    with reading(path) as connection:
        if not recognise(connection):
            return []
        return list(inspect(connection, overdue_ms=overdue_ms, thorough=thorough, rest=rest))


def inspect(connection: sqlite3.Connection, *, overdue_ms: int | None, thorough: bool, rest: Rest) -> Iterator[Found]:
    reader = Reader(connection)
    for look in _looks(connection, reader, overdue_ms, thorough):
        pages = look()
        while True:
            began = time.perf_counter()
            try:
                page = next(pages, None)
            except (sqlite3.DatabaseError, UnicodeError) as error:
                if not (reader.older and "no such" in str(error)):  # it has nothing of the kind
                    yield from _unreadable(error)
                break
            if page is None:
                break
            yield from page
            rest(time.perf_counter() - began)


Look = Callable[[], Iterator[list[Found]]]


def _looks(connection: sqlite3.Connection, reader: Reader, overdue_ms: int | None, thorough: bool) -> Iterator[Look]:
    """One that fails keeps none of the others from running."""
    if thorough:
        yield partial(_once, structure.integrity, connection)
    yield partial(_once, structure.schema, connection)
    yield partial(_once, structure.meta, reader)
    yield partial(_once, structure.indexes, reader)
    for name, sql in RULES.items():
        yield partial(_rule, reader, name.partition("_")[0], sql, overdue_ms)
    for name, sql in ORPHANS.items():
        if not reader.ask("SELECT 1 FROM sqlite_master WHERE name = ?", name):
            continue  # of an older version, or missing, which the schema's check says
        yield partial(_orphans, reader, name, sql)
    yield partial(sweep.invocations, reader)
    yield partial(sweep.schedules, reader)
    for table in ("state", "promise"):
        yield partial(sweep.named, reader, table)
    yield partial(_once, sweep.limits, reader)
    yield partial(_once, sweep.rates, reader)


def _once(check: Callable[[T], Iterator[Found]], on: T) -> Iterator[list[Found]]:
    yield list(check(on))


def _rule(reader: Reader, invariant: str, sql: str, overdue_ms: int | None) -> Iterator[list[Found]]:
    parameters = (overdue_ms,) if "?1" in sql else ()
    rows = reader.ask(f"{sql} LIMIT {MOST}", *parameters)
    yield [found(invariant, _subject(subject), str(explanation)) for subject, explanation in rows]


def _subject(subject: object) -> str:
    return name_of(subject, str(subject))


def _orphans(reader: Reader, table: str, sql: str) -> Iterator[list[Found]]:
    rows = reader.ask(f"{sql} LIMIT {MOST}")
    what = f"a row of table {table} belongs to no invocation that is under way"
    yield [found("I14", _owner(table, row), what, _removal(table, row)) for row in rows]


def _owner(table: str, row: Row) -> str:
    match table:
        case "timer":
            return f"timer of number {row[1]}"
        case "suspect":
            return f"suspect of number {row[0]}"
        case "waiter":
            return name_of(row[1], "a waiter")
        case _:
            return name_of(row[3], "a listener")


def _removal(table: str, row: Row) -> Commit:
    commit = Commit()
    match table:
        case "timer":
            commit.timers[Timer(*row)] = False
        case "suspect":
            commit.suspects[row[0]] = None
        case "waiter":
            id, caller, completion = row
            commit.waiters[InvocationId(id), Caller(InvocationId(caller), completion)] = False
        case _:
            service, key, name, caller, completion = row
            commit.listeners[service, key, name, Caller(InvocationId(caller), completion)] = False
    return commit


def _unreadable(error: Exception) -> Iterator[Found]:
    name = getattr(error, "sqlite_errorname", "") or ""
    if isinstance(error, sqlite3.Error) and not (name.startswith("SQLITE_CORRUPT") or "no such" in str(error)):
        raise error
    yield found("structure", "the database", f"a part of it cannot be read: {error}")
