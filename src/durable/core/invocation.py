"""An invocation as the store keeps it, and what one transaction writes."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple

import msgspec

from durable.core import ids
from durable.core.entries import Entry, Target
from durable.core.ids import InvocationId
from durable.core.outcome import Failure, Outcome
from durable.core.schedule import Schedule
from durable.core.suspects import Suspect
from durable.flow import Limit

InstanceId = tuple[str, str]
"""A service and a key."""


def instance_id(target: Target) -> InstanceId:
    return target.service, target.key or ""


class Status(StrEnum):
    SCHEDULED = "scheduled"
    """Its time has not come."""
    PENDING = "pending"
    """It waits for its turn on its key."""
    READY = "ready"
    """It may run as soon as its limits let it."""
    RUNNING = "running"
    """It has an attempt in memory, or will have one as soon as the engine is open."""
    BACKING_OFF = "backing-off"
    SUSPENDED = "suspended"
    """It waits for a notification, and has no attempt."""
    PAUSED = "paused"
    """It waits for a person; ``failure`` says why."""
    COMPLETED = "completed"


class Kind(StrEnum):
    SERVICE = "service"
    EXCLUSIVE = "exclusive"
    SHARED = "shared"
    WORKFLOW = "workflow"


class Caller(NamedTuple):
    """Whose journal gets the outcome, as which completion."""

    id: InvocationId
    completion: int


class Single(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Of a handler whose calls stand in one line."""

    mode: Literal["skip", "queue", "cancel", "last"]
    """What a call does if others are there: nothing, wait, end them, or take the place of the one that waits."""
    window_ms: int = 0
    """Of ``last``: how long each waits for a later one."""
    longest_ms: int | None = None
    """Of ``last``: and for how long the first of a burst at most."""
    since_ms: int | None = None
    """When that was accepted."""


