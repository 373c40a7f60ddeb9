"""What the admin app stands on: the engine, as far as an administrator can reach into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from durable.audit import Audit
from durable.core.entries import Verb
from durable.core.invocation import Invocation
from durable.core.waits import Why
from durable.errors import DiskFullError
from durable.limiting import Limits
from durable.runtime.requests import Accepted, Peeked, Services, Submission
from durable.schedules import Schedules
from durable.service import AnyService


class AdminDoor(Protocol):
    """The verbs of an engine, by the textual id of an invocation.

    They raise ``BadIdError``, ``InvocationNotFoundError`` and ``InvocationStateError``, and any of them may raise
    :class:`~durable.errors.EngineStoppedError`, or while the disk is full :class:`~durable.errors.DiskFullError`.
    """

    @property
    def full(self) -> DiskFullError | None:
        """While the disk is full, and new work is refused."""
        ...

    @property
    def blocked(self) -> str | None:
        """Who kept the event loop from turning within the last minute."""
        ...

    def handlers(self) -> Services:
        """By the wire names of service and handler."""
        ...

    async def look(self, id: str, /) -> Invocation:
        """The invocation as it is on the disk, or newer."""
        ...

    async def state(self, service: str, key: str, /) -> Mapping[str, bytes]:
        """Of one key, by name: as it is on the disk, or newer."""
        ...

    async def submit(self, submission: Submission, /) -> Accepted:
        """Return once it is on the disk."""
        ...

    async def why(self, id: str, /) -> Why:
        """What it waits for, and what that waits for."""
        ...

    async def peek(self, id: str, /) -> Peeked | None:
        """What is known of its outcome; ``None`` if the invocation is unknown."""
        ...

    async def cancel(self, id: str, /) -> None:
        """Return once the signal is on the disk; one for an invocation that has ended changes nothing."""
        ...

    async def control(self, verb: Verb, id: str, from_entry: int = 0, /) -> str:
        """The id of the invocation that a restart makes; that of the invocation itself for every other verb."""
        ...


class Administered(Protocol):
    """An engine: it has a door while it is open, and raises :class:`~durable.errors.EngineStoppedError` when not."""

    @property
    def door(self) -> AdminDoor: ...

    @property
    def services(self) -> Mapping[str, type[AnyService]]:
        """What it serves, by name on the wire; also while it is not open."""
        ...

    @property
    def limits(self) -> Limits:
        """What may run, start and wait; while it is open."""
        ...

    @property
    def schedules(self) -> Schedules: ...

    @property
    def last_audit(self) -> Audit | None: ...
