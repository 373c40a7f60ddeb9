"""One engine at a time."""

import os
import signal
from pathlib import Path

import pytest

from durable.errors import StoreError
from durable.store.sqlite import SQLiteStore
from tests.store.files import holder, orphan
from tests.store.samples import CART, accepting, invocation


@pytest.mark.slow
async def test_a_second_engine_is_refused_and_told_who_holds_the_database(path: Path) -> None:
    with holder(path) as process:
        with pytest.raises(StoreError, match=f"process {process.pid} holds"):
            await SQLiteStore(path).open()
        process.communicate()


@pytest.mark.slow
async def test_a_second_name_of_the_file_does_not_help(path: Path) -> None:
    other = path.with_name("other")
    other.symlink_to(path)
    with holder(path) as process:
        with pytest.raises(StoreError, match=f"process {process.pid} holds"):
            await SQLiteStore(other).open()
        process.communicate()


@pytest.mark.slow
async def test_a_killed_engine_leaves_its_commits_and_no_lock(path: Path) -> None:
    with holder(path, commits=3) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        store = SQLiteStore(path)

        await store.open()

    assert (await store.load_instance(CART)).state == {"items": b"2"}
    await store.close()


async def test_the_same_process_cannot_open_the_database_twice(sqlite: SQLiteStore, path: Path) -> None:
    with pytest.raises(
        StoreError, match=f"process {os.getpid()}, which is this one, holds .*; close the engine that it has"
    ):
        await SQLiteStore(path).open()

    await sqlite.commit(accepting(invocation(1)))


@pytest.mark.slow
async def test_a_child_of_fork_holds_no_lock_and_cannot_commit(path: Path) -> None:
    with orphan(path) as said:
        assert "opened before a fork" in said
        store = SQLiteStore(path)

        await store.open()

        await store.close()
