"""A backup is a whole, verified copy, whatever the engine does meanwhile; or it is not there."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from durable import Context, Engine, Options, Service, StoreError, handler
from durable.audit import audit
from durable.backup import backup, restore
from durable.cli import main
from durable.errors import DamagedError
from durable.testing import TestEngine
from tests.audit.planting import Planter

PADDING = "x" * 2_000


class Echo(Service):
    @handler
    async def say(self, ctx: Context, text: str) -> str:
        return await ctx.run("think", str, text)


class Load:
    """Callers that never pause, and what they were told."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.acknowledged: list[int] = []
        self._grew = asyncio.Event()
        self._stopped = False
        self._asked = 0
        self._tasks = [asyncio.ensure_future(self._work()) for _ in range(20)]

    async def _work(self) -> None:
        while not self._stopped:
            self._asked += 1
            n = self._asked
            await self._engine.call(Echo.say.options(idempotency_key=str(n)), PADDING)
            self.acknowledged.append(n)
            self._grew.set()

    async def until(self, count: int) -> None:
        while len(self.acknowledged) < count:
            self._grew.clear()
            await self._grew.wait()

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)


async def known(path: Path, numbers: list[int]) -> bool:
    """Whether a database has an outcome for each of these."""
    async with Engine(path, Echo()) as engine:
        for n in numbers:
            told = await engine.lookup(Echo.say.options(idempotency_key=str(n)))
            assert await told.status() == "completed", n
    return True


def test_a_backup_ends_however_much_is_written_and_is_the_state_of_one_commit(
    planter: Planter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite begins a copy anew, for ever, if somebody else commits before its end and it holds no snapshot."""
    monkeypatch.setattr("durable.store.copy._PAGES", 1)
    target = planter.path.with_name("backup")
    with closing(sqlite3.connect(planter.path, isolation_level=None)) as writer:
        before, steps = list(writer.iterdump()), 0
        ((pages,),) = writer.execute("PRAGMA page_count").fetchall()

        def commit(_: float) -> None:
            nonlocal steps
            steps += 1
            assert steps < 3 * pages, "it began anew"
            writer.execute("UPDATE meta SET epoch = epoch + 1")

        backup(planter.path, target, rest=commit)

        assert steps > pages > 20
        assert list(writer.iterdump()) != before
    with closing(sqlite3.connect(target)) as copied:
        assert list(copied.iterdump()) == before


async def test_a_backup_beside_the_work_has_all_that_was_acknowledged_before_it(tmp_path: Path) -> None:
    async with Engine(tmp_path / "db", Echo()) as engine:
        load = Load(engine)
        before: list[list[int]] = []
        for number in range(3):
            await load.until(300 * (number + 1))
            before.append(load.acknowledged.copy())
            assert (await engine.backup(tmp_path / f"backup{number}")).clean
        grown = len(load.acknowledged) - len(before[-1])
        await load.stop()

    assert grown > 0  # it went on meanwhile
    for number, acknowledged in enumerate(before):
        restore(tmp_path / f"backup{number}", tmp_path / f"restored{number}")
        assert await known(tmp_path / f"restored{number}", acknowledged)


async def test_another_process_backs_up_beside_the_work(tmp_path: Path) -> None:
    async with Engine(tmp_path / "db", Echo(), options=Options(resident=10)) as engine:
        load = Load(engine)
        await load.until(300)
        acknowledged = load.acknowledged.copy()
        command = [sys.executable, "-m", "durable", "backup", tmp_path / "db", tmp_path / "backup"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
        await load.stop()
        assert await engine.call(Echo.say, "hi") == "hi"  # no hand was foreign

    assert (done.returncode, done.stderr) == (0, "")
    restore(tmp_path / "backup", tmp_path / "restored")
    assert await known(tmp_path / "restored", acknowledged)


def test_a_backup_is_one_file_that_only_its_owner_reads(planter: Planter) -> None:
    target = planter.path.with_name("backup")

    assert backup(planter.path, target).clean

    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in planter.path.parent.glob("backup*")] == ["backup"]
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_log_that_was_not_moved_is_in_the_backup(planter: Planter) -> None:
    with closing(sqlite3.connect(planter.path)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0").fetchall()
        connection.execute("INSERT INTO timer VALUES (5, 4711, 1)")
        connection.commit()

        found = backup(planter.path, planter.path.with_name("backup"))

    assert [finding.subject for finding in found.findings] == ["timer of number 4711"]


def test_what_is_there_is_not_written_over(planter: Planter, capsys: pytest.CaptureFixture[str]) -> None:
    target = planter.path.with_name("backup")
    target.write_bytes(b"precious")

    assert main(["backup", os.fspath(planter.path), os.fspath(target)]) == 2

    assert "is there; remove it, or name another file" in capsys.readouterr().err
    assert target.read_bytes() == b"precious"


@pytest.mark.parametrize(("source", "said"), [("nowhere", "could not be copied"), ("empty", "no engine has opened it")])
def test_without_a_database_there_is_no_backup(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "empty").touch()

    with pytest.raises(StoreError, match=said):
        backup(tmp_path / source, tmp_path / "backup")

    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_of_a_database_that_is_not_sound_there_is_no_backup(planter: Planter) -> None:
    planter.overwrite_root("state")

    with pytest.raises(DamagedError, match="is damaged, and so is a copy of it"):
        backup(planter.path, planter.path.with_name("backup"))

    assert list(planter.path.parent.glob("backup*")) == []


def test_what_is_wrong_in_rows_is_said_and_kept(planter: Planter, capsys: pytest.CaptureFixture[str]) -> None:
    planter.execute("DELETE FROM timer")
    target = planter.path.with_name("backup")

    assert main(["backup", os.fspath(planter.path), os.fspath(target)]) == 1

    assert "there is no timer to wake it" in capsys.readouterr().out
    assert [each.invariant for each in audit(target).findings] == ["I9"] * 2


def test_a_backup_that_is_cut_off_leaves_nothing(planter: Planter) -> None:
    def cut_off(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(planter.path, planter.path.with_name("backup"), rest=cut_off)

    assert list(planter.path.parent.glob("backup*")) == []


def test_what_a_killed_backup_left_is_in_nobodys_way(planter: Planter) -> None:
    planter.path.with_name("backup.partial").write_bytes(b"half a backup")

    assert backup(planter.path, planter.path.with_name("backup")).clean

    assert [path.name for path in planter.path.parent.glob("backup*")] == ["backup"]


def test_two_backups_to_one_target_do_not_mix(planter: Planter) -> None:
    target = planter.path.with_name("backup")

    def another(seconds: float) -> None:
        with pytest.raises(StoreError, match=r"in use: process \d+, which is this one, holds .*backup\.partial\.lock"):
            backup(planter.path, target)

    assert backup(planter.path, target, rest=another).clean
    assert [path.name for path in planter.path.parent.glob("backup*")] == ["backup"]


async def test_an_engine_in_memory_has_no_file_to_back_up(tmp_path: Path) -> None:
    async with TestEngine(Echo()) as engine:
        with pytest.raises(StoreError, match="keeps nothing in a file"):
            await engine.backup(tmp_path / "backup")
