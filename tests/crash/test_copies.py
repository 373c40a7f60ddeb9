"""The power goes while a copy is made: it is there whole or not at all, and once it was said to be there it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.crash.disk import Disk, File, Operation, Rename, Sync, Write
from tests.crash.power import cut, recorded, survive

FILE: File = ("db.partial", 0)
RENAME = Rename(FILE, "db.partial", "db")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1], ids=["of one that was killed", "of one that was closed"])
def test_a_power_cut_leaves_no_part_of_a_copy(seed: int, tmp_path: Path) -> None:
    log = recorded(seed, work="copies")
    made = cut(log, 40)

    for each in made:
        survive(each, tmp_path / "cut")

    # An upgrade, a backup and a restore, and some cuts after each.
    assert Counter(type(each).__name__ for each in log.operations)["Rename"] == 3
    said = Counter(what for each in made for (what,) in each.history)
    assert 1 < said["restored"] < said["backup"] < said["upgraded"] < len(made)


def left_by(*operations: Operation) -> set[tuple[tuple[str, bytes], ...]]:
    random, disk = Random(1), Disk({"db": b"old"})
    for operation in operations:
        disk.take(operation)
    return {tuple(sorted(disk.after_a_power_cut(random).items())) for _ in range(200)}


def test_a_rename_counts_as_a_whole_once_its_directory_was_synced() -> None:
    written = Write(FILE, 0, b"new"), Sync(FILE), Sync(None)
    before, after = (("db", b"old"), ("db.partial", b"new")), (("db", b"new"),)

    assert left_by(*written, RENAME) == {before, after}
    assert left_by(*written, RENAME, Sync(None)) == {after}


def test_a_file_that_was_renamed_has_what_was_synced_of_it() -> None:
    assert left_by(Write(FILE, 0, b"new"), RENAME, Sync(None)) == {(("db", b""),), (("db", b"new"),)}


def test_what_is_written_under_the_new_name_goes_to_the_file_that_was_renamed() -> None:
    written = Write(FILE, 0, b"new"), Sync(FILE), RENAME, Write(FILE, 0, b"NEW"), Sync(FILE), Sync(None)

    assert left_by(*written) == {(("db", b"NEW"),)}
