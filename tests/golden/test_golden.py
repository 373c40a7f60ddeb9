"""Databases that earlier versions left behind, closed or killed: each is opened, finished, and found in order."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections import Counter
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from durable import Engine, Options, StoreError
from durable.audit import audit
from durable.store.schema import STEPS, recognise
from durable.store.sqlite import SQLiteStore
from tests.crash.nursery import Nursery
from tests.crash.points import ANY_WRITE, Point, die_at
from tests.golden.finish import LIMITS_SINCE, asked, finish, results
from tests.golden.make import HERE, STATUSES, unpack
from tests.golden.services import Outside, services
from tests.store.files import execute, read

GOLDEN = sorted(HERE.glob("*.tar.gz"))
OLDER = [archive for archive in GOLDEN if f"version-{len(STEPS)}-" not in archive.name]

each = partial(pytest.mark.parametrize, "archive", ids=lambda archive: archive.name.removesuffix(".tar.gz"))


def version(archive: Path) -> int:
    return int(re.findall(r"\d+", archive.name)[0])


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


NEVER_WRITTEN = {3, 4}
"""Steps on the way to version 5, of which no engine made a database."""


def test_no_version_is_left_out() -> None:
    versions = set(range(1, len(STEPS) + 1)) - NEVER_WRITTEN
    names = {f"version-{number}-{how}.tar.gz" for number in versions for how in ("closed", "killed")}

    assert {archive.name for archive in GOLDEN} == names


@each(GOLDEN)
def test_a_golden_database_has_all_there_is(archive: Path, tmp_path: Path) -> None:
    path = unpack(archive, tmp_path)

    assert audit(path).findings == ()
    statuses = STATUSES if version(archive) >= LIMITS_SINCE else STATUSES - {"ready"}
    assert {status for (status,) in execute(path, "SELECT status FROM invocation")} == statuses
    assert execute(path, "PRAGMA user_version") == [(version(archive),)]


@pytest.mark.slow
@each(GOLDEN)
async def test_what_was_left_under_way_is_finished(archive: Path, tmp_path: Path) -> None:
    path, outside = unpack(archive, tmp_path), Outside(open=True)
    awakeables = json.loads(read(tmp_path / "awakeables.json"))

    async with (
        asyncio.timeout(60),
        Engine(path, *services(outside), options=Options(cleanup=timedelta(milliseconds=50))) as engine,
    ):
        finished = await finish(engine, version(archive), awakeables)
        found = await engine.audit()

    assert finished == results(version(archive))
    assert Counter(outside.asked) == Counter(asked(version(archive)))
    assert (found.findings, audit(path).findings) == ((), ())
    assert execute(path, "SELECT count(*) FROM invocation WHERE status <> 'completed'") == [(0,)]


@each(OLDER)
async def test_an_upgrade_keeps_what_was_there(archive: Path, tmp_path: Path) -> None:
    path = unpack(archive, tmp_path)
    before = execute(path, "SELECT * FROM invocation ORDER BY n")

    async with Engine(path, *services(Outside(open=False)), options=Options(grace=timedelta(0))):
        pass

    copy = tmp_path / f"db.v{version(archive)}"
    assert audit(copy).findings == ()
    assert execute(copy, "SELECT * FROM invocation ORDER BY n") == before
    assert execute(path, "PRAGMA user_version") == [(len(STEPS),)]


@each(GOLDEN)
async def test_an_older_release_refuses_it_and_changes_no_byte(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, older = unpack(archive, tmp_path), version(archive) - 1
    monkeypatch.setattr("durable.store.database.recognise", partial(recognise, steps=STEPS[:older]))
    before = contents(tmp_path)

    with pytest.raises(StoreError, match=f"schema version {older + 1}, and this release knows versions up to {older};"):
        await Engine(path, *services(Outside(open=False))).__aenter__()

    assert before.items() <= contents(tmp_path).items()


def open_and_die(path: str, when: str, hit: str) -> None:
    """In a child: take the database, if it lives to."""
    die_at(Point(when == "after", ANY_WRITE), int(hit))
    asyncio.run(SQLiteStore(path).open())
    os._exit(0)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@each(OLDER)
async def test_a_death_at_any_statement_of_an_upgrade_makes_no_difference(
    archive: Path, when: str, tmp_path: Path
) -> None:
    with Nursery("tests.golden.test_golden:open_and_die", tmp_path / "log") as nursery:
        for hit in count(1):
            room = tmp_path / f"{hit}"
            path = unpack(archive, room)
            code = nursery.end(nursery.begin(path, when, hit))
            assert audit(path).findings == ()
            assert execute(path, "PRAGMA user_version")[0][0] in (version(archive), len(STEPS))
            async with asyncio.timeout(60), Engine(path, *services(Outside(open=True))) as engine:
                finished = await finish(engine, version(archive), json.loads(read(room / "awakeables.json")))
            assert finished == results(version(archive))
            assert audit(path).findings == ()
            if code == 0:
                break
            assert code == -signal.SIGKILL, nursery.said()

    assert hit > 8
