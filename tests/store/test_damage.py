"""Disks that fill, commits that fail, bits that flip."""

from pathlib import Path

import anyio
import pytest

from durable.core.entries import Run
from durable.core.invocation import Status
from durable.core.outcome import Failure, Success
from durable.errors import DamagedError, DiskFullError, StoreError
from durable.store.connection import pragma
from durable.store.queries import QUERIES
from durable.store.sqlite import SQLiteStore
from tests.store.files import execute, flip, setting
from tests.store.samples import CART, accepting, id_of, invocation


async def test_a_full_disk_in_the_middle_of_a_commit_keeps_nothing_of_it(sqlite: SQLiteStore, path: Path) -> None:
    await sqlite.commit(accepting(invocation(1)))
    assert sqlite._writer is not None
    pages = await sqlite._writer.run(pragma, sqlite._writer._conn, "page_count")
    await sqlite._writer.run(pragma, sqlite._writer._conn, f"max_page_count={pages}")
    commit = accepting(*(invocation(n) for n in range(2, 500)))
    commit.append(1, 0, Run(1, "charge"))

    with pytest.raises(DiskFullError, match=f"the disk of {path} is full"):
        await sqlite.commit(commit)

    await sqlite.close()
    await sqlite.open()
    assert await sqlite.running(after=0, limit=9) == [(1, id_of(1))]
    loaded = await sqlite.load(id_of(1))
    assert loaded is not None
    assert loaded.entries == []


async def test_a_commit_that_found_no_room_can_be_made_later(sqlite: SQLiteStore) -> None:
    await sqlite.commit(accepting(invocation(1)))
    assert sqlite._writer is not None
    await sqlite._writer.run(pragma, sqlite._writer._conn, "max_page_count=1")
    commit = accepting(*(invocation(n) for n in range(2, 500)))
    commit.append(1, 0, Run(1, "charge"))
    for _ in range(3):
        with pytest.raises(DiskFullError):
            await sqlite.commit(commit)
        assert await sqlite.running(after=0, limit=9) == [(1, id_of(1))]
    await sqlite._writer.run(pragma, sqlite._writer._conn, f"max_page_count={1 << 30}")

    await sqlite.commit(commit)

    assert len(await sqlite.running(after=0, limit=999)) == 499


async def test_no_statement_follows_an_error_but_a_rollback(sqlite: SQLiteStore) -> None:
    assert sqlite._writer is not None
    pages = await sqlite._writer.run(pragma, sqlite._writer._conn, "page_count")
    await sqlite._writer.run(pragma, sqlite._writer._conn, f"max_page_count={pages}")
    commit = accepting(*(invocation(n) for n in range(2, 500)))
    commit.append(2, 0, Run(1, "charge"))
    statements: list[str] = []
    await sqlite._writer.set_trace_callback(statements.append)

    with pytest.raises(StoreError):
        await sqlite.commit(commit)

    failed = max(number for number, each in enumerate(statements) if each.startswith("INSERT INTO invocation"))
    assert [each for each in statements[failed + 1 :] if not each.startswith("PRAGMA")] in ([], ["ROLLBACK"])


async def test_a_value_that_sqlite_cannot_hold_fails_its_commit(sqlite: SQLiteStore) -> None:
    with pytest.raises(StoreError, match="OverflowError"):
        await sqlite.commit(accepting(invocation(1, due_ms=1 << 63)))

    await sqlite.close()
    await sqlite.open()
    assert await sqlite.load(id_of(1)) is None


async def test_a_cancelled_commit_is_the_last(sqlite: SQLiteStore) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await sqlite.commit(accepting(invocation(1)))

    with pytest.raises(StoreError, match="outcome is unknown"):
        await sqlite.commit(accepting(invocation(2)))


async def test_an_unknown_outcome_is_not_a_clean_close(sqlite: SQLiteStore, path: Path) -> None:
    with pytest.raises(StoreError):
        await sqlite.commit(accepting(invocation(1, due_ms=1 << 63)))

    await sqlite.close()

    assert execute(path, "SELECT clean FROM meta") == [(0,)]


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        ("UPDATE journal SET entries = {flipped}", "the journal of invocation number 1 at entry 0"),
        ("UPDATE journal SET position = 1", "the journal of invocation number 1 at entry 1"),
        ("UPDATE invocation SET request = {flipped}", "the request of invocation inv_1.* .number 1."),
        ("UPDATE invocation SET failure = {flipped}", "the row of invocation inv_1"),
        ("UPDATE invocation SET failure = NULL", "the row of invocation inv_1"),
        ("DELETE FROM journal", "the end of the journal of invocation number 1, from entry 0 on"),
    ],
)
async def test_damage_to_an_invocation_is_found_when_it_is_loaded(
    sqlite: SQLiteStore, path: Path, damage: str, match: str
) -> None:
    commit = accepting(invocation(1, failure=Failure(500, "down"), entries=1))
    commit.append(1, 0, Run(1, "charge"))
    await sqlite.commit(commit)
    await sqlite.close()
    flip(path, damage, damage.partition("SET ")[2].partition(" ")[0] or "entries")

    await sqlite.open()

    with pytest.raises(DamagedError, match=match):
        await sqlite.load(id_of(1))


async def test_an_outcome_outlives_its_journal(sqlite: SQLiteStore, path: Path) -> None:
    commit = accepting(invocation(1, status=Status.COMPLETED, outcome=Success(b"done"), entries=1))
    commit.append(1, 0, Run(1, "charge"))
    await sqlite.commit(commit)
    await sqlite.close()
    flip(path, "UPDATE journal SET entries = {flipped}", "entries")

    await sqlite.open()

    loaded = await sqlite.load(id_of(1))
    assert loaded is not None
    assert (loaded.invocation.outcome, loaded.entries) == (Success(b"done"), [])


@pytest.mark.parametrize(("table", "column"), [("state", "value"), ("promise", "outcome")])
async def test_damage_to_a_key_is_found_when_it_is_loaded(
    sqlite: SQLiteStore, path: Path, table: str, column: str
) -> None:
    commit = setting("items", b"12345")
    commit.promises[*CART, "items"] = Success(b"yes")
    await sqlite.commit(commit)
    await sqlite.close()
    flip(path, f"UPDATE {table} SET {column} = {{flipped}}", column)

    await sqlite.open()

    with pytest.raises(DamagedError, match=f"{table} 'items' of Cart/mary"):
        await sqlite.load_instance(CART)


async def test_damage_to_the_structure_is_found_after_a_crash(sqlite: SQLiteStore, path: Path) -> None:
    await sqlite.commit(accepting(*(invocation(n) for n in range(1, 50))))
    await sqlite.close()
    execute(path, "UPDATE meta SET clean = 0")
    pages = execute(path, "SELECT rootpage FROM sqlite_master WHERE name = 'invocation_running'")
    with path.open("r+b") as file:
        file.seek((int(str(pages[0][0])) - 1) * 4096)
        file.write(bytes(4096))

    with pytest.raises(DamagedError, match="cannot be opened: its structure is damaged; restore it from a backup"):
        await sqlite.open()


async def test_a_database_that_cannot_be_read_is_named(
    sqlite: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUERIES, "state", "SELECT * FROM gone WHERE service = ? AND key = ?")

    with pytest.raises(StoreError, match=f"^{path}: OperationalError: no such table"):
        await sqlite.load_instance(CART)
