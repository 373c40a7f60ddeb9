"""Where a process dies: named places in the code, which know nothing of it, and the SQL that passes through one."""

from __future__ import annotations

import importlib
import inspect
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, NamedTuple

from durable.store.queries import QUERIES

_STATEMENTS: dict[str, str] = {
    "a transaction": "BEGIN IMMEDIATE",
    "a commit": "COMMIT",
    "a checkpoint": "PRAGMA wal_checkpoint",
    "a table": "CREATE TABLE",
    "an index": "CREATE INDEX",
    "a migrated table": "ALTER TABLE",
    "the application's name": "PRAGMA application_id=",
    "the version's name": "PRAGMA user_version=",
}
"""How others than those of ``queries.sql`` begin."""

ANY_WRITE = "any write"
_WRITES = (
    "BEGIN", "COMMIT", "CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE", "VACUUM", "PRAGMA application_id=",
    "PRAGMA user_version=", "PRAGMA wal_checkpoint",
)  # fmt: skip

_TABLE = """
opening     after   durable.store.lock:Lock.acquire
            after   durable.store.database:create_file
            after   durable.store.database:configure
            around  durable.store.schema:copy_pages
            after   a table
            after   an index
            after   a migrated table
            after   the application's name
            after   the version's name
            after   durable.store.database:migrate
            around  begin_epoch
            around  durable.store.database:sync_directory
            after   durable.store.database:Database.begin
            around  durable.runtime.timekeeper:Timekeeper.refill
ingress     after   durable.ingress.app:Ingress._submission
            after   durable.runtime.outside:Outside._accept
            after   durable.runtime.outside:Outside.submit
            after   durable.runtime.outside:Outside.call
            around  durable.runtime.outside:Outside.outcome
            after   durable.runtime.outside:Outside.complete_awakeable
            after   durable.runtime.outside:Outside.control
            after   durable.runtime.outside:Outside.signal
            after   durable.ingress.replies:sent
            after   durable.ingress.replies:completed
            after   durable.ingress.replies:completion_taken
work        after   durable.core.lifecycle:accept
            after   durable.core.lifecycle:suspend
            after   durable.core.lifecycle:complete
            after   durable.core.lifecycle:answer
            around  durable.core.lifecycle:fire
            after   durable.core.lifecycle:signal
            after   durable.core.control:kill
            after   durable.core.control:resume
            after   durable.core.control:purge
            around  durable.runtime.steps:Step.outcome
            around  tests.crash.served:Noting.step
commit      around  durable.runtime.writer:Writer._take
            around  durable.store.database:Database.commit
            around  a transaction
            after   accept
            after   change
            after   append
            after   set_state
            after   clear_state
            after   complete_promise
            after   remove_promise
            after   set_timer
            after   remove_timer
            after   set_waiter
            after   remove_waiter
            after   set_listener
            after   remove_listener
            after   set_limit
            after   remove_limit
            after   set_rate
            after   remove_rate
            after   set_suspect
            after   set_schedule
            after   remove_schedule
            after   purge_suspect
            after   purge_journal
            after   purge_timers
            after   purge_waiters
            after   purge_invocation
            around  a commit
            before  durable.store.database:Database._tend_log
            around  durable.runtime.writer:Writer._release
closing     around  durable.runtime.outside:Outside.stop
            after   durable.runtime.errand:Errand.close
            after   durable.runtime.beside:Beside.close
            after   durable.runtime.invoker:Invoker.close
            after   durable.runtime.writer:Writer.close
            before  durable.store.database:Database.end
            around  end_epoch
            around  a checkpoint
            after   durable.store.database:Database.end
            before  durable.store.lock:Lock.release
            after   durable.store.sqlite:SQLiteStore.close
backup      around  durable.backup.backup:copy
            after   durable.backup.backup:verify
            after   durable.store.copy:_sync
            after   durable.store.copy:sync_directory
            after   durable.backup.restore:copy
            around  restored
            after   durable.backup.restore:_mark
            after   durable.backup.restore:verify
            after   pathlib:Path.replace
"""
"""A stage, when, and what: a function by its module, a statement above, or one of ``queries.sql`` by its name."""


class Point(NamedTuple):
    after: bool
    what: str

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.what}"


def points() -> Iterator[Point]:
    for line in _TABLE.strip().splitlines():
        when, what = line[12:20].strip(), line[20:]
        if when in ("before", "around"):
            yield Point(False, what)
        if when in ("after", "around"):
            yield Point(True, what)


def named(name: str) -> Point:
    when, _, what = name.partition(" ")
    return Point(when == "after", what)


def die_at(point: Point, hit: int) -> None:
    """Let this process die when it comes to ``point`` for the time ``hit``, counted from 1."""
    times = 0

    def come() -> None:
        nonlocal times
        times += 1
        if times == hit:
            os.kill(os.getpid(), signal.SIGKILL)

    if ":" in point.what:
        watch_function(point.what, point.after, come)
    elif point.what == ANY_WRITE:
        _watch_statements(_WRITES, point.after, come)
    else:
        _watch_statements((_STATEMENTS.get(point.what) or _bare(QUERIES[point.what]),), point.after, come)


def _watch_statements(beginnings: tuple[str, ...], after: bool, come: Callable[[], None]) -> None:
    class Watched(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            return self._watch(super().execute, sql, *parameters)

        def executemany(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            return self._watch(super().executemany, sql, *parameters)

        def _watch(self, run: Callable[..., sqlite3.Cursor], sql: str, *parameters: Any) -> sqlite3.Cursor:
            met = _bare(sql).startswith(beginnings)
            if met and not after:
                come()
            done = run(sql, *parameters)
            if met and after:
                come()
            return done

    connect = sqlite3.connect

    def connect_watched(*arguments: Any, **keywords: Any) -> sqlite3.Connection:
        return connect(*arguments, **{"factory": Watched, **keywords})

    sqlite3.connect = connect_watched  # type: ignore[assignment]


def _bare(sql: str) -> str:
    """Without the comments before it."""
    lines = sql.strip().splitlines()
    while lines and (not lines[0].strip() or lines[0].startswith("--")):
        lines = lines[1:]
    return "\n".join(lines)


def watch_function(what: str, after: bool, come: Callable[[], None]) -> None:
    """Call ``come`` whenever a function begins, or has ended."""
    module, _, path = what.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    function = getattr(owner, name)

    @wraps(function)
    def watched(*arguments: Any, **keywords: Any) -> Any:
        if not after:
            come()
        result = function(*arguments, **keywords)
        if after:
            come()
        return result

    @wraps(function)
    async def watched_async(*arguments: Any, **keywords: Any) -> Any:
        if not after:
            come()
        result = await function(*arguments, **keywords)
        if after:
            come()
        return result

    setattr(owner, name, watched_async if inspect.iscoroutinefunction(function) else watched)
