"""Whose file it is, which version, and how it becomes the newest. It knows no row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from durable.errors import StoreError
from durable.store.connection import pragma, transaction
from durable.store.copy import copy_pages, partial
from durable.store.queries import read

APPLICATION_ID = 0x44555242
"""``DURB``."""

STEPS: tuple[str, ...] = tuple(read(f"{name}.sql") for name in ("schema", "restored", "deaths", "limits", "schedules"))
"""Scripts: the first makes a new database, each other one brings version *i* to *i* + 1. None may ever change."""


def recognise(connection: sqlite3.Connection, steps: Sequence[str] = STEPS) -> int:
    """The file's schema version, 0 of an empty one; :class:`StoreError` if it is not ours or newer. Writes nothing."""
    application, version = pragma(connection, "application_id"), pragma(connection, "user_version")
    assert isinstance(application, int)
    assert isinstance(version, int)
    tables = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    if (application, version) == (0, 0) and not tables:
        return 0
    if application != APPLICATION_ID:
        raise StoreError(
            f"the file is another program's database: its application id is {application:#x}, not "
            f"{APPLICATION_ID:#x}; give the engine a path of its own"
        )
    if version > len(steps):
        raise StoreError(
            f"the database has schema version {version}, and this release knows versions up to {len(steps)}; "
            "install the release that wrote it, or a newer one"
        )
    return version


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[str] = STEPS) -> None:
    """Make or upgrade the tables in one transaction, after a copy of what was there."""
    version = recognise(connection, steps)
    if version == len(steps):
        return
    if version:
        with partial(path.with_name(f"{path.name}.v{version}"), replace=True) as copy:
            copy_pages(connection, copy)
    upgrade(connection, steps)


def upgrade(connection: sqlite3.Connection, steps: Sequence[str] = STEPS) -> None:
    """Like ``migrate``, of what is a copy itself."""
    version = recognise(connection, steps)
    try:
        with transaction(connection):
            for step in steps[version:]:
                for statement in _statements(step):
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={len(steps)}")
    except sqlite3.Error as error:
        raise StoreError(
            f"the database could not be brought from schema version {version} to {len(steps)} and is unchanged: {error}"
        ) from error


def _statements(script: str) -> Iterator[str]:
    # Not executescript(): it commits the open transaction first.
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
