"""The ceiling: trivial coroutines over a bare SQLite group commit, with the durability of the engine and nothing else.

An invocation is accepted, does three steps and ends. It waits for the disk as the engine's fsync rule says: before
each step, and before its reply. It has no ids, checksums, locks, timers, retries or types.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

from benchmarks.load import Load, Run, Work, drive
from benchmarks.services import PAYLOAD, step

STEPS = 3
COMMITS = STEPS + 1
"""Waits for the disk on the way from a request to its reply."""

_SETTINGS = "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"
_TABLES = (
    "CREATE TABLE invocation (n INTEGER PRIMARY KEY, request BLOB NOT NULL, outcome BLOB) STRICT",
    "CREATE TABLE journal (n INTEGER NOT NULL, position INTEGER NOT NULL, entries BLOB NOT NULL, "
    "PRIMARY KEY (n, position)) STRICT, WITHOUT ROWID",
)
_ACCEPT = "INSERT INTO invocation (n, request) VALUES (?, ?)"
_APPEND = "INSERT INTO journal (n, position, entries) VALUES (?, ?, ?)"
_COMPLETE = "UPDATE invocation SET outcome = ? WHERE n = ?"


class Batch:
    """What one transaction writes, and who waits for it."""

    def __init__(self, durable: asyncio.Future[None]) -> None:
        self.durable = durable
        self.accepted: list[tuple[int, bytes]] = []
        self.appended: list[tuple[int, int, bytes]] = []
        self.completed: list[tuple[bytes, int]] = []


class Ceiling:
    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._connection, self._thread = connection, thread
        self._loop = asyncio.get_running_loop()
        self._numbers = count(1)
        self._wanted = asyncio.Event()
        self._batch = Batch(self._loop.create_future())

    async def invoke(self) -> bytes:
        n, result = next(self._numbers), PAYLOAD
        self._batch.accepted.append((n, PAYLOAD))
        for position in range(STEPS):
            await self._append(n, position, result)
            result = await step(result)
        self._batch.completed.append((result, n))
        await self._append(n, STEPS, result)
        return result

    async def _append(self, n: int, position: int, entry: bytes) -> None:
        batch = self._batch
        batch.appended.append((n, position, entry))
        self._wanted.set()
        await batch.durable

    async def write(self) -> None:
        """Commit what there is, again and again. While one transaction is written, the next one fills."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(0)
            self._wanted.clear()
            batch, self._batch = self._batch, Batch(self._loop.create_future())
            try:
                await self._loop.run_in_executor(self._thread, self._commit, batch)
            except Exception as error:
                self._fail((batch, self._batch), error)
                raise
            batch.durable.set_result(None)

    def _fail(self, batches: tuple[Batch, ...], error: Exception) -> None:
        """Nobody writes any more: whoever waits, or comes later, must be told."""
        for batch in batches:
            batch.durable.set_exception(error)
            batch.durable.exception()  # it may be that nobody comes

    def _commit(self, batch: Batch) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_ACCEPT, batch.accepted)
        connection.executemany(_APPEND, batch.appended)
        connection.executemany(_COMPLETE, batch.completed)
        connection.execute("COMMIT")


def ceiling(directory: Path, load: Load) -> Run:
    return asyncio.run(_bear(directory, load))


async def _bear(directory: Path, load: Load) -> Run:
    async with _opened(directory) as work:
        return await drive(work, load)


@asynccontextmanager
async def _opened(directory: Path) -> AsyncGenerator[Work]:
    with ThreadPoolExecutor(1) as thread:
        connection = await asyncio.get_running_loop().run_in_executor(thread, connect, directory / "ceiling.db")
        bare = Ceiling(connection, thread)
        writer = asyncio.create_task(bare.write())
        try:
            yield bare.invoke
        finally:
            writer.cancel()
            await asyncio.get_running_loop().run_in_executor(thread, connection.close)


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in (*_SETTINGS, *_TABLES):
        connection.execute(statement).fetchall()
    return connection
