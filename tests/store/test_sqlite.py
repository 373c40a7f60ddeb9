"""How the file is written: its settings, its transactions, its log."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from durable.core.entries import Run
from durable.core.invocation import Commit, Invocation, Kind
from durable.errors import StoreError
from durable.store.connection import configure, connect, pragma
from durable.store.database import CHECKPOINT_BYTES, FREE_PAGES, TRUNCATE_BYTES, Database
from durable.store.queries import QUERIES
from durable.store.schema import STEPS
from durable.store.sqlite import SQLiteStore
from tests.store.files import execute, setting, size
from tests.store.samples import CART, accepting, invocation
from tests.syncs import counted


async def test_every_setting_is_in_force(sqlite: SQLiteStore) -> None:
    expected = {
        "journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2, "wal_autocheckpoint": 0, "foreign_keys": 1,
        "journal_size_limit": 64 << 20, "trusted_schema": 0, "cell_size_check": 1, "mmap_size": 0, "temp_store": 2,
        "fullfsync": 1, "checkpoint_fullfsync": 1, "application_id": 0x44555242, "user_version": len(STEPS),
        "busy_timeout": 5_000,
    }  # fmt: skip
    assert sqlite._writer is not None
    connection = sqlite._writer._conn

    found = {name: await sqlite._writer.run(pragma, connection, name) for name in expected}

    assert found == expected


def test_a_setting_that_sqlite_refuses_is_an_error(path: Path) -> None:
    execute(path, "CREATE TABLE t (x)")

    with closing(connect(path)) as connection, pytest.raises(StoreError, match="refused auto_vacuum=INCREMENTAL"):
        configure(connection)


def test_every_query_says_why() -> None:
    assert all("--" not in query for query in QUERIES.values())
    assert len(QUERIES) > 30


@pytest.mark.parametrize("query", ["running", "timers", "expired", "queue", "last_place"])
def test_a_query_over_many_rows_uses_an_index_and_sorts_nothing(query: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(STEPS[0])
        numbered = {"timers": 4, "expired": 2}
        parameters = (1,) * numbered.get(query, QUERIES[query].count("?"))
        plan = connection.execute(f"EXPLAIN QUERY PLAN {QUERIES[query]}", parameters).fetchall()

    steps = " ".join(step for *_, step in plan)
    assert "SCAN" not in steps
    assert "TEMP B-TREE" not in steps


async def test_a_commit_is_one_transaction(sqlite: SQLiteStore) -> None:
    assert sqlite._writer is not None
    statements: list[str] = []
    await sqlite._writer.set_trace_callback(statements.append)
    commit = accepting(*(invocation(n) for n in range(1, 20)))
    commit.append(1, 0, Run(1, "charge"))
    commit.state[*CART, "items"] = b"1"

    await sqlite.commit(commit)

    assert (statements[0], statements[-1]) == ("BEGIN IMMEDIATE", "COMMIT")
    assert [each for each in statements if each in ("BEGIN IMMEDIATE", "COMMIT")] == ["BEGIN IMMEDIATE", "COMMIT"]


COMMITS = """
import asyncio, os, sys
from durable.store.sqlite import SQLiteStore
from tests.store.files import setting
from tests.syncs import Syncs

syncs = Syncs()

async def main():
    store = SQLiteStore(sys.argv[1])
    await store.open()
    await store.commit(setting("items", b""))  # the first one in a new log syncs the log's header too
    before = syncs.count
    for number in range(50):
        await store.commit(setting("items", b"%d" % number))
    print(syncs.count - before, flush=True)
    os._exit(0)

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_commit_is_one_fsync(path: Path) -> None:
    assert counted(COMMITS, path) == "50\n"


async def test_the_names_of_the_files_are_durable_before_an_engine_builds_on_them(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    sync, directory = os.fsync, path.parent.stat()

    def watch(descriptor: int) -> None:
        synced.append(os.path.samestat(os.fstat(descriptor), directory))
        sync(descriptor)

    # Only what the engine itself syncs: a SQLite may be built to leave directories alone.
    monkeypatch.setattr(os, "fsync", watch)
    store = SQLiteStore(path)

    await store.open()
    await store.close()

    assert synced == [True]


async def test_only_the_owner_can_read_the_files(sqlite: SQLiteStore, path: Path) -> None:
    files = [path, path.with_name("db-wal"), path.with_name("db-shm"), path.with_name("db.lock")]

    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 4


async def test_a_clean_close_leaves_one_file_and_the_lock(sqlite: SQLiteStore, path: Path) -> None:
    await sqlite.commit(accepting(invocation(1)))

    await sqlite.close()

    assert sorted(file.name for file in path.parent.iterdir()) == ["db", "db.lock"]
    assert execute(path, "SELECT clean FROM meta") == [(1,)]


async def test_an_open_database_is_not_clean(sqlite: SQLiteStore, path: Path) -> None:
    assert execute(path, "SELECT clean FROM meta") == [(0,)]


async def test_the_log_is_moved_into_the_database_and_does_not_grow_for_ever(sqlite: SQLiteStore, path: Path) -> None:
    log = path.with_name("db-wal")
    sizes: list[int] = []
    for number in range(100):
        await sqlite.commit(setting(f"name{number % 5}", os.urandom(400_000)))
        sizes.append(size(log))

    assert max(sizes) < TRUNCATE_BYTES + 1_000_000
    assert max(sizes) > CHECKPOINT_BYTES
    assert size(path) > 2_000_000


async def test_a_reader_delays_the_log_and_not_the_commits(sqlite: SQLiteStore, path: Path) -> None:
    await sqlite.commit(setting("items", b"1"))
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        seen = reader.execute("SELECT value FROM state").fetchall()
        for _ in range(60):
            await sqlite.commit(setting("items", os.urandom(400_000)))
        assert reader.execute("SELECT value FROM state").fetchall() == seen
        assert size(path.with_name("db-wal")) > TRUNCATE_BYTES

    await sqlite.commit(setting("items", b"2"))

    assert size(path.with_name("db-wal")) < CHECKPOINT_BYTES


async def test_a_reader_that_blocks_recovery_is_named(path: Path) -> None:
    database = Database(path)
    connection = database.connect()
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM meta").fetchall()

    with pytest.raises(StoreError, match="another process is reading"):
        database.begin()

    reader.close()
    connection.close()


async def test_what_a_purge_frees_makes_the_file_shorter_but_for_a_little(sqlite: SQLiteStore, path: Path) -> None:
    for first in range(1, 1001, 100):
        await sqlite.commit(accepting(*(large(n) for n in range(first, first + 100))))
    await sqlite.close()
    await sqlite.open()
    full = size(path)
    for first in range(1, 1001, 50):
        commit = Commit()
        for n in range(first, first + 50):
            commit.purge(n)
        await sqlite.commit(commit)
    await sqlite.close()

    assert size(path) < full / 2
    assert size(path) < 2 * FREE_PAGES * 4096
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_few_free_pages_are_kept_for_new_work(sqlite: SQLiteStore, path: Path) -> None:
    await sqlite.commit(accepting(*(large(n) for n in range(1, 101))))
    commit = Commit()
    for n in range(1, 101):
        commit.purge(n)
    await sqlite.commit(commit)
    await sqlite.close()

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone()[0] > 50


def large(n: int) -> Invocation:
    plain = invocation(n, kind=Kind.SERVICE, key=None)
    return msgspec.structs.replace(plain, request=msgspec.structs.replace(plain.request, payload=b"x" * 4_000))
