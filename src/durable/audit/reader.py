"""Short reads of a database, by the names of their queries. It writes nothing, and decides nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from durable.core.entries import Entry
from durable.core.ids import InvocationId, write_invocation
from durable.core.invocation import Invocation
from durable.core.ledger import Resident
from durable.errors import StoreError
from durable.store.connection import connect_to_read, pragma
from durable.store.queries import QUERIES, parse, read
from durable.store.rows import Row, read_invocation, read_journal
from durable.store.schema import STEPS

_COLUMNS = QUERIES["invocation"].removeprefix("SELECT ").partition("\nFROM ")[0]

RULES = parse(read("rules.sql", "durable.audit"))
ORPHANS = parse(read("orphans.sql", "durable.audit"))
LOOKUPS = parse(read("lookups.sql", "durable.audit").format(columns=_COLUMNS))
_NAMED = {**QUERIES, **LOOKUPS}
_BEFORE_LIMITS = {name: sql.replace("entries, lane, holds", "entries, NULL, 0") for name, sql in _NAMED.items()}
"""The same, of a database that no newer engine has opened yet."""

MOST = 1000
"""Findings of one rule: a thousand of a kind say no more than a hundred thousand."""


class Reader:
    """One connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.older = pragma(connection, "user_version") != len(STEPS)
        """Whether it has fewer columns and tables than the queries name."""
        self._named = _BEFORE_LIMITS if "lane" not in _columns(connection) else _NAMED

    def rows(self, query: str, *parameters: object) -> list[Row]:
        return self._connection.execute(self._named[query], parameters).fetchall()

    def ask(self, sql: str, *parameters: object) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Several reads of one moment. Keep it short: meanwhile the log cannot begin anew."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def invocation(self, id: InvocationId) -> Invocation | None:
        """``DamagedError`` if it is not what was written."""
        found = self.rows("invocation", id)
        return read_invocation(found[0]) if found else None

    def journal(self, invocation: Invocation) -> list[Entry]:
        return read_journal(invocation.n, invocation.entries, self.rows("journal", invocation.n))

    def resident(self, id: InvocationId) -> Resident | None:
        invocation = self.invocation(id)
        return None if invocation is None else Resident(invocation, self.journal(invocation), [])


@contextmanager
def reading(path: Path) -> Generator[sqlite3.Connection]:
    """:class:`StoreError` if that is impossible."""
    try:
        with closing(connect_to_read(path)) as connection:
            yield connection
    except (sqlite3.Error, UnicodeError) as error:  # what SQLite says of a damaged schema may be no text
        advice = "if it is damaged, restore it from a backup" if path.exists() else "name the database of an engine"
        raise StoreError(f"{path} cannot be read: {error}; {advice}") from error


def _columns(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM pragma_table_info('invocation')")}


def name_of(id: object, otherwise: str = "an invocation without an id") -> str:
    return write_invocation(InvocationId(id)) if isinstance(id, bytes) and len(id) == 16 else otherwise
