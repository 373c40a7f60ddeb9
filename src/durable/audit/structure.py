"""The file as a database: SQLite's own opinion of it, and whether its tables and indexes are those of its version."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from durable.audit.finding import Found, Reindex, found
from durable.audit.reader import Reader
from durable.errors import DamagedError
from durable.store import rows
from durable.store.connection import pragma
from durable.store.schema import STEPS

# What integrity_check says of an index whose table is sound.
_INDEX = re.compile(r"row \d+ missing from index (\w+)|wrong # of entries in index (\w+)")
# Which rows each partial index must hold: these indexes are what moves an invocation.
_PARTIAL = {
    "invocation_running": "status = 'running'",
    "invocation_queue": "place IS NOT NULL AND status <> 'completed'",
    "invocation_due": "due_ms IS NOT NULL AND status IN ('scheduled', 'backing-off')",
    "invocation_expires": "expires_ms IS NOT NULL",
    "invocation_lane": "lane IS NOT NULL",
    "invocation_holds": "holds = 1",
}


def integrity(connection: sqlite3.Connection) -> Iterator[Found]:
    """All of SQLite's own checks; it reads the whole file in one go."""
    lines = [str(line) for (line,) in connection.execute("PRAGMA integrity_check").fetchall()]
    said = [line.removeprefix("*** in database main ***\n") for line in lines if line != "ok"]
    # Only where nothing else is wrong: an index is made from its table.
    mendable = all(_INDEX.fullmatch(line) for line in said)
    for line in said:
        match = _INDEX.fullmatch(line)
        remedy = Reindex(match[1] or match[2]) if match and mendable else None
        yield found("structure", "the database", line, remedy)
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchall():
        yield found("structure", str(table), f"row {row} refers to a row of {parent} that is not there")


def schema(connection: sqlite3.Connection) -> Iterator[Found]:
    version = pragma(connection, "user_version")
    assert isinstance(version, int)
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript("".join(STEPS[:version]))
        wanted, there = _objects(fresh), _objects(connection)
    for name in sorted(wanted.keys() | there.keys()):
        if name not in there:
            yield found("structure", name, "it belongs to the schema, and is missing")
        elif name not in wanted:
            yield found("structure", name, "it does not belong to the schema; another program made it")
        elif wanted[name] != there[name]:
            yield found("structure", name, f"it is not what the schema says: {there[name]}")


def _objects(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, type || ' ' || sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {str(name): str(sql) for name, sql in rows}


def indexes(reader: Reader) -> Iterator[Found]:
    """I13: what an index does not hold is never moved, and SQLite does not miss it."""
    there = {name for (name,) in reader.ask("SELECT name FROM sqlite_master WHERE type = 'index'")}
    partial = {name: rule for name, rule in _PARTIAL.items() if name in there}  # an older version has fewer
    sums = ", ".join(f"coalesce(sum({rule}), 0)" for rule in partial.values())
    with reader.snapshot():
        ((*wanted,),) = reader.ask(f"SELECT {sums} FROM invocation NOT INDEXED")
        held = [
            reader.ask(f"SELECT count(*) FROM invocation INDEXED BY {name} WHERE {rule}")
            for name, rule in partial.items()
        ]
    for name, count, (((indexed,)),) in zip(partial, wanted, held, strict=True):
        if count != indexed:
            yield found("I13", name, f"the index holds {indexed} invocations, and the table {count}", Reindex(name))


def meta(reader: Reader) -> Iterator[Found]:
    """I15. That no transaction of an older epoch is there is seen to by each transaction itself."""
    there = reader.rows("meta")
    try:
        rows.read_meta(there)
    except DamagedError as error:
        yield found("I15", "meta", str(error))
