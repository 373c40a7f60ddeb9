"""The Store over one SQLite file. Here the event loop meets the database's thread, once per call."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import aiosqlite
import anyio

from durable.core.ids import InvocationId
from durable.core.invocation import Commit, Flow, InstanceId, Loaded, LoadedInstance, Timer
from durable.core.suspects import Left, Suspect
from durable.errors import DamagedError, DiskFullError, StoreError
from durable.options import Durability
from durable.store import LoadedSchedules, Opened
from durable.store.database import Database
from durable.store.lock import Lock
from durable.store.place import check_place, database_path
from durable.store.visits import Visits

P = ParamSpec("P")
T = TypeVar("T")

_BEFORE_ALL = Timer(-(1 << 63), 0, 0)


class Writer(aiosqlite.Connection):
    """A connection that runs a whole function on its thread: a commit costs one hop, whatever it writes.

    aiosqlite tells its thread to end and does not wait; a loop that closes first would make it fail.
    """

    async def start(self) -> None:
        try:
            await self
        except BaseException:
            self._thread.join()
            raise

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            self._thread.join()

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        # aiosqlite annotates only its public methods.
        execute: Callable[..., Awaitable[T]] = cast("Any", self)._execute
        return await execute(function, *args, **kwargs)


_ADVICE = {
    "SQLITE_BUSY": "another program writes to it; close that first",
    "SQLITE_CORRUPT": "restore it from a backup",
    "SQLITE_FULL": "make room on its disk",
    "SQLITE_IOERR_SHMSIZE": "make room on its disk",
    "SQLITE_NOTADB": "give the engine a path of its own, or restore it from a backup",
}


def _advice(error: Exception) -> str:
    advice = _ADVICE.get(error.sqlite_errorname) if isinstance(error, sqlite3.Error) else None
    return "" if advice is None else f"; {advice}"


class SQLiteStore:
    """Keeps an engine's rows in the file ``path``, which it creates with mode 0600 if there is none.

    One process at a time: the file ``<path>.lock`` is locked while the store is open.
    """

    make_writer: type[Writer] = Writer

    def __init__(self, path: str | os.PathLike[str], durability: Durability = "power") -> None:
        self._path = database_path(path)
        self._durability: Durability = durability
        self._lock = Lock(self._path.with_name(f"{self._path.name}.lock"))
        self._database = Database(self._path, durability)
        self._writer: Writer | None = None
        self._loads = Visits[InvocationId, Loaded | None](lambda id: self._database.load(id), self._run)
        self._instance_loads = Visits[InstanceId, LoadedInstance](
            lambda id: self._database.load_instance(id), self._run
        )

    @property
    def path(self) -> Path:
        return self._path

    async def open(self) -> Opened:
        """Take the database for this process, create or migrate it, and begin a new epoch."""
        if self._writer is not None:
            raise StoreError(f"{self._path} is open already; close it first")
        try:
            check_place(self._path)
            self._lock.acquire()
            self._database = Database(self._path, self._durability)
            writer = self.make_writer(self._database.connect, iter_chunk_size=1)
            await writer.start()
            self._writer = writer
            return await writer.run(self._database.begin)
        except BaseException as error:
            self._database.abandon(error)
            await self.close()
            if isinstance(error, DamagedError):
                raise DamagedError(f"{self._path} cannot be opened: {error}") from error
            # What SQLite says of a damaged schema may be no text.
            if isinstance(error, sqlite3.Error | OSError | UnicodeError):
                raise StoreError(f"{self._path} cannot be opened: {error}{_advice(error)}") from error
            raise

    async def commit(self, commit: Commit, /) -> None:
        """Write everything in one transaction. The commit must not be altered any more, even before this returns."""
        try:
            await self._run(self._database.commit, commit)
        except DiskFullError:
            raise  # none of it was written
        except BaseException as error:
            # Whoever was cancelled does not know the outcome either.
            self._database.abandon(error)
            raise

    async def load(self, id: InvocationId, /) -> Loaded | None:
        with self._named_errors():
            return await self._loads.get(id)

    async def load_instance(self, instance: InstanceId, /) -> LoadedInstance:
        with self._named_errors():
            return await self._instance_loads.get(instance)

    async def running(self, *, after: int, limit: int) -> list[tuple[int, InvocationId]]:
        return await self._run(self._database.numbered, "running", after, limit)

    async def flow(self) -> Flow:
        return await self._run(self._database.flow)

    async def ready(self, lane: str, /, *, after: int, limit: int) -> list[tuple[int, InvocationId]]:
        return await self._run(self._database.numbered, "ready", lane, after, limit)

    async def holders(self, *, after: int, limit: int) -> list[tuple[int, InvocationId]]:
        return await self._run(self._database.numbered, "holders", after, limit)

    async def left(self) -> list[Left]:
        return await self._run(self._database.left)

    async def suspects(self) -> dict[int, Suspect]:
        return await self._run(self._database.suspects)

    async def timers(self, *, after: Timer | None, limit: int) -> list[tuple[Timer, InvocationId]]:
        return await self._run(self._database.timers, after or _BEFORE_ALL, limit)

    async def expired(self, now_ms: int, /, *, limit: int) -> list[InvocationId]:
        return await self._run(self._database.expired, now_ms, limit)

    async def schedules(self) -> LoadedSchedules:
        return await self._run(self._database.schedules)

    async def close(self) -> None:
        """Empty the log into the database and let others have it. Does nothing if the store is not open."""
        writer, self._writer = self._writer, None
        # The lock may go only once the connection has gone.
        with anyio.CancelScope(shield=True):
            try:
                if writer is not None:
                    await self._end(writer)
            finally:
                self._lock.release()

    async def _end(self, writer: Writer) -> None:
        self._lock.check()
        try:
            await writer.run(self._database.end)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self._path} was not closed cleanly: {error}") from error
        finally:
            await writer.close()

    async def _run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        if self._writer is None:
            raise StoreError(f"{self._path} is not open; open it first")
        self._lock.check()
        self._database.check()
        with self._named_errors():
            return await self._writer.run(function, *args, **kwargs)

    @contextmanager
    def _named_errors(self) -> Generator[None]:
        """SQLite's errors name no file, and say nothing of what to do."""
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"{self._path}: {type(error).__name__}: {error}{_advice(error)}") from error
