"""A backup becomes a database again, and knows it."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from durable.audit import Audit
from durable.backup.copy import copy, verify
from durable.errors import StoreError
from durable.store.connection import connect, transaction
from durable.store.copy import partial
from durable.store.lock import Lock
from durable.store.place import check_place, database_path
from durable.store.queries import QUERIES
from durable.store.schema import upgrade


def restore(backup: str | os.PathLike[str], file: str | os.PathLike[str]) -> Audit:
    """Make a database of a backup, for an engine to open, and return its audit.

    ``file`` must not exist, and no engine may have its name locked: :class:`StoreError` otherwise.
    """
    source, path = Path(backup).absolute(), database_path(file)
    check_place(path)
    lock = Lock(path.with_name(f"{path.name}.lock"))
    lock.acquire()
    try:
        if path.exists():
            raise StoreError(f"{path} is there; move it away, with its -wal, before a backup takes its place")
        with partial(path) as unfinished:
            copy(source, unfinished, lambda _: None)
            _mark(unfinished)
            found = verify(unfinished, source, lambda _: None)
            # Of another database, and empty, or the engine had been refused.
            for side in ("-wal", "-shm"):
                path.with_name(f"{path.name}{side}").unlink(missing_ok=True)
        return found
    except (sqlite3.Error, OSError, UnicodeError) as error:
        raise StoreError(f"{source} could not be restored to {path}: {error}") from error
    finally:
        lock.release()


def _mark(path: Path) -> None:
    """Bring it up to date, and say when it was restored, in an epoch that none of its other lives comes near."""
    with closing(connect(path)) as connection:
        upgrade(connection)
        with transaction(connection):
            connection.execute(QUERIES["restored"], (time.time_ns() // 1_000_000,))
