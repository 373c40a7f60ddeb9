"""A backup becomes a database again, which knows it; and nothing is written over."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from durable import Awakeable, Context, Engine, Service, StoreError, handler
from durable.audit import audit
from durable.backup import backup, restore
from durable.cli import main
from durable.errors import InvocationNotFoundError
from durable.store.connection import configure, connect
from durable.store.schema import STEPS, migrate
from tests.runtime.damage import Database


class Asker(Service):
    def __init__(self) -> None:
        self.asked = asyncio.Queue[str]()

    @handler
    async def ask(self, ctx: Context) -> str:
        answer: Awakeable[str] = ctx.awakeable(str)
        await ctx.run("ask", self.asked.put, answer.id)
        return await answer

    @handler
    async def count(self, ctx: Context, n: int) -> int:
        return n


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    database = Database(tmp_path_factory.mktemp("restore"))
    anyio.run(database.fill)
    return database


@pytest.fixture
def copied(database: Database, tmp_path: Path) -> Path:
    backup(database.path, tmp_path / "backup")
    return tmp_path / "backup"


def meta(path: Path) -> tuple[int, int, int | None]:
    with closing(sqlite3.connect(path)) as connection:
        found: tuple[int, int, int | None] = connection.execute("SELECT epoch, clean, restored_ms FROM meta").fetchone()
        return found


async def test_a_restored_database_goes_on_where_the_backup_was_made(database: Database, copied: Path) -> None:
    path = copied.with_name("db")
    intact = await database.use(database.copy(copied.parent))
    for name in ("db", "db-wal", "db-shm"):
        path.with_name(name).unlink(missing_ok=True)

    assert restore(copied, path).clean

    assert await database.use(path) == intact


def test_it_knows_when_and_has_an_epoch_that_no_other_copy_will_have(database: Database, copied: Path) -> None:
    path = copied.with_name("db")
    epoch, _, restored_ms = meta(database.path)
    assert restored_ms is None
    before = datetime.now(UTC)

    restore(copied, path)

    after, clean, restored_ms = meta(path)
    assert (after, clean) == (epoch + 1_000_000, 0)
    assert restored_ms is not None
    assert abs(datetime.fromtimestamp(restored_ms / 1000, UTC) - before) < timedelta(minutes=1)


async def test_an_engine_tells_when_its_database_was_restored(copied: Path) -> None:
    path = copied.with_name("db")
    async with Engine(path) as engine:
        assert engine.restored_at is None
        await engine.backup(copied.with_name("second"))

    restore(copied.with_name("second"), copied.with_name("other"))

    async with Engine(copied.with_name("other")) as engine:
        assert engine.restored_at is not None
        assert engine.restored_at.tzinfo is UTC


async def test_what_was_accepted_after_the_backup_is_forgotten_and_may_run_again(tmp_path: Path) -> None:
    asker, once = Asker(), Asker.count.options(idempotency_key="once")
    async with Engine(tmp_path / "db", asker) as engine:
        asking = await engine.send(Asker.ask)
        before = await asker.asked.get()
        await engine.backup(tmp_path / "backup")
        assert await engine.call(once, 1) == 1
        late = await engine.send(Asker.ask)
        after = await asker.asked.get()

    restore(tmp_path / "backup", tmp_path / "restored")

    async with Engine(tmp_path / "restored", asker) as engine:
        await engine.awakeable(before).resolve("yes")
        assert await engine.invocation(asking.id).result() == "yes"
        with pytest.raises(InvocationNotFoundError):
            await engine.awakeable(after).resolve("lost")
        with pytest.raises(InvocationNotFoundError):
            await engine.invocation(late.id).status()
        assert await engine.call(once, 2) == 2  # the key is free again


def test_what_is_there_is_not_written_over(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copied.with_name("db")
    path.write_bytes(b"precious")

    assert main(["restore", os.fspath(copied), os.fspath(path)]) == 2

    assert f"{path} is there; move it away" in capsys.readouterr().err
    assert path.read_bytes() == b"precious"


async def test_under_a_running_engine_nothing_is_restored(copied: Path) -> None:
    path = copied.with_name("db")
    async with Engine(path):
        path.rename(path.with_name("moved"))

        with pytest.raises(StoreError, match="the database is in use: process"):
            restore(copied, path)

        path.with_name("moved").rename(path)


def test_a_log_that_was_left_is_not_taken_for_the_backups(copied: Path) -> None:
    """SQLite would replay it onto the restored file, without an error."""
    path = copied.with_name("db")
    path.with_name("db-wal").write_bytes(b"acknowledged")

    with pytest.raises(StoreError, match=f"may hold work that was acknowledged; move {path}-wal away"):
        restore(copied, path)

    assert not path.exists()


def test_an_empty_log_does_not_matter(copied: Path) -> None:
    path = copied.with_name("db")
    path.with_name("db-wal").touch()

    assert restore(copied, path).clean

    assert audit(path).clean


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_what_is_no_backup_is_not_restored(copied: Path, damage: str) -> None:
    raw = copied.read_bytes()
    copied.write_bytes(raw[: len(raw) // 2] if damage == "cut" else b"no database " * 1000)

    with pytest.raises(StoreError):
        restore(copied, copied.with_name("db"))

    assert sorted(path.name for path in copied.parent.iterdir()) == ["backup", "db.lock"]


async def test_a_backup_of_an_older_release_is_upgraded(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "old")) as connection:
        configure(connection)
        migrate(connection, tmp_path / "old", STEPS[:1])
    backup(tmp_path / "old", tmp_path / "backup")

    assert restore(tmp_path / "backup", tmp_path / "db").clean

    async with Engine(tmp_path / "db") as engine:
        assert engine.restored_at is not None
        assert not await anyio.Path(tmp_path / "db.v1").exists()


def test_a_restored_database_can_be_backed_up_and_restored_again(copied: Path) -> None:
    restore(copied, copied.with_name("one"))
    backup(copied.with_name("one"), copied.with_name("backup2"))

    restore(copied.with_name("backup2"), copied.with_name("two"))

    assert meta(copied.with_name("two"))[0] == meta(copied.with_name("one"))[0] + 1_000_000
