"""The power goes, anywhere: what was acknowledged is there, no half of anything is, and the next engine goes on.

The figures of a long run are in docs/reliability.md, with its command.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.crash.disk import SECTOR, Cut, Disk, File, Sync, Unlink, Write
from tests.crash.orders import Lost
from tests.crash.power import cut, recorded, survive

CUTS = 120
FILE: File = ("db", 0)


@pytest.mark.slow
def test_a_power_cut_takes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    log = recorded(seed=1)
    made = cut(log, CUTS)

    for each in made:
        survive(each, tmp_path / "cut")

    assert Counter(type(each).__name__ for each in log.operations)["Sync"] > 40
    assert sum(len(each.history) > 0 for each in made) > CUTS / 2


@pytest.mark.slow
def test_without_syncs_the_same_power_cuts_take_what_was_acknowledged(tmp_path: Path) -> None:
    """So the test above can fail; and what is left is nevertheless consistent, or it would fail otherwise."""
    lost = 0
    for made in cut(recorded(seed=2, durability="process"), 40):
        try:
            survive(made, tmp_path / "cut")
        except Lost:
            lost += 1

    assert lost > 5


def left_by(disk: Disk, cuts: int = 200) -> set[bytes | None]:
    random = Random(1)
    return {disk.after_a_power_cut(random).get("db") for _ in range(cuts)}


def test_what_was_synced_is_there_whatever_comes_later() -> None:
    disk = Disk()
    for operation in (Write(FILE, 0, b"old"), Sync(FILE), Sync(None), Write(FILE, 0, b"new")):
        disk.take(operation)

    assert left_by(disk) == {b"old", b"new"}


def test_a_file_whose_directory_was_not_synced_may_be_missing_or_empty() -> None:
    disk = Disk()
    disk.take(Write(FILE, 0, b"new"))

    assert left_by(disk) == {None, b"", b"new"}


def test_a_write_is_torn_between_its_sectors_and_nowhere_else() -> None:
    disk = Disk()
    for operation in (Write(FILE, 0, b"a" * 2 * SECTOR), Sync(FILE), Sync(None), Write(FILE, 0, b"b" * 2 * SECTOR)):
        disk.take(operation)

    assert left_by(disk) == {left * SECTOR + right * SECTOR for left in (b"a", b"b") for right in (b"a", b"b")}


def test_later_writes_may_be_there_without_earlier_ones() -> None:
    disk = Disk()
    for operation in (Sync(FILE), Sync(None), Write(FILE, 0, b"1"), Write(FILE, SECTOR, b"2"), Cut(FILE, 0)):
        disk.take(operation)

    assert {b"", b"1", bytes(SECTOR) + b"2", b"1" + bytes(SECTOR - 1) + b"2"} <= left_by(disk)


def test_a_file_that_was_removed_may_come_back_until_its_directory_is_synced() -> None:
    disk = Disk()
    for operation in (Write(FILE, 0, b"1"), Sync(FILE), Sync(None), Unlink("db")):
        disk.take(operation)
    before = left_by(disk)
    disk.take(Sync(None))

    assert (before, left_by(disk)) == ({b"1", None}, {None})
