"""The Store port: one way to write, a few ways to read. A store decides nothing."""

from __future__ import annotations

from typing import Protocol

import msgspec

from durable.core.ids import InvocationId
from durable.core.invocation import Commit, Flow, InstanceId, Loaded, LoadedInstance, Timer
from durable.core.schedule import Schedule
from durable.core.suspects import Left, Suspect


class Opened(msgspec.Struct, frozen=True):
    """What an engine must know before it decides anything."""

    epoch: int
    """How often this database was opened; a lower one can no longer commit."""
    secret: bytes
    """32 random bytes, made with the database: what awakeable ids are proved with."""
    last_n: int
    last_place: int
    restored_ms: int | None = None
    """When it was last made of a backup."""
    clean: bool = True
    """Whether the last engine closed it."""


class LoadedSchedules(msgspec.Struct, frozen=True):
    """All schedules there are."""

    schedules: list[Schedule]
    damaged: dict[str, str]
    """By id: why it cannot be read."""


class Store(Protocol):
    """Where an engine keeps its rows.

    A read sees every commit that returned before the read began. Every method may raise; after ``commit`` raised,
    its outcome is unknown and the store must refuse every further commit. But after ``DiskFullError`` nothing of it
    was written, and it may be tried again.
    """

    async def open(self) -> Opened:
        """Take the database for this process, create or migrate it, and begin a new epoch."""
        ...

    async def commit(self, commit: Commit, /) -> None:
        """Write everything in one transaction, all or nothing, and return once it is on the disk."""
        ...

    async def load(self, id: InvocationId, /) -> Loaded | None:
        """An invocation with its journal and its waiters."""
        ...

    async def load_instance(self, instance: InstanceId, /) -> LoadedInstance:
        """One key of an object or workflow; an empty one if it was never used."""
        ...

    async def running(self, *, after: int, limit: int) -> list[tuple[int, InvocationId]]:
        """Numbers and ids of ``RUNNING`` invocations, in order of number, above ``after``: what recovery starts."""
        ...

    async def flow(self) -> Flow:
        """Limits, rates and lanes."""
        ...

    async def ready(self, lane: str, /, *, after: int, limit: int) -> list[tuple[int, InvocationId]]:
        """Numbers and ids of those who stand in a lane and have their key, in order of number, above ``after``."""
        ...

    async def holders(self, *, after: int, limit: int) -> list[tuple[int, InvocationId]]:
        """Likewise of those who keep slots while they do not run."""
        ...

    async def left(self) -> list[Left]:
        """All that is ``RUNNING``, in order of number: what a process that died left."""
        ...

    async def suspects(self) -> dict[int, Suspect]:
        """By number: who was running when an earlier one died."""
        ...

    async def timers(self, *, after: Timer | None, limit: int) -> list[tuple[Timer, InvocationId]]:
        """Timers in the order in which they fire, behind ``after``.

        Completion 0 stands for an invocation's own ``due_ms``, of one that is scheduled or backing off.
        """
        ...

    async def expired(self, now_ms: int, /, *, limit: int) -> list[InvocationId]:
        """Completed invocations whose retention, or whose journal's, is over, the longest first. One may come twice."""
        ...

    async def schedules(self) -> LoadedSchedules:
        """All of them, in order of id."""
        ...

    async def close(self) -> None: ...
