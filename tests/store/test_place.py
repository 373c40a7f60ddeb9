"""What a database may be called, and where it may lie."""

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable import Engine
from durable.errors import StoreError
from durable.store.connection import has_reset_bug
from durable.store.place import check_file_system, check_mount, file_system, read_mounts
from durable.store.sqlite import SQLiteStore
from tests.store.files import cut, holder, read, setting, unlink

NOBODY = 65_534


@pytest.fixture
def shelf() -> Iterator[Path]:
    """A directory of an ordinary user, who runs the test: to root everything is allowed."""
    with tempfile.TemporaryDirectory() as name:
        root = os.geteuid() == 0
        if root:
            os.chown(name, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, 0)
        try:
            yield Path(name)
        finally:
            if root:
                os.setresuid(0, 0, 0)
            os.chmod(name, 0o700)


async def refused(path: Path, match: str) -> None:
    """Opening fails, and leaves nothing behind."""
    before = names(path.parent)

    with pytest.raises(StoreError, match=match):
        await SQLiteStore(path).open()

    assert names(path.parent) == before


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory)) if directory.is_dir() else []


@pytest.mark.parametrize("name", [":memory:", "", "file:shop.db", "file::memory:?cache=shared"])
async def test_what_is_no_path_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(StoreError, match=r"test with durable\.testing\.TestEngine"):
        await Engine(name).__aenter__()

    assert names(tmp_path) == []


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    await refused(tmp_path / "nowhere" / "db", "there is no directory .*/nowhere to keep the database in; make it")


async def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    await refused(tmp_path / "file" / "db", "there is no directory .*/file to keep")


async def test_a_directory_is_no_database(tmp_path: Path) -> None:
    await refused(tmp_path, f"{tmp_path} is a directory; name a file in it, like {tmp_path}/durable.db")


async def test_a_pipe_is_no_database(path: Path) -> None:
    os.mkfifo(path)

    await refused(path, "is not a regular file")


async def test_a_directory_that_may_not_be_written_is_named(shelf: Path) -> None:
    os.chmod(shelf, 0o500)

    await refused(shelf / "db", f"may not write in {shelf}: SQLite keeps its log beside the database; give")


async def test_a_directory_that_may_not_be_entered_is_an_error_of_ours(shelf: Path) -> None:
    (shelf / "inner").mkdir(mode=0o000)

    with pytest.raises(StoreError, match="Permission denied"):
        await SQLiteStore(shelf / "inner" / "db").open()


async def test_a_file_that_may_not_be_written_is_named(shelf: Path) -> None:
    (shelf / "db").touch(mode=0o400)

    await refused(shelf / "db", f"may not read and write {shelf}/db; give it to the user")


async def test_a_second_hard_link_is_refused(sqlite: SQLiteStore, path: Path) -> None:
    await sqlite.commit(setting("items", b"1"))
    other = path.with_name("other")
    other.hardlink_to(path)

    await refused(other, r"other has 2 names \(hard links\)")

    await sqlite.commit(setting("items", b"2"))


@pytest.mark.parametrize(("lose", "how"), [(unlink, "missing"), (cut, "empty")])
async def test_a_log_that_outlived_its_database_is_not_thrown_away(path: Path, lose: object, how: str) -> None:
    with holder(path) as process:
        process.kill()
        process.wait()
    log = read(path.with_name("db-wal"))
    assert callable(lose)
    lose(path)

    await refused(path, f"db is {how}, but its log is there")

    assert read(path.with_name("db-wal")) == log


MOUNTS = [
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard",
    "30 27 0:41 / /srv/the\\040share rw,relatime shared:3 - nfs4 server:/share rw,vers=4.2",
    "31 27 254:0 /home/shop.db /app/shop.db rw - ext4 /dev/vda rw",
]


def test_the_file_system_of_a_device_is_found() -> None:
    mounts = [*read_mounts(MOUNTS)]

    assert file_system(os.makedev(0, 41), mounts) == "nfs4"
    assert file_system(os.makedev(254, 0), mounts) == "ext4"
    assert file_system(os.makedev(8, 1), mounts) is None


@pytest.mark.parametrize("kind", ["nfs4", "cifs"])
def test_a_network_file_system_is_refused(kind: str) -> None:
    with pytest.raises(StoreError, match=rf"/srv is on a network file system \({kind}\).* on a local disk"):
        check_file_system(Path("/srv"), kind)


@pytest.mark.parametrize(("kind", "warnings"), [("fuse.sshfs", 1), ("virtiofs", 1), ("ext4", 0), (None, 0)])
def test_a_file_system_that_may_be_remote_is_worth_a_warning(
    kind: str | None, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    check_file_system(Path("/srv"), kind)

    assert len(caplog.records) == warnings


def test_a_file_that_is_mounted_alone_is_refused() -> None:
    mounts = [*read_mounts(MOUNTS)]

    check_mount(Path("/srv/the share/shop.db"), mounts)
    with pytest.raises(StoreError, match=r"/app/shop\.db is mounted alone.* mount its directory"):
        check_mount(Path("/app/shop.db"), mounts)


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 40, 1), True), ((3, 44, 5), True), ((3, 44, 6), False), ((3, 45, 0), True), ((3, 50, 6), True),
        ((3, 50, 7), False), ((3, 51, 0), True), ((3, 51, 2), True), ((3, 51, 3), False), ((3, 53, 0), False),
    ],
)  # fmt: skip
def test_a_sqlite_that_can_corrupt_a_shared_database_is_known(version: tuple[int, int, int], affected: bool) -> None:
    assert has_reset_bug(version) is affected


async def test_such_a_sqlite_is_worth_a_line_in_the_log(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 51, 2))
    store = SQLiteStore(path)

    with caplog.at_level(logging.INFO, "durable.store"):
        await store.open()

    assert "a second program writes to" in caplog.text
    await store.close()
