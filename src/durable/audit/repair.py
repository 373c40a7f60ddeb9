"""Mends what follows from rows that are intact, and leaves all else alone. No engine may run meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from durable.audit.auditor import examine
from durable.audit.finding import Finding, Found, Reindex
from durable.core.invocation import Commit
from durable.errors import StoreError
from durable.store import rows
from durable.store.connection import configure, connect, is_full, transaction
from durable.store.copy import copy_pages, partial
from durable.store.lock import Lock
from durable.store.place import check_place, database_path
from durable.store.queries import QUERIES
from durable.store.schema import STEPS, recognise

_ROUNDS = 100
"""One finding can hide another of the same invocation."""


class Repaired(msgspec.Struct, frozen=True):
    mended: tuple[Finding, ...]
    left: tuple[Finding, ...]
    copy: Path | None
    """The database as it was, if anything was changed."""


def repair(path: Path) -> Repaired:
    """:class:`StoreError` if an engine has the database, or it cannot be read as one of ours."""
    path = database_path(path)
    if not path.exists():
        raise StoreError(f"{path} is not there; name the database of an engine")
    check_place(path)
    lock = Lock(path.with_name(f"{path.name}.lock"))
    lock.acquire()
    try:
        with closing(connect(path)) as connection:
            return _repair(connection, path)
    except (sqlite3.Error, UnicodeError) as error:
        full = isinstance(error, sqlite3.Error) and is_full(error)
        advice = "make room on its disk, and repair it again" if full else "restore it from a backup"
        raise StoreError(f"{path} cannot be repaired: {error}; {advice}") from error
    finally:
        lock.release()


def _repair(connection: sqlite3.Connection, path: Path) -> Repaired:
    version = recognise(connection)
    if version != len(STEPS):
        raise StoreError(
            f"{path} has schema version {version}, and only version {len(STEPS)} is repaired; "
            "open an engine on it, which upgrades it, and close that"
        )
    configure(connection)
    mended: list[Finding] = []
    found: list[Found] = []
    copy: Path | None = None
    for _ in range(_ROUNDS):
        found = examine(path, rest=lambda _: None)
        chosen = list(_choose(found))
        if not chosen:
            break
        if copy is None:
            copy = _copy(connection, path)
        with transaction(connection):
            # An engine that was started without the lock must not write on what it remembers.
            connection.execute("UPDATE meta SET epoch = epoch + 1")
            for each in chosen:
                _apply(connection, each)
        mended += [each.finding for each in chosen]
    else:
        found = examine(path, rest=lambda _: None)  # after the last of all rounds
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return Repaired(tuple(mended), tuple(_left(each.finding) for each in found), copy)


def _left(finding: Finding) -> Finding:
    """Repaired it is not: where a table is damaged, nothing is that follows from it."""
    return msgspec.structs.replace(finding, repairable=False)


def _choose(found: Iterable[Found]) -> Iterator[Found]:
    """Indexes first, by which all else was found; then one remedy for each invocation. None if a table is damaged."""
    found = list(found)
    unmended = {each.finding.invariant for each in found if each.remedy is None}
    indexes = [each for each in found if isinstance(each.remedy, Reindex)]
    # Where a row is damaged, the index may hold what the row held.
    if unmended & {"structure", "I15"} or (indexes and "checksum" in unmended):
        return
    touched = set[int]()
    for each in indexes or found:
        if isinstance(each.remedy, Commit):
            numbers = each.remedy.changed.keys() | each.remedy.entries.keys()
            if numbers & touched:
                continue
            touched |= numbers
        if each.remedy is not None:
            yield each


def _apply(connection: sqlite3.Connection, found: Found) -> None:
    if isinstance(found.remedy, Reindex):
        connection.execute(f"REINDEX {found.remedy.name}")
    elif found.remedy is not None:
        for name, parameters in rows.batch(found.remedy):
            connection.executemany(QUERIES[name], parameters)


def _copy(connection: sqlite3.Connection, path: Path) -> Path:
    number = 1
    while (copy := path.with_name(f"{path.name}.unrepaired{number}")).exists():
        number += 1
    with partial(copy) as unfinished:
        copy_pages(connection, unfinished)
    return copy
