"""One flipped bit, anywhere in a file: it is found, or it changed nothing."""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from durable.audit import audit
from durable.audit.repair import repair
from durable.errors import StoreError
from tests.runtime.damage import Database

FLIPS = int(os.environ.get("AUDIT_FLIPS", "400"))
SEED = 20261124

pytestmark = pytest.mark.slow


def contents(path: Path) -> dict[str, list[str]]:
    """Every row of every table, but for an epoch, of which one is as good as another."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        tables = sorted(name.decode() for (name,) in found)
        columns = {table: "one, clean, secret" if table == "meta" else "*" for table in tables}
        return {
            table: sorted(map(repr, connection.execute(f"SELECT {columns[table]} FROM {table}"))) for table in tables
        }


def look(path: Path, intact: dict[str, list[str]]) -> str:
    try:
        found = audit(path).findings
    except StoreError:
        return "refused"
    if found:
        return "found"
    return "nothing changed" if contents(path) == intact else "unnoticed"


def mend(path: Path) -> None:
    """It may refuse; it may do no harm, and may not fail in another way."""
    known = {each.invariant for each in audit(path).findings}
    try:
        left = repair(path).left
    except StoreError:
        return
    assert {each.invariant for each in left} <= known
    assert {each.invariant for each in audit(path).findings} == {each.invariant for each in left}


def test_no_flipped_bit_goes_unnoticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database, rng, seen = Database(tmp_path), random.Random(SEED), Counter[str]()
    anyio.run(database.fill)
    raw, intact = database.path.read_bytes(), contents(database.path)

    for flip in range(FLIPS):
        path = tmp_path / str(flip)
        path.mkdir()
        damaged = bytearray(raw)
        at = rng.randrange(len(raw))
        damaged[at] ^= 1 << rng.randrange(8)
        (path / "db").write_bytes(damaged)
        what = look(path / "db", intact)
        seen[what] += 1
        assert what != "unnoticed", at
        if what == "found":
            mend(path / "db")

    with capsys.disabled():
        print(f"\nseed {SEED}: {FLIPS} bits flipped: {dict(seen)}")
    assert seen["found"] >= FLIPS // 20  # much of a small file is empty
