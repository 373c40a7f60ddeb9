"""One way to connect to SQLite and to write a transaction. It knows no table."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from durable.errors import StoreError
from durable.options import Durability
from durable.sizes import LARGEST

BUSY_MS = 5_000

_SETTINGS: dict[str, tuple[str, object]] = {
    # Only before the first table; later it would take a VACUUM.
    "auto_vacuum": ("INCREMENTAL", 2),
    "journal_mode": ("WAL", "wal"),
    # The automatic checkpoint hides its failures; ours looks at the result.
    "wal_autocheckpoint": ("0", 0),
    "journal_size_limit": ("67108864", 64 << 20),
    "foreign_keys": ("ON", 1),
    "trusted_schema": ("OFF", 0),
    "cell_size_check": ("ON", 1),
    # Mapped, an I/O error is a SIGBUS, and a stray write lands in the file.
    "mmap_size": ("0", 0),
    "temp_store": ("MEMORY", 2),
    # For macOS, where a plain fsync is only a barrier.
    "fullfsync": ("ON", 1),
    "checkpoint_fullfsync": ("ON", 1),
}


_SYNCHRONOUS: dict[Durability, tuple[str, object]] = {
    # NORMAL lost acknowledged commits in half of the simulated power cuts, FULL none; both survive kill -9.
    "power": ("FULL", 2),
    "process": ("NORMAL", 1),
}


def has_reset_bug(version: tuple[int, int, int]) -> bool:
    """Whether two connections that write, or move the log, at once can corrupt a database (sqlite.org/wal.html)."""
    mended = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0)
    return version >= (3, 7, 0) and not mended


def create_file(path: Path) -> None:
    """Make an empty file that only its owner can read, unless there is one. SQLite gives its side files this mode.

    Not by umask, which belongs to all threads. The file is opened here only if it was not there: no connection of
    this process can be using it.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make the names of the files in ``path`` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def connect(path: Path) -> sqlite3.Connection:
    """A connection without settings, so that a file which is not ours can be refused untouched."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000, cached_statements=256)
    # Text that is damaged must fail with its own row's checksum, and not the whole query.
    connection.text_factory = _text
    # The row of an invocation holds its input and its output, and a little more.
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 3 * LARGEST)
    # VACUUM INTO needs one.
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 1)
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that can neither write nor move the log into the database: one may read beside a running engine."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1000, check_same_thread=False)
    connection.text_factory = _text
    connection.execute("PRAGMA trusted_schema=OFF").fetchall()
    return connection


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def configure(connection: sqlite3.Connection, durability: Durability = "power") -> None:
    """Apply every setting and read it back: SQLite answers a refusal with the old value, not with an error."""
    settings = {**_SETTINGS, "synchronous": _SYNCHRONOUS[durability]}
    for name, (value, expected) in settings.items():
        connection.execute(f"PRAGMA {name}={value}").fetchall()
        answer = pragma(connection, name)
        if answer != expected:
            raise StoreError(f"this SQLite {sqlite3.sqlite_version} refused {name}={value}: it is {answer!r}")


def pragma(connection: sqlite3.Connection, name: str) -> object:
    rows = connection.execute(f"PRAGMA {name}").fetchall()
    return rows[0][0] if rows else None


def is_full(error: sqlite3.Error) -> bool:
    """Whether a write found no room, and SQLite undid what it belonged to.

    Known also of a COMMIT, unlike after a failed fsync: the write that failed is one before the end of the transaction
    in the log, without which recovery takes none of it. A disk that is full only at the fsync is another error.
    """
    return error.sqlite_errorcode == sqlite3.SQLITE_FULL


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """Hold the write lock from the start; commit, or roll back whatever SQLite has not rolled back itself.

    After some errors (a full disk) SQLite has ended the transaction, and another statement would be committed
    alone: so none follows, but a ROLLBACK where there is something to roll back.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
