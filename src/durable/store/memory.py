"""The Store in memory: what tests run on, and the oracle that the SQLite store must agree with.

A crash is: drop the engine, and open a new :class:`MemoryStore` on the same :class:`MemoryDisk`. Nothing on the disk is
shared with an engine's memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from secrets import token_bytes
from typing import TypeVar

import msgspec

from durable.core.entries import Entry, decode_entries, encode_entries
from durable.core.ids import InvocationId
from durable.core.invocation import Caller, Commit, Flow, InstanceId, Invocation, Loaded, LoadedInstance, Status, Timer
from durable.core.outcome import Outcome
from durable.core.schedule import Schedule
from durable.core.suspects import Left, Suspect
from durable.errors import StoreError
from durable.flow import Limit
from durable.store import LoadedSchedules, Opened

Name = tuple[str, str, str]

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_invocation = msgspec.msgpack.Decoder(Invocation).decode
_schedule = msgspec.msgpack.Decoder(Schedule).decode
_outcome: Callable[[bytes], Outcome] = msgspec.msgpack.Decoder[Outcome](Outcome).decode


class MemoryDisk:
    """What survives an engine: rows as bytes, or as copies that nobody else holds."""

    def __init__(self, *, secret: bytes | None = None) -> None:
        self.secret = secret or token_bytes(32)
        self.epoch = 0
        self.clean = True
        """Whether no engine holds it, and the last one closed it."""
        self.numbers: dict[InvocationId, int] = {}
        self.invocations: dict[int, Invocation] = {}
        self.journals: dict[int, dict[int, bytes]] = {}
        self.state: dict[Name, bytes] = {}
        self.promises: dict[Name, bytes] = {}
        self.limits: dict[str, Limit] = {}
        self.rates: dict[str, float] = {}
        self.timers: set[Timer] = set()
        self.waiters: set[tuple[InvocationId, Caller]] = set()
        self.listeners: set[tuple[str, str, str, Caller]] = set()
        self.suspects: dict[int, Suspect] = {}
        self.schedules: dict[str, bytes] = {}

    def write(self, commit: Commit) -> None:
        """Take it whole, or raise :class:`StoreError` and stay as it was."""
        # Everything that can fail comes before everything that writes.
        accepted = [_copy(row) for row in commit.accepted.values()]
        changed = [_copy(row) for row in commit.changed.values()]
        chunks = {(n, position): encode_entries(new) for n, (position, new) in commit.entries.items()}
        promises = {name: None if out is None else _encode(out) for name, out in commit.promises.items()}
        schedules = {id: None if row is None else _encode(row) for id, row in commit.schedules.items()}
        self._verify(accepted, changed, chunks, set(commit.purged))
        for n in (*commit.forgotten, *commit.purged):
            self.journals.pop(n, None)
        for n in commit.purged:
            self._purge(n)
        for row in (*accepted, *changed):
            self.invocations[row.n] = row
            self.numbers[row.id] = row.n
        for (n, position), raw in chunks.items():
            self.journals.setdefault(n, {})[position] = raw
        _assign(self.state, commit.state)
        _assign(self.promises, promises)
        _assign(self.limits, commit.limits)
        _assign(self.rates, commit.rates)
        _assign(self.schedules, schedules)
        _switch(self.timers, commit.timers)
        _switch(self.waiters, commit.waiters)
        _switch(self.listeners, commit.listeners)
        _assign(self.suspects, commit.suspects)

    def _verify(
        self,
        accepted: list[Invocation],
        changed: list[Invocation],
        chunks: dict[tuple[int, int], bytes],
        purged: set[int],
    ) -> None:
        numbers, ids = {row.n for row in accepted}, {row.id for row in accepted}
        taken = {row.id for n, row in self.invocations.items() if n not in purged} if purged else self.numbers.keys()
        if numbers & (self.invocations.keys() - purged) or ids & taken or len(ids) < len(accepted):
            raise StoreError("an accepted invocation's number or id is taken")
        if not {row.n for row in changed} <= numbers | (self.invocations.keys() - purged):
            raise StoreError("a changed invocation is not there")
        if any(n not in purged and position in self.journals.get(n, ()) for n, position in chunks):
            raise StoreError("a journal position is taken")

    def _purge(self, n: int) -> None:
        self.journals.pop(n, None)
        self.suspects.pop(n, None)
        self.timers = {timer for timer in self.timers if timer.n != n}
        row = self.invocations.pop(n, None)
        if row is not None:
            del self.numbers[row.id]
            self.waiters = {(id, caller) for id, caller in self.waiters if id != row.id}

    def journal(self, n: int) -> list[Entry]:
        return [entry for _, raw in sorted(self.journals.get(n, {}).items()) for entry in decode_entries(raw)]

    def queue(self, instance: InstanceId) -> list[tuple[int, InvocationId]]:
        return sorted(
            (row.place, row.id)
            for row in self.invocations.values()
            if row.place is not None and row.status is not Status.COMPLETED and _instance(row) == instance
        )

    def due(self) -> set[Timer]:
        return {
            Timer(row.due_ms, row.n, 0)
            for row in self.invocations.values()
            if row.due_ms is not None and row.status in (Status.SCHEDULED, Status.BACKING_OFF)
        }


class MemoryStore:
    """One engine's view of a :class:`MemoryDisk`; without one it makes its own, and keeps it after ``close``."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        self.disk = disk or MemoryDisk()
        self._epoch: int | None = None
        self._broken = False

    async def open(self) -> Opened:
        """Take the disk: whoever had it can no longer commit."""
        if self._epoch is not None:
            raise StoreError("the store is open already; close it first")
        disk = self.disk
        disk.epoch += 1
        self._epoch, self._broken = disk.epoch, False
        places = (row.place or 0 for row in disk.invocations.values() if row.status is not Status.COMPLETED)
        numbers = (*disk.invocations, *disk.journals, *(timer.n for timer in disk.timers))
        clean, disk.clean = disk.clean, False
        return Opened(disk.epoch, disk.secret, max(numbers, default=0), max(places, default=0), clean=clean)

    async def commit(self, commit: Commit, /) -> None:
        disk = self._opened()
        try:
            if self._epoch != disk.epoch:
                raise StoreError(f"another engine took the disk: its epoch is {disk.epoch}, ours was {self._epoch}")
            disk.write(commit)
        except BaseException:
            self._broken = True
            raise

    async def load(self, id: InvocationId, /) -> Loaded | None:
        disk = self._opened()
        n = disk.numbers.get(id)
        if n is None:
            return None
        invocation = _copy(disk.invocations[n])
        return Loaded(invocation, disk.journal(n), sorted(caller for waited, caller in disk.waiters if waited == id))

    async def load_instance(self, instance: InstanceId, /) -> LoadedInstance:
        disk = self._opened()
        listeners: dict[str, list[Caller]] = {}
        for service, key, name, caller in sorted(disk.listeners):
            if (service, key) == instance:
                listeners.setdefault(name, []).append(caller)
        promises = {name: _outcome(raw) for name, raw in _of(instance, disk.promises).items()}
        return LoadedInstance(disk.queue(instance), _of(instance, disk.state), promises, listeners)

    async def running(self, *, after: int, limit: int) -> list[tuple[int, InvocationId]]:
        return self._numbered(after, limit, lambda row: row.status is Status.RUNNING)

    async def ready(self, lane: str, /, *, after: int, limit: int) -> list[tuple[int, InvocationId]]:
        return self._numbered(after, limit, lambda row: row.status is Status.READY and row.lane == lane)

    async def holders(self, *, after: int, limit: int) -> list[tuple[int, InvocationId]]:
        ended = (Status.RUNNING, Status.COMPLETED)
        return self._numbered(after, limit, lambda row: row.holds and row.status not in ended)

    async def flow(self) -> Flow:
        disk = self._opened()
        waiting = (row for row in disk.invocations.values() if row.status in (Status.READY, Status.PENDING))
        lanes = Counter((row.lane, row.status) for row in waiting if row.lane is not None)
        counted = [(lane, status, count) for (lane, status), count in sorted(lanes.items())]
        return Flow(list(disk.limits.values()), dict(disk.rates), counted)

    async def left(self) -> list[Left]:
        disk = self._opened()
        running = await self.running(after=-1, limit=len(disk.invocations))
        return [Left(n, id, max(disk.journals.get(n, ()), default=-1)) for n, id in running]

    async def suspects(self) -> dict[int, Suspect]:
        return dict(self._opened().suspects)

    async def timers(self, *, after: Timer | None, limit: int) -> list[tuple[Timer, InvocationId]]:
        disk = self._opened()
        live = (timer for timer in disk.timers | disk.due() if timer.n in disk.invocations)
        behind = sorted(timer for timer in live if after is None or timer > after)
        return [(timer, disk.invocations[timer.n].id) for timer in behind[:limit]]

    async def expired(self, now_ms: int, /, *, limit: int) -> list[InvocationId]:
        rows = self._opened().invocations.values()
        ends = [(end, row.n, row.id) for row in rows for end in (row.expires_ms, row.journal_expires_ms)]
        over = sorted((end, n, id) for end, n, id in ends if end is not None and end <= now_ms)
        return [id for _, _, id in over][:limit]

    async def schedules(self) -> LoadedSchedules:
        return LoadedSchedules([_schedule(raw) for _, raw in sorted(self._opened().schedules.items())], {})

    async def close(self) -> None:
        if self._epoch == self.disk.epoch and not self._broken:
            self.disk.clean = True
        self._epoch = None

    def _numbered(self, after: int, limit: int, wanted: Callable[[Invocation], bool]) -> list[tuple[int, InvocationId]]:
        rows = self._opened().invocations.values()
        return sorted((row.n, row.id) for row in rows if row.n > after and wanted(row))[:limit]

    def _opened(self) -> MemoryDisk:
        if self._epoch is None:
            raise StoreError("the store is not open; open it first")
        if self._broken:
            raise StoreError("a commit failed, and its outcome is unknown; open the store again")
        return self.disk


def _copy(row: Invocation) -> Invocation:
    return _invocation(_encode(row))


def _instance(row: Invocation) -> tuple[str, str | None]:
    return row.request.target.service, row.request.target.key


def _assign(rows: dict[K, V], values: dict[K, V | None]) -> None:
    for name, value in values.items():
        if value is None:
            rows.pop(name, None)
        else:
            rows[name] = value


def _switch(rows: set[T], switches: dict[T, bool]) -> None:
    for row, on in switches.items():
        (rows.add if on else rows.discard)(row)


def _of(instance: InstanceId, rows: dict[Name, bytes]) -> dict[str, bytes]:
    return {name: value for (service, key, name), value in sorted(rows.items()) if (service, key) == instance}
