"""One damaged row, whichever: the engine opens and goes on, and nobody else is told anything else than without it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from durable.errors import DamagedError
from tests.runtime.damage import Column, Database, columns, damage, flipped, mistyped

pytestmark = pytest.mark.slow

Change = Callable[[object], object]

# SQLite itself holds them to be integers.
NUMBERS = {("meta", "one"), ("invocation", "n"), ("suspect", "n")}
# These are everybody's. A high epoch is as good as the right one.
REFUSED = {(("meta", "secret"), flipped), (("meta", "secret"), mistyped), (("meta", "epoch"), mistyped)}
# What a row is found by has no copy: the row is as good as gone, and what it said is missing.
HIDING = {("invocation", "id"), ("state", "service"), ("state", "key"), ("promise", "service"), ("promise", "key")}
# Rows with checksums: whoever asks for one is told.
CHECKED = {"invocation", "journal", "state", "promise"}
# Whoever waits goes on waiting.
UNFINISHED = {"suspended", "pending", "paused", "backing-off", "scheduled", "nothing yet"}

EVERY: list[tuple[Column, Change]] = [
    *((column, flipped) for column in columns()),
    *((column, mistyped) for column in columns() if column not in NUMBERS),
]
CASES = [
    pytest.param(column, change, id=f"{column[0]}.{column[1]}-{change.__name__}")
    for column, change in EVERY
    if (column, change) not in REFUSED
]


@pytest.fixture(scope="module")
async def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    database = Database(tmp_path_factory.mktemp("damage"))
    await database.fill()
    return database


@pytest.fixture(scope="module")
async def intact(database: Database, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What everybody is told if nothing is damaged."""
    victim, bystander = await database.use(database.copy(tmp_path_factory.mktemp("intact")))
    assert victim == bystander
    assert [what for what, answer in victim.items() if answer in UNFINISHED] == ["fail"]
    return victim


@pytest.mark.parametrize(("column", "change"), CASES)
async def test_a_damaged_row_harms_nobody_else(
    database: Database,
    intact: dict[str, str],
    tmp_path: Path,
    column: Column,
    change: Change,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = database.copy(tmp_path)
    # After a crash SQLite is asked too, and knows of types only.
    damage(path, database.halves[0], column, change, crashed=change is mistyped)

    victim, bystander = await database.use(path)

    assert bystander == intact
    if column in HIDING:
        return
    for what, answer in victim.items():
        assert answer == intact[what] or answer in UNFINISHED or "DamagedError" in answer, what
    if column[0] in CHECKED:
        assert any("DamagedError" in answer for answer in victim.values())
        assert any(record.levelno == logging.CRITICAL for record in caplog.records)


@pytest.mark.parametrize(("column", "change"), sorted(REFUSED, key=str))
async def test_damage_to_what_is_everybodys_is_refused(
    database: Database, tmp_path: Path, column: Column, change: Change
) -> None:
    path = database.copy(tmp_path)
    damage(path, database.halves[0], column, change, crashed=False)

    with pytest.raises(DamagedError, match=r"db cannot be opened: the .*restore the database from a backup"):
        await database.use(path)
