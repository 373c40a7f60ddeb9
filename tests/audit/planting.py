"""Writes to a database behind an engine's back: with or without checksums."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from durable.core.entries import Run
from durable.core.ids import read_invocation
from durable.core.invocation import Commit, Invocation
from durable.store import rows
from durable.store.queries import QUERIES


class Planter:
    def __init__(self, path: Path, ids: Mapping[str, str]) -> None:
        self.path = path
        self.ids = {what: read_invocation(id) for what, id in ids.items()}

    def execute(self, sql: str) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute(sql, self.ids)

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(sql).fetchall()

    def write(self, commit: Commit) -> None:
        """As the engine would."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            for name, parameters in rows.batch(commit):
                connection.executemany(QUERIES[name], parameters)

    def invocation(self, what: str) -> Invocation:
        with closing(sqlite3.connect(self.path)) as connection:
            return rows.read_invocation(connection.execute(QUERIES["invocation"], (self.ids[what],)).fetchone())

    def length(self, what: str) -> int:
        """Of its journal."""
        n = self.invocation(what).n
        with closing(sqlite3.connect(self.path)) as connection:
            return len(rows.read_journal(n, 0, connection.execute(QUERIES["journal"], (n,)).fetchall()))

    def step(self, completion: int) -> Run:
        return Run(completion, "open")

    def overwrite_root(self, table: str) -> None:
        """Nothing of a table can be read any more."""
        with closing(sqlite3.connect(self.path)) as connection:
            (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            ((size,),) = connection.execute("PRAGMA page_size").fetchall()
        raw = bytearray(self.path.read_bytes())
        raw[(page - 1) * size : page * size] = b"\xff" * size
        self.path.write_bytes(raw)
