"""The Machine port: what a Context stands on. Verbs over bytes; only ``wait`` waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from durable.core.awaits import Await, Known, Notified, One
from durable.core.entries import Target, Verb
from durable.core.outcome import Outcome
from durable.retry import RetryPolicy

Action = Callable[[], Awaitable[bytes]]
"""The body of a step: it returns the encoded result, or raises."""


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A call or a send, encoded."""

    target: Target
    payload: bytes
    headers: Mapping[str, str] = {}
    idempotency_key: str | None = None
    attach: bool = False
    """Whether the call of a workflow's run that was invoked before waits for that one's outcome."""
    limit_key: str | None = None
    """Whose part of the handler's named limit it counts for."""
    priority: int = 0


class Machine(Notified, Protocol):
    """One attempt of one invocation.

    Every verb but ``wait`` journals at once (or matches the journal, on replay) and returns; order in the journal is
    order in the source. After the attempt has ended every verb raises :class:`~durable.errors.Suspended` and does
    nothing.
    """

    @property
    def handler(self) -> str:
        """Whose attempt it is, for people: ``Service.handler``."""
        ...

    @property
    def invocation_id(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def identity(self) -> str | None: ...
    @property
    def seed(self) -> int: ...

    def run(self, name: str, action: Action, retry: RetryPolicy | None, /) -> One: ...
    def call(self, outgoing: Outgoing, /) -> tuple[str, One]:
        """The callee's invocation id, and its outcome to come."""
        ...

    def send(self, outgoing: Outgoing, delay: timedelta | None, /) -> str: ...
    def sleep(self, duration: timedelta, /) -> One: ...
    def now(self) -> tuple[datetime, Known]: ...
    def awakeable(self) -> tuple[str, One]: ...
    def complete_awakeable(self, id: str, outcome: Outcome, /) -> None: ...
    def signal(self, name: str, /) -> One: ...
    def send_signal(self, invocation_id: str, name: str, outcome: Outcome, /) -> None: ...
    def cancel(self, invocation_id: str, /) -> None: ...
    def written(self, id: bytes, /) -> str:
        """The textual form of an invocation id."""
        ...

    def attach(self, invocation_id: str, /) -> One: ...
    def output(self, invocation_id: str, /) -> One:
        """Answered at once, with ``Success(None)`` if there is no outcome yet."""
        ...

    def control(self, verb: Verb, invocation_id: str, from_entry: int = 0, /) -> One:
        """Answered with the 16 bytes of an invocation id: of the new one, if the verb is a restart."""
        ...

    def get(self, name: str, /) -> tuple[bytes | None, Known]: ...
    def state_keys(self) -> tuple[list[str], Known]: ...
    def set(self, name: str, value: bytes, /) -> None: ...
    def clear(self, name: str, /) -> None: ...
    def clear_all(self) -> None: ...

    def promise(self, name: str, /) -> One: ...
    def peek_promise(self, name: str, /) -> One:
        """Answered with ``Success(None)`` if the promise is not completed."""
        ...

    def complete_promise(self, name: str, outcome: Outcome, /) -> One: ...

    def outcome(self, slot: int | str, /) -> Outcome:
        """What a settled notification brought."""
        ...

    async def wait(self, awaited: Await, /) -> None:
        """Return once ``awaited`` is settled; raise ``InvocationCancelledError`` if a cancellation came first."""
        ...
