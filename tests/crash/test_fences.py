"""Two processes and one file: one of them works on it, whatever happens to the other and to the lock between them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from durable import Engine, EngineStoppedError, StoreError
from durable.audit import audit
from tests.crash.nursery import Nursery
from tests.crash.served import Tally

REFUSED, FENCED = 3, 70


def take(directory: str, mine: str, other: str) -> None:
    """Take the file, and keep it until the other one was refused."""

    async def keep() -> None:
        try:
            async with Engine(Path(directory) / "db", Tally()):
                await asyncio.to_thread(until, (Path(directory) / f"refused {other}").exists)
        except StoreError as error:
            if "the database is in use" not in str(error):
                raise
            (Path(directory) / f"refused {mine}").touch()
            raise SystemExit(REFUSED) from error

    asyncio.run(keep())


@pytest.mark.slow
def test_of_two_processes_that_start_at_once_one_works(tmp_path: Path) -> None:
    with Nursery("tests.crash.test_fences:take", tmp_path / "log") as nursery:
        for number in range(10):
            room = tmp_path / f"{number}"
            room.mkdir()

            both = [nursery.begin(room, mine, other) for mine, other in ("ab", "ba")]

            assert sorted(map(nursery.end, both)) == [0, REFUSED], nursery.said()
            assert audit(room / "db").findings == ()


def bump(directory: str, name: str) -> None:
    """Work, and tell every number that was acknowledged, until another engine has taken the file."""

    async def work() -> None:
        async with Engine(Path(directory) / "db", Tally()) as engine:
            with (Path(directory) / name).open("a", buffering=1) as told:
                while True:
                    told.write(f"{await engine.call(Tally.bump, 'key', name)}\n")
                    await asyncio.sleep(0.01)

    try:
        asyncio.run(work())
    except EngineStoppedError as error:
        raise SystemExit(FENCED) from error


@pytest.mark.slow
def test_a_stopped_engine_whose_lock_was_taken_commits_nothing_more(tmp_path: Path) -> None:
    with Nursery("tests.crash.test_fences:bump", tmp_path / "log") as nursery:
        for number in range(4):
            room = tmp_path / f"{number}"
            room.mkdir()
            zombie = nursery.begin(room, "zombie")
            until(lambda room=room: len(told(room / "zombie")) > 3)
            os.kill(zombie, signal.SIGSTOP)
            (room / "db.lock").unlink()

            heir = nursery.begin(room, "heir")
            until(lambda room=room: len(told(room / "heir")) > 3)
            os.kill(zombie, signal.SIGCONT)

            assert nursery.end(zombie) == FENCED, nursery.said()
            nursery.kill(heir)
            numbers = told(room / "zombie") + told(room / "heir")
            assert len({*numbers}) == len(numbers)
            assert max(numbers) <= len(numbers) + 2  # of each, one was made and never told
            assert audit(room / "db").findings == ()


def told(path: Path) -> list[int]:
    return [*map(int, path.read_text().split())] if path.exists() else []


def until(done: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < 30, "nothing moves"
        time.sleep(0.005)
