"""Files that go, or are written by others, while an engine has them open."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from durable.errors import StoreError
from durable.store.files import Files
from durable.store.sqlite import SQLiteStore
from tests.store.files import cut, execute, read, setting
from tests.store.samples import CART

# In another process: to open and close the database in this one would drop SQLite's locks.
OVERWRITE = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_bytes(b'?' * 1_000_000)"


def remove(file: Path) -> None:
    file.unlink()


def rename(file: Path) -> None:
    file.rename(file.with_name("gone"))


def replace(file: Path) -> None:
    rename(file)
    file.touch()


def halve(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def overwrite(file: Path) -> None:
    subprocess.run([sys.executable, "-c", OVERWRITE, file], check=True)


def read_elsewhere(file: Path) -> bytes:
    return subprocess.run(["cat", file], check=True, capture_output=True).stdout


def faults(*names: str, of: tuple[Callable[[Path], None], ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("name", "fault"), [pytest.param(name, fault, id=f"{name}-{fault.__name__}") for name in names for fault in of]
    )


async def fill(store: SQLiteStore) -> None:
    """More than one page in the log, and an old state of it in the database."""
    for number in range(20):
        await store.commit(setting(f"item{number}", os.urandom(3_000)))


@faults("db", "db-wal", of=(remove, rename, replace, cut, halve, overwrite))
async def test_a_file_that_went_stops_the_engine_before_its_next_commit_returns(
    sqlite: SQLiteStore, path: Path, name: str, fault: Callable[[Path], None]
) -> None:
    await fill(sqlite)

    fault(path.with_name(name))

    with pytest.raises(StoreError, match=rf"{name} was (removed|replaced|cut short|written by another program)"):
        await sqlite.commit(setting("items", b"2"))
    with pytest.raises(StoreError, match="outcome is unknown"):
        await sqlite.commit(setting("items", b"3"))


async def test_a_log_that_is_replaced_while_it_is_moved_is_noticed(sqlite: SQLiteStore, path: Path) -> None:
    await sqlite.commit(setting("items", b"1"))
    files = Files(path)
    files.adopt()

    replace(path.with_name("db-wal"))

    with pytest.raises(StoreError, match="db-wal was replaced"):
        files.adopt()
    with pytest.raises(StoreError, match="db-wal was replaced"):
        await sqlite.close()


# Cut short, the mapped index raises SIGBUS, which ends the process before it can acknowledge anything.
@faults("db-shm", of=(remove, rename, replace))
async def test_an_index_that_went_stops_the_engine_and_loses_nothing(
    sqlite: SQLiteStore, path: Path, name: str, fault: Callable[[Path], None]
) -> None:
    await sqlite.commit(setting("items", b"1"))

    fault(path.with_name(name))

    with pytest.raises(StoreError, match=r"db-shm was (removed|replaced)"):
        await sqlite.commit(setting("items", b"2"))
    await sqlite.close()
    await sqlite.open()
    assert (await sqlite.load_instance(CART)).state == {"items": b"1"}


@faults("db", "db-wal", of=(remove, replace, cut, halve, overwrite))
async def test_a_close_notices_too(sqlite: SQLiteStore, path: Path, name: str, fault: Callable[[Path], None]) -> None:
    await fill(sqlite)

    fault(path.with_name(name))

    with pytest.raises(StoreError, match=f"{name} was"):
        await sqlite.close()


@faults("db-wal", of=(replace, cut, halve, overwrite))
async def test_a_log_that_another_wrote_is_not_moved_into_the_database(
    sqlite: SQLiteStore, path: Path, name: str, fault: Callable[[Path], None]
) -> None:
    await fill(sqlite)
    before = read_elsewhere(path)

    fault(path.with_name(name))

    with pytest.raises(StoreError):
        await sqlite.commit(setting("items", b"2"))
    await sqlite.close()
    assert read(path) == before


async def test_a_log_that_lost_its_name_is_moved_into_the_database(sqlite: SQLiteStore, path: Path) -> None:
    await sqlite.commit(setting("items", b"1"))
    path.with_name("db-wal").unlink()
    with pytest.raises(StoreError, match="was removed"):
        await sqlite.commit(setting("items", b"2"))

    await sqlite.close()

    assert execute(path, "SELECT value FROM state") == [(b"1",)]


async def test_a_row_that_another_wrote_stops_the_engine(sqlite: SQLiteStore, path: Path) -> None:
    await sqlite.commit(setting("items", b"1"))

    execute(path, "UPDATE state SET value = x'32'")

    with pytest.raises(StoreError, match="db-wal was written by another program"):
        await sqlite.commit(setting("items", b"3"))


async def test_a_reader_stops_nothing(sqlite: SQLiteStore, path: Path) -> None:
    await fill(sqlite)

    with closing(sqlite3.connect(path)) as connection, closing(sqlite3.connect(path.with_name("copy"))) as copy:
        assert connection.execute("SELECT count(*) FROM state").fetchone() == (20,)
        connection.backup(copy)

    await sqlite.commit(setting("items", b"2"))
    assert execute(path.with_name("copy"), "SELECT count(*) FROM state") == [(20,)]
