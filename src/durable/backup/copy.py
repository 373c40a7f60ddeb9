"""One database file to another, as of one moment, beside whoever writes to it. It knows no table but ``meta``."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from durable.audit import Audit, audit
from durable.audit.auditor import Rest
from durable.errors import DamagedError, StoreError
from durable.store.connection import connect_to_read, create_file, sync_directory
from durable.store.lock import Lock
from durable.store.schema import recognise

# 4 MB: milliseconds, in which no other thread of this process runs.
_PAGES = 1_000


@contextmanager
def partial(target: Path) -> Generator[Path]:
    """A file beside ``target`` to write to. It gets its name once it is whole and synced; else nothing is left."""
    path = target.with_name(f"{target.name}.partial")
    lock_path = path.with_name(f"{path.name}.lock")
    lock = Lock(lock_path)  # two copies to one target must not become one
    lock.acquire()
    try:
        _remove(path)
        create_file(path)
        yield path
        _sync(path)
        if target.exists():
            raise StoreError(f"{target} is there; remove it, or name another file")
        path.rename(target)
        sync_directory(target.parent)
    finally:
        _remove(path)
        _remove(lock_path)
        lock.release()


def copy(source: Path, target: Path, rest: Rest) -> None:
    """Every page of ``source``, into the empty file ``target``, which is one file: it has no log."""
    with closing(connect_to_read(source)) as reader, closing(sqlite3.connect(target, isolation_level=None)) as writer:
        # Without a snapshot of ours, each commit of an engine would make the copy begin anew.
        reader.execute("BEGIN")
        if not recognise(reader):
            raise StoreError(f"{source} is empty: no engine has opened it yet")
        _copy_pages(reader, writer, rest)
        writer.execute("PRAGMA journal_mode=DELETE").fetchall()


def _copy_pages(reader: sqlite3.Connection, writer: sqlite3.Connection, rest: Rest) -> None:
    def progress(status: int, remaining: int, total: int) -> None:
        rest(0.0)

    reader.backup(writer, pages=_PAGES, progress=progress, sleep=0)


def verify(path: Path, source: Path, rest: Rest) -> Audit:
    """An audit of a copy; :class:`DamagedError` if it is no sound database."""
    found = audit(path, rest=rest)
    for finding in found.findings:
        if finding.invariant == "structure":
            raise DamagedError(f"{source} is damaged, and so is a copy of it: {finding}; run durable doctor {source}")
    return found


def _remove(path: Path) -> None:
    for name in (path, *(path.with_name(f"{path.name}{side}") for side in ("-journal", "-wal", "-shm"))):
        name.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    # The connection is closed: to open the file here drops no lock of SQLite's.
    for side in ("-wal", "-shm"):
        path.with_name(f"{path.name}{side}").unlink(missing_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
