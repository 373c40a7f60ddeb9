"""An audit of a disk in memory: it is written as the file that it stands for."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import msgspec

from durable.audit import Audit
from durable.audit.auditor import inspect
from durable.core.invocation import Commit
from durable.core.outcome import Outcome
from durable.core.schedule import Schedule
from durable.store import rows
from durable.store.memory import MemoryDisk
from durable.store.queries import QUERIES
from durable.store.schema import STEPS

_schedule = msgspec.msgpack.Decoder(Schedule).decode
_decoder: msgspec.msgpack.Decoder[Outcome] = msgspec.msgpack.Decoder(Outcome)


def audit_disk(disk: MemoryDisk) -> Audit:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        write_disk(connection, disk)
        found = inspect(connection, overdue_ms=None, thorough=True, rest=lambda _: None)
        return Audit(datetime.now(UTC), tuple(each.finding for each in found))


def write_disk(connection: sqlite3.Connection, disk: MemoryDisk) -> None:
    connection.executescript("".join(STEPS))
    connection.execute(f"PRAGMA user_version={len(STEPS)}")
    if disk.epoch:
        connection.execute(QUERIES["begin_epoch"], (rows.seal(disk.secret),))
    for name, parameters in rows.batch(everything(disk)):
        connection.executemany(QUERIES[name], parameters)


def everything(disk: MemoryDisk) -> Commit:
    """One commit that writes the whole disk."""
    commit = Commit()
    commit.accepted = dict(disk.invocations)
    commit.entries = {n: (0, disk.journal(n)) for n in disk.journals}
    commit.state = dict(disk.state)
    commit.promises = {name: _decoder.decode(raw) for name, raw in disk.promises.items()}
    commit.timers = dict.fromkeys(disk.timers, True)
    commit.waiters = dict.fromkeys(disk.waiters, True)
    commit.listeners = dict.fromkeys(disk.listeners, True)
    commit.suspects = dict(disk.suspects)
    commit.schedules = {id: _schedule(raw) for id, raw in disk.schedules.items()}
    commit.limits, commit.rates = dict(disk.limits), dict(disk.rates)
    return commit
