"""What the disk costs: a bare fdatasync of one page, and a bare commit of one row, one after the other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

from benchmarks.ceiling import connect
from benchmarks.load import Load, Run, drive
from benchmarks.services import PAYLOAD

_PAGE = bytes(4096)


def bare_fdatasync(directory: Path, load: Load) -> Run:
    descriptor = os.open(directory / "pages", os.O_RDWR | os.O_CREAT)

    def sync(turn: int) -> None:
        os.pwrite(descriptor, _PAGE, turn * len(_PAGE))
        os.fdatasync(descriptor)

    try:
        return asyncio.run(_repeat(sync, load))
    finally:
        os.close(descriptor)


def bare_commit(directory: Path, load: Load) -> Run:
    with closing(connect(directory / "commits.db")) as connection:

        def commit(turn: int) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO journal (n, position, entries) VALUES (?, 0, ?)", (turn, PAYLOAD))
            connection.execute("COMMIT")

        return asyncio.run(_repeat(commit, load))


async def _repeat(act: Callable[[int], None], load: Load) -> Run:
    turns = count()

    async def work() -> None:
        act(next(turns))
        await asyncio.sleep(0)  # or the load would never see its deadline

    return await drive(work, load)