class Request(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A call as it was accepted. Never changes. On disk an array: fields may be added at the end, none may move."""

    target: Target
    kind: Kind
    payload: bytes
    headers: dict[str, str] = {}
    identity: str | None = None
    idempotency_key: str | None = None
    caller: Caller | None = None
    invoked_by: InvocationId | None = None
    """Whose call or send it was accepted with."""
    retention_ms: int = 86_400_000
    journal_retention_ms: int | None = None
    """If the journal goes before the outcome does."""
    strict_idempotency: bool = True
    """Whether another input under the same idempotency key is refused."""
    version: str = ""
    """Of the code that accepted it."""
    restarted_from: InvocationId | None = None
    seed: InvocationId | None = None
    """Whose randomness it repeats: that of the invocation it was restarted from."""
    limit: str | None = None
    """Name and key of the named limit that it counts for: ``tenant/acme``."""
    priority: int = 0
    single: Single | None = None


def derived_id(
    target: Target, idempotency_key: str | None, identity: str | None, /, *, workflow: bool
) -> InvocationId | None:
    """The id that a workflow run, or a call with an idempotency key, always has; ``None`` for any other call."""
    if workflow:
        return workflow_id(target.service, target.key or "")
    return None if idempotency_key is None else idempotent_id(target, idempotency_key, identity)


def workflow_id(service: str, key: str) -> InvocationId:
    return ids.derived("wf", service, key)


def idempotent_id(target: Target, idempotency_key: str, identity: str | None) -> InvocationId:
    """Idempotency keys are scoped by target, and by who calls."""
    key = () if target.key is None else (target.key,)
    who = ("anonymous",) if identity is None else ("identity", identity)
    return ids.derived("ik", *who, target.service, target.handler, idempotency_key, *key)


class Invocation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row: everything about an invocation but its journal."""

    n: int
    """Its number in this database: what its journal hangs off."""
    id: InvocationId
    request: Request
    status: Status
    created_ms: int
    modified_ms: int
    place: int | None = None
    """Its place in its key's queue, kept until it completes. The smallest place of a key holds the key."""
    due_ms: int | None = None
    """When it starts (scheduled) or tries again (backing off)."""
    attempts: int = 0
    """Failed attempts in a row."""
    failing_since_ms: int | None = None
    failure: Failure | None = None
    """The last attempt's."""
    awaiting: list[int | str] | None = None
    """While it is suspended, for what: completion ids, minus signal indexes, and slots of named signals."""
    outcome: Outcome | None = None
    expires_ms: int | None = None
    """When its record may go; ``None`` until it completes."""
    journal_expires_ms: int | None = None
    """When its journal may go, if that is before its record."""
    journal_kept: bool = True
    entries: int = 0
    """How many its journal held when this row was written; it may have grown, and never shrinks by itself."""
    detached: bool = False
    """Whether its caller ended without waiting for it: by now another invocation may have the caller's id."""
    lane: str | None = None
    """Where it waits for its limits, while it is ready; or will, once it has its key."""
    holds: bool = False
    """Whether it keeps slots while it does not run."""


class Timer(NamedTuple):
    """A sleep of a live invocation, in the order in which timers fire."""

    due_ms: int
    n: int
    completion: int
    """0: the start or the next attempt of the invocation itself, kept as its ``due_ms``."""


class Loaded(msgspec.Struct):
    """An invocation as it comes from the store."""

    invocation: Invocation
    entries: list[Entry]
    waiters: list[Caller]


class LoadedInstance(msgspec.Struct):
    """What the store knows of one key of an object or workflow."""

    queue: list[tuple[int, InvocationId]]
    """Places and ids of its live exclusive invocations, in order."""
    state: dict[str, bytes]
    promises: dict[str, Outcome]
    listeners: dict[str, list[Caller]]


class Flow(msgspec.Struct):
    """What the store knows of limits."""

    limits: list[Limit]
    rates: dict[str, float]
    """As ``Commit.rates``."""
    lanes: list[tuple[str, Status, int]]
    """How many stand in each, ready or pending."""


class Commit:
    """What one transaction writes. Many decisions share one: a later write of the same row replaces the earlier."""

    __slots__ = (
        "accepted",
        "changed",
        "entries",
        "forgotten",
        "limits",
        "listeners",
        "promises",
        "purged",
        "rates",
        "schedules",
        "state",
        "suspects",
        "timers",
        "waiters",
    )

    def __init__(self) -> None:
        self.accepted: dict[int, Invocation] = {}
        self.changed: dict[int, Invocation] = {}
        self.entries: dict[int, tuple[int, list[Entry]]] = {}
        """Per invocation number: how many entries its journal holds already, and the new entries."""
        self.state: dict[tuple[str, str, str], bytes | None] = {}
        """Service, key, name; ``None`` clears."""
        self.promises: dict[tuple[str, str, str], Outcome | None] = {}
        """Service, key, name; ``None`` removes: a workflow run is forgotten with its promises."""
        self.timers: dict[Timer, bool] = {}
        """``True`` sets, ``False`` removes; so for waiters and listeners."""
        self.waiters: dict[tuple[InvocationId, Caller], bool] = {}
        """Who else wants the outcome of an invocation."""
        self.listeners: dict[tuple[str, str, str, Caller], bool] = {}
        """Who waits for a promise: service, key, name, caller."""
        self.limits: dict[str, Limit | None] = {}
        """By pattern; ``None`` removes."""
        self.rates: dict[str, float | None] = {}
        """Per path, when the next start would be if starts came evenly; ``None`` removes."""
        self.schedules: dict[str, Schedule | None] = {}
        """By id; ``None`` removes."""
        self.purged: list[int] = []
        """Numbers of invocations that go, with all that hangs off them, before anything else is written."""
        self.forgotten: list[int] = []
        """Numbers of invocations whose journal goes."""
        self.suspects: dict[int, Suspect | None] = {}
        """By number; ``None``: it is none any more."""

    def accept(self, invocation: Invocation) -> None:
        self.accepted[invocation.n] = invocation

    def change(self, invocation: Invocation) -> None:
        rows = self.accepted if invocation.n in self.accepted else self.changed
        rows[invocation.n] = invocation

    def append(self, n: int, position: int, entry: Entry) -> None:
        held = self.entries.get(n)
        if held is None:
            self.entries[n] = (position, [entry])
        else:
            held[1].append(entry)

    def purge(self, n: int) -> None:
        """Take it off the disk; what is not there yet is just not written."""
        self.changed.pop(n, None)
        self.entries.pop(n, None)
        self.suspects.pop(n, None)
        if self.accepted.pop(n, None) is None:
            self.purged.append(n)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)
