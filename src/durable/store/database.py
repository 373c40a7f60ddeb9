"""The database of one engine, on its thread: every method runs there, and none waits for the event loop."""

from __future__ import annotations

import logging
import re
import sqlite3
from pathlib import Path
from secrets import token_bytes

from durable.core.entries import Entry
from durable.core.ids import InvocationId
from durable.core.invocation import Commit, Flow, InstanceId, Invocation, Loaded, LoadedInstance, Status, Timer
from durable.core.suspects import Left, Suspect
from durable.errors import DamagedError, DiskFullError, StoreError
from durable.options import Durability
from durable.store import LoadedSchedules, Opened, rows
from durable.store.connection import (
    BUSY_MS,
    configure,
    connect,
    create_file,
    has_reset_bug,
    is_full,
    sync_directory,
    transaction,
)
from durable.store.files import Files
from durable.store.queries import QUERIES
from durable.store.schema import migrate, recognise

logger = logging.getLogger("durable.store")

# 1000 pages with their headers: SQLite's own default for a checkpoint.
CHECKPOINT_BYTES = 1_000 * (4_096 + 24)
# SQLite reuses the log from its start after a checkpoint, and tells its size only by growing. Each round ends when
# the log has grown by a commit, so it creeps; cut here, a checkpoint never moves more than this.
TRUNCATE_BYTES = 4 * CHECKPOINT_BYTES
# A reader that stays this far behind is worth a warning.
WARN_BYTES = 256 << 20
# Free pages that are left to new work, and the most that one commit gives back: a megabyte moves in milliseconds.
FREE_PAGES = 256
_PURGES = ("purge_invocation", "purge_journal")
_COUNTS = ("freelist_count", "page_count")
# quick_check reads everything: 0.2 s per 100 MB.
EXAMINE_BYTES = 1 << 30
# What quick_check says of values: the rows around them can be read and written.
_IN_A_ROW = re.compile("(NULL|non-[A-Z]+) value in |CHECK constraint failed in ")


class TakenError(StoreError):
    """Another engine is at work on the database."""


