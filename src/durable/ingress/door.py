"""What the HTTP ingress stands on: the engine, as far as a request can see it. Bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from durable.core.entries import Target
from durable.core.outcome import Outcome
from durable.errors import DiskFullError
from durable.runtime.requests import Accepted, Called, Peeked, Services, Submission

FULL = "the disk is full: nothing new is accepted until there is room"
"""Of the health of an engine that still answers."""


def trouble(full: DiskFullError | None, blocked: str | None) -> str | None:
    """What its health says, if not all is well."""
    return blocked if full is None else FULL


class Door(Protocol):
    """The verbs of an engine. Cancelling an ``await`` of one has no effect on the invocation.

    Any of them may raise :class:`~durable.errors.EngineStoppedError`, and :class:`~durable.errors.DiskFullError` what
    would write, or tell what is not on the disk.
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

    async def submit(self, submission: Submission, /) -> Accepted:
        """Return once it is on the disk; ``TerminalError`` (409) if its key came with another body before."""
        ...

    async def call(self, submission: Submission, accepted: Callable[[str], object], /) -> Called:
        """Submit and wait; acceptance, work and output may share a commit. Refuses as :meth:`submit` does.

        ``accepted`` is told the id as soon as there is one, which is before it is on the disk.
        """
        ...

    async def outcome(self, id: str, /) -> Outcome:
        """Wait for it; ``TerminalError`` (404) if the invocation is unknown."""
        ...

    async def peek(self, id: str, /) -> Peeked | None:
        """What is known now; ``None`` if the invocation is unknown."""
        ...

    async def complete_awakeable(self, id: str, outcome: Outcome, /) -> None:
        """The first completion counts, a later one does nothing.

        ``BadIdError`` for an id that this engine did not make, ``TerminalError`` (404) if its invocation is gone.
        """
        ...

    def workflow_id(self, service: str, key: str, /) -> str:
        """The id that the run of this workflow has, whether or not it was accepted."""
        ...

    def idempotent_id(self, target: Target, idempotency_key: str, identity: str | None, /) -> str:
        """The id that a call with this key has, whether or not it was accepted."""
        ...


class Served(Protocol):
    """An engine: it has a door while it is open, and raises :class:`~durable.errors.EngineStoppedError` when not."""

    @property
    def door(self) -> Door: ...
