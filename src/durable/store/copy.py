"""A copy of a database beside whoever writes to it: it has its name once it is whole and synced, and not before."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

from durable.errors import StoreError
from durable.store.connection import create_file, sync_directory
from durable.store.lock import Lock

# 4 MB: milliseconds, in which no other thread of this process runs.
_PAGES = 1_000


@contextmanager
def partial(target: Path, *, replace: bool = False) -> Generator[Path]:
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
        if target.exists() and not replace:
            raise StoreError(f"{target} is there; remove it, or name another file")
        path.replace(target)
        sync_directory(target.parent)
    finally:
        _remove(path)
        _remove(lock_path)
        lock.release()


def copy_pages(reader: sqlite3.Connection, target: Path, rest: Callable[[float], None] = lambda _: None) -> None:
    """Every page, also those that are damaged, into the empty file ``target``, which is one file: it has no log."""

    def progress(status: int, remaining: int, total: int) -> None:
        rest(0.0)

    with closing(sqlite3.connect(target, isolation_level=None)) as writer:
        reader.backup(writer, pages=_PAGES, progress=progress, sleep=0)
        writer.execute("PRAGMA journal_mode=DELETE").fetchall()


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