class Database:
    """One connection does every write and every checkpoint: two at once can corrupt SQLite before 3.51.3."""

    def __init__(self, path: Path, durability: Durability = "power") -> None:
        self._path = path
        self._durability: Durability = durability
        self._files = Files(path)
        self._failure: BaseException | None = None
        self._epoch = 0
        self._log_bytes = 0
        """After the last checkpoint."""

    def connect(self) -> sqlite3.Connection:
        """Create or recognise the file, bring it up to date, and keep the connection."""
        if has_reset_bug(sqlite3.sqlite_version_info):
            # For information: nearly every Python brings such a one, and this engine does not meet the defect.
            logger.info(
                "SQLite %s can corrupt a database that a second program writes to; the engine uses one connection, "
                "and no other program may write: a release from 3.51.3 on is better",
                sqlite3.sqlite_version,
            )
        create_file(self._path)
        connection = connect(self._path)
        try:
            recognise(connection)
            configure(connection, self._durability)
            migrate(connection, self._path)
        except BaseException:
            connection.interrupt()  # see end()
            connection.close()
            raise
        self._connection = connection
        return connection

    def begin(self) -> Opened:
        """Begin a new epoch. Nothing may be decided on what was read before this returns."""
        _, clean, _ = rows.read_meta(self._rows("meta"))
        self._files.adopt()  # SQLite has opened each by now: what is found below must still be the same
        if not clean:
            self._examine()
        with transaction(self._connection):
            self._connection.execute(QUERIES["begin_epoch"], (rows.seal(token_bytes(32)),))
        # After a failed fsync the kernel calls lost pages clean: what we just recovered from the log may be nowhere
        # on the disk. The checkpoint writes it again and syncs it, before anybody builds on it.
        if self._checkpoint("TRUNCATE"):
            raise StoreError(f"another process is reading {self._path}; close it, and open the engine again")
        sync_directory(self._path.parent)
        self._files.adopt()
        self._epoch, _, secret = rows.read_meta(self._rows("meta"))
        restored = self._rows("restored_at")
        last_n, last_place = self._row("last_n")[0], self._row("last_place")[0]
        return Opened(self._epoch, secret, last_n, last_place, restored[0][0] if restored else None, clean)

    def _examine(self) -> None:
        logger.info("the last engine did not close its database", extra={"path": str(self._path)})
        if self._path.stat().st_size < EXAMINE_BYTES:
            found = [line for (line,) in self._connection.execute("PRAGMA quick_check").fetchall() if line != "ok"]
            if any(not _IN_A_ROW.match(line) for line in found):
                raise DamagedError(f"its structure is damaged; restore it from a backup: {'; '.join(found[:3])}")
            for line in found:
                logger.critical("a row of %s is damaged, and is left alone: %s", self._path, line)

    def commit(self, commit: Commit) -> None:
        """Write it all and sync it. After an error the outcome is unknown, and nothing else is written.

        But after ``DiskFullError`` none of it was written, and it may be tried again.
        """
        self.check()
        try:
            self._write_or_nothing(rows.batch(commit))
            self._files.adopt_log()
            self._tend_log()
        except DiskFullError:
            raise
        except BaseException as error:
            self._failure = error
            raise

    def _write_or_nothing(self, batch: list[tuple[str, list[rows.Row]]]) -> None:
        try:
            self._write(batch)
        except sqlite3.OperationalError as error:
            if not is_full(error) or self._connection.in_transaction:
                raise
            self._files.adopt_log()
            # What is moved into the database leaves its room in the log to the next try.
            self._move_log("PASSIVE")
            raise DiskFullError(f"the disk of {self._path} is full") from error

    def _write(self, batch: list[tuple[str, list[rows.Row]]]) -> None:
        connection = self._connection
        with transaction(connection):
            self._verify_turn()
            for name, parameters in batch:
                written = connection.executemany(QUERIES[name], parameters).rowcount
                if name == "change" and written != len(parameters):
                    raise StoreError(f"{len(parameters)} invocations were to change, and {written} were there")
            if any(name in _PURGES for name, _ in batch):
                self._give_back()

    def _give_back(self) -> None:
        """Make the file shorter by some of its free pages, unless new work will soon want them."""
        (free,), (pages,) = (self._connection.execute(f"PRAGMA {name}").fetchone() for name in _COUNTS)
        if free > max(FREE_PAGES, pages // 4):
            for _ in range(FREE_PAGES):  # one step of the statement is one page, and Python makes one
                self._connection.execute("PRAGMA incremental_vacuum(1)").fetchall()

    def _verify_turn(self) -> None:
        """Inside a transaction: no other connection can write between this and its end."""
        (epoch,) = self._row("epoch")
        if epoch != self._epoch:
            raise TakenError(f"another engine took {self._path}: its epoch is {epoch}, ours was {self._epoch}")
        self._files.verify()

    def check(self) -> None:
        if self._failure is not None:
            raise StoreError(
                f"a commit to {self._path} failed, and its outcome is unknown; open the engine again"
            ) from self._failure

    def abandon(self, failure: BaseException) -> None:
        """Refuse everything from now on."""
        self._failure = self._failure or failure

    def _tend_log(self) -> None:
        size = self._files.log_bytes
        if size < CHECKPOINT_BYTES or size <= self._log_bytes:
            return
        if self._move_log("TRUNCATE" if size >= TRUNCATE_BYTES else "PASSIVE") and size >= WARN_BYTES:
            logger.warning("a reader keeps the log from shrinking", extra={"log_bytes": size})
        self._log_bytes = self._files.log_bytes

    def _move_log(self, mode: str) -> bool:
        """A checkpoint between commits, which may find no room: the log keeps what it has, and is moved later."""
        try:
            return self._checkpoint(mode)
        except sqlite3.OperationalError as error:
            if not is_full(error):
                raise
            logger.warning("there is no room to move the log into the database", extra={"path": str(self._path)})
            return False
        finally:
            self._files.adopt()

    def _checkpoint(self, mode: str) -> bool:
        """Whether a reader kept it from finishing. It never waits for one."""
        connection = self._connection
        connection.execute("PRAGMA busy_timeout=0").fetchall()
        try:
            ((busy, pages, moved),) = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
        finally:
            connection.execute(f"PRAGMA busy_timeout={BUSY_MS}").fetchall()
        return bool(busy) or moved < pages

    def end(self) -> None:
        """Say that nothing was left undone, unless something was. The last call before the connection is closed."""
        try:
            if self._failure is None:
                self._say_clean()
        except TakenError as error:
            self._failure = error  # its successor has all that it wrote
        except BaseException as error:
            self._failure = error
            raise
        finally:
            # SQLite moves the log into the database when the connection is closed. A log that another wrote destroys
            # it, and one whose sync failed is for the next engine to judge: interrupted, SQLite leaves it alone. But
            # one that has no name any more is moved now or never.
            if self._failure is not None and not self._files.lost_only_the_log():
                self._connection.interrupt()

    def _say_clean(self) -> None:
        with transaction(self._connection):
            self._verify_turn()
            self._connection.execute(QUERIES["end_epoch"], (self._epoch,))
        self._files.adopt_log()
        self._checkpoint("TRUNCATE")

    def load(self, id: InvocationId) -> Loaded | None:
        found = self._rows("invocation", id)
        if not found:
            return None
        invocation = rows.read_invocation(found[0])
        return Loaded(invocation, self._journal(invocation), rows.read_callers(self._rows("waiters", id)))

    def _journal(self, invocation: Invocation) -> list[Entry]:
        try:
            return rows.read_journal(invocation.n, invocation.entries, self._rows("journal", invocation.n))
        except DamagedError as error:
            if invocation.outcome is None:
                raise
            logger.critical("a journal cannot be read, its outcome can: %s", error)
            return []

    def load_instance(self, instance: InstanceId) -> LoadedInstance:
        return LoadedInstance(
            queue=[(place, InvocationId(id)) for place, id in self._rows("queue", *instance)],
            state=rows.read_state(instance, self._rows("state", *instance)),
            promises=rows.read_promises(instance, self._rows("promises", *instance)),
            listeners=rows.read_listeners(self._rows("listeners", *instance)),
        )

    def numbered(self, query: str, *parameters: object) -> list[tuple[int, InvocationId]]:
        """The numbers and ids that a query finds."""
        return [(n, InvocationId(id)) for n, id in self._rows(query, *parameters)]

    def flow(self) -> Flow:
        return Flow(
            limits=rows.read_limits(self._rows("limits")),
            rates=rows.read_rates(self._rows("rates")),
            lanes=[(lane, Status(status), waiting) for lane, status, waiting in self._rows("lanes")],
        )

    def left(self) -> list[Left]:
        found = self._rows("left")
        return [Left(n, InvocationId(id), position if isinstance(position, int) else -1) for n, id, position in found]

    def suspects(self) -> dict[int, Suspect]:
        return rows.read_suspects(self._rows("suspects"))

    def timers(self, after: Timer, limit: int) -> list[tuple[Timer, InvocationId]]:
        found = self._rows("timers", *after, limit)
        return [(Timer(due_ms, n, completion), InvocationId(id)) for due_ms, n, completion, id in found]

    def expired(self, now_ms: int, limit: int) -> list[InvocationId]:
        return [InvocationId(id) for _, _, id in self._rows("expired", now_ms, limit)]

    def schedules(self) -> LoadedSchedules:
        loaded = LoadedSchedules([], {})
        for row in self._rows("schedules"):
            try:
                loaded.schedules.append(rows.read_schedule(row))
            except DamagedError as error:
                logger.critical("a schedule cannot be read, and is left alone: %s", error)
                loaded.damaged[row[0]] = str(error)
        return loaded

    def _rows(self, query: str, *parameters: object) -> list[rows.Row]:
        return self._connection.execute(QUERIES[query], parameters).fetchall()

    def _row(self, query: str) -> rows.Row:
        (row,) = self._rows(query)
        return row
