"""Whose file it is, and which version."""

import stat
from contextlib import closing
from pathlib import Path

import pytest

from durable.errors import StoreError
from durable.store.connection import configure, connect
from durable.store.schema import APPLICATION_ID, STEPS, migrate
from durable.store.sqlite import SQLiteStore
from tests.store.files import execute, read, setting, unlink, write

NEWEST = len(STEPS)


async def refused(path: Path, match: str) -> None:
    """Opening fails, and leaves every byte as it was."""
    before = read(path)

    with pytest.raises(StoreError, match=match):
        await SQLiteStore(path).open()

    assert read(path) == before


async def test_a_newer_schema_is_refused(sqlite: SQLiteStore, path: Path) -> None:
    await sqlite.close()
    execute(path, "PRAGMA user_version=99")

    await refused(path, f"schema version 99, and this release knows versions up to {NEWEST}; install")


@pytest.mark.parametrize("identity", ["PRAGMA user_version=0", "PRAGMA application_id=4711"])
async def test_another_programs_database_is_refused(path: Path, identity: str) -> None:
    execute(path, "CREATE TABLE t (x)", identity)

    await refused(path, "another program's database")


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    write(path, b"no database " * 1000)

    await refused(path, "cannot be opened: file is not a database; give the engine a path of its own, or restore")


async def test_a_refused_store_can_be_opened_later(path: Path) -> None:
    write(path, b"no database " * 1000)
    store = SQLiteStore(path)
    with pytest.raises(StoreError):
        await store.open()
    unlink(path)

    assert (await store.open()).epoch == 1

    await store.close()


async def test_a_failed_migration_leaves_the_rows_as_they_were(sqlite: SQLiteStore, path: Path) -> None:
    await sqlite.commit(setting("items", b"1"))
    await sqlite.close()
    steps = [*STEPS, "ALTER TABLE state ADD COLUMN note TEXT; DELETE FROM state; INSERT INTO nowhere VALUES (1);"]
    before = read(path)

    with closing(connect(path)) as connection:
        with pytest.raises(
            StoreError, match=f"from schema version {NEWEST} to {NEWEST + 1} and is unchanged: no such table"
        ):
            migrate(connection, path, steps)
        assert not connection.in_transaction

    assert read(path) == before
    assert execute(path, "PRAGMA user_version") == [(NEWEST,)]


async def test_a_migration_upgrades_in_one_transaction_and_keeps_a_copy(sqlite: SQLiteStore, path: Path) -> None:
    await sqlite.commit(setting("items", b"1"))
    await sqlite.close()
    steps = [*STEPS, "ALTER TABLE state ADD COLUMN note TEXT; UPDATE state SET note = 'a;b';", "DROP TABLE timer;"]

    with closing(connect(path)) as connection:
        migrate(connection, path, steps)
        migrate(connection, path, steps)

    copy = path.with_name(f"db.v{NEWEST}")
    assert execute(path, "PRAGMA user_version") == [(NEWEST + 2,)]
    assert execute(path, "SELECT value, note FROM state") == [(b"1", "a;b")]
    assert execute(copy, "SELECT value FROM state") == [(b"1",)]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_database_of_version_1_knows_of_no_backup(path: Path) -> None:
    with closing(connect(path)) as connection:
        configure(connection)
        migrate(connection, path, STEPS[:1])
        connection.execute("UPDATE meta SET epoch = 7")

        migrate(connection, path)

        assert connection.execute("SELECT epoch, clean, restored_ms FROM meta").fetchall() == [(7, 1, None)]


async def test_creation_that_was_interrupted_is_taken_up_again(path: Path) -> None:
    with closing(connect(path)) as connection:
        configure(connection)
        with pytest.raises(StoreError):
            migrate(connection, path, [STEPS[0] + "INSERT INTO nowhere VALUES (1);"])
    store = SQLiteStore(path)

    assert (await store.open()).epoch == 1

    await store.close()
    assert execute(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
