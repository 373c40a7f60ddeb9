"""What is in memory: invocations, keys, timers, the commit that is being filled, and the effects that follow from it.

Memory runs ahead of the disk: a decision changes it at once, and is durable when the commit with its number is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from durable.core.admission import Admission
from durable.core.awaits import Await
from durable.core.entries import (
    Attach,
    Call,
    Completed,
    Entry,
    GetPromise,
    Notification,
    Signalled,
    Sleep,
    Target,
    line_of,
)
from durable.core.ids import CANCEL, InvocationId
from durable.core.invocation import (
    Caller,
    Commit,
    InstanceId,
    Invocation,
    Kind,
    Loaded,
    LoadedInstance,
    Request,
    Single,
    Status,
    Timer,
    instance_id,
)
from durable.core.keylock import KeyLock
from durable.core.outcome import Outcome
from durable.core.timers import Timers


class Rule(NamedTuple):
    """What the engine must know of a handler to accept a call of it."""

    kind: Kind
    retention_ms: int
    journal_retention_ms: int | None = None
    strict_idempotency: bool = True
    idempotency_retention_ms: int | None = None
    """If a call with an idempotency key is kept for another time than the others."""
    anonymous: bool = False
    """Whether it is nobody's, whoever calls it."""
    limit: str | None = None
    """The named limit that its calls count for."""
    single: Single | None = None
    """If its calls stand in one line."""

    def at(self, target: Target) -> Target:
        """Where a call goes that names no line."""
        return target if self.single is None or target.key is not None else line_of(target.service, target.handler)

    def limit_of(self, limit_key: str | None) -> str | None:
        """Name and key of what a call counts for."""
        return self.limit if self.limit is None or limit_key is None else f"{self.limit}/{limit_key}"

    def request(
        self, target: Target, payload: bytes, headers: Mapping[str, str], idempotency_key: str | None
    ) -> Request:
        """A call of the handler, as far as the handler decides."""
        other_ms = None if idempotency_key is None else self.idempotency_retention_ms
        return Request(
            target=self.at(target),
            kind=self.kind,
            payload=payload,
            headers=dict(headers),
            idempotency_key=idempotency_key,
            retention_ms=self.retention_ms if other_ms is None else other_ms,
            journal_retention_ms=self.journal_retention_ms,
            strict_idempotency=self.strict_idempotency,
            single=self.single,
        )


Directory = Mapping[tuple[str, str], Rule]
"""Every handler there is, by service and name."""


ANSWERS = (Completed, Signalled)
WAITING = (Sleep, GetPromise, Attach, Call)
"""Commands that leave something behind, until they have their answer: a timer, a listener, a waiter."""


class Resident:
    """An invocation in memory."""

    __slots__ = ("answered", "awaits", "entries", "invocation", "number", "open", "progressed", "purged", "waiters")

    def __init__(self, invocation: Invocation, entries: list[Entry], waiters: list[Caller]) -> None:
        self.invocation = invocation
        self.entries = entries
        """Its journal after the input."""
        self.waiters = waiters
        self.number = 0
        """The last decision that changed it."""
        self.awaits: list[Await] = []
        """What its attempt waits for."""
        self.progressed = False
        """Whether its journal grew since its last attempt failed."""
        self.purged = False
        """A purged one stays here until that is on the disk, so that nobody reads it from there; nobody finds it."""
        self.answered = {slot for entry in entries if (slot := _slot(entry)) is not None}
        """Completion ids, and negative signal indexes, that its journal holds."""
        self.open = {
            entry.completion: entry
            for entry in entries
            if isinstance(entry, WAITING) and entry.completion not in self.answered
        }
        """What it asked for, and has no answer to."""


def _slot(entry: Entry) -> int | None:
    """What can be answered only once. Cancellations and named signals add up."""
    if isinstance(entry, Completed):
        return entry.completion
    if isinstance(entry, Signalled) and isinstance(entry.signal, int) and entry.signal != CANCEL:
        return -entry.signal
    return None


class Instance:
    """One key of a virtual object or workflow in memory."""

    __slots__ = ("id", "listeners", "lock", "number", "promises", "state")

    def __init__(self, id: InstanceId, loaded: LoadedInstance) -> None:
        self.id = id
        self.lock = KeyLock(invocation for _, invocation in loaded.queue)
        self.state = loaded.state
        self.promises = loaded.promises
        self.listeners = loaded.listeners
        self.number = 0


class Start(NamedTuple):
    """Begin an attempt."""

    resident: Resident


class Wake(NamedTuple):
    """Its journal holds a new notification."""

    resident: Resident
    entry: Notification


class Stop(NamedTuple):
    """End the attempt, if there is one: nothing more is taken from its handler."""

    resident: Resident


class Done(NamedTuple):
    """It has its outcome."""

    resident: Resident


Effect = Start | Wake | Stop | Done


class Ledger:
    def __init__(self, directory: Directory, *, last_n: int, last_place: int) -> None:
        self.directory = directory
        self.invocations: dict[InvocationId, Resident] = {}
        self.instances: dict[InstanceId, Instance] = {}
        self.damaged: dict[InvocationId, str] = {}
        """Invocations that are in the store and cannot be read, and why: nobody moves them, and their ids are taken."""
        self.timers = Timers()
        self.admission = Admission()
        self.commit = Commit()
        self.effects: list[Effect] = []
        self.number = 1
        """Of the decision that is being taken."""
        self.last_n = last_n
        self.last_place = last_place

    def find(self, id: InvocationId) -> Resident | None:
        """An invocation that is in memory, and not purged."""
        held = self.invocations.get(id)
        return None if held is None or held.purged else held

    def has(self, id: InvocationId) -> bool:
        """Whether there is such an invocation, be it damaged."""
        return id in self.damaged or self.find(id) is not None

    def admit(self, id: InvocationId, loaded: Loaded) -> Resident:
        """Take in an invocation from the store, unless it is here already."""
        held = self.invocations.get(id)
        if held is None:
            held = self.invocations[id] = Resident(loaded.invocation, loaded.entries, loaded.waiters)
        return held

    def admit_instance(self, id: InstanceId, loaded: LoadedInstance) -> Instance:
        held = self.instances.get(id)
        if held is None:
            held = self.instances[id] = Instance(id, loaded)
        return held

    def add(self, invocation: Invocation) -> Resident:
        """A new invocation."""
        resident = Resident(invocation, [], [])
        resident.number = self.number
        self.invocations[invocation.id] = resident
        self.commit.accept(invocation)
        return resident

    def change(self, resident: Resident, /, *, modified_ms: int = 0, **fields: object) -> None:
        # The clock may have stepped back since the last engine ended.
        modified_ms = max(modified_ms, resident.invocation.modified_ms)
        fields = {"entries": len(resident.entries), "modified_ms": modified_ms, **fields}
        before = resident.invocation
        resident.invocation = after = msgspec.structs.replace(before, **fields)
        resident.number = self.number
        if self.admission.active or before.holds:
            self._admission_changed(resident, before, after)
        self.commit.change(resident.invocation)

    def _admission_changed(self, resident: Resident, before: Invocation, after: Invocation) -> None:
        self.admission.changed_status(before, after)
        if after.status is not Status.RUNNING:
            # While it runs it has all its slots, whatever its row says.
            holds = after.id in self.admission.slots
            if holds is not after.holds:
                resident.invocation = msgspec.structs.replace(after, holds=holds)

    def append(self, resident: Resident, entry: Entry) -> bool:
        """Extend a journal, unless this is a second answer: the first counts. Returns whether it was extended."""
        if isinstance(entry, ANSWERS):
            slot = _slot(entry)
            if slot in resident.answered:
                return False
            if slot is not None:
                resident.answered.add(slot)
                resident.open.pop(slot, None)
        else:
            resident.progressed = True
            if isinstance(entry, WAITING):
                resident.open[entry.completion] = entry
        self.commit.append(resident.invocation.n, len(resident.entries), entry)
        resident.entries.append(entry)
        resident.number = self.number
        return True

    def arm(self, resident: Resident, due_ms: int, completion: int) -> None:
        """Set a timer. Completion 0 is the invocation's own ``due_ms``, which its row keeps."""
        timer = Timer(due_ms, resident.invocation.n, completion)
        if completion:
            self.commit.timers[timer] = True
        self.timers.add(timer, resident.invocation.id)

    def disarm(self, timer: Timer) -> None:
        self.commit.timers[timer] = False

    def instance_of(self, invocation: Invocation) -> Instance:
        return self.instances[instance_id(invocation.request.target)]

    def set_state(self, instance: Instance, name: str, value: bytes | None) -> None:
        if value is None:
            instance.state.pop(name, None)
        else:
            instance.state[name] = value
        instance.number = self.number
        self.commit.state[*instance.id, name] = value

    def set_promise(self, instance: Instance, name: str, outcome: Outcome) -> None:
        instance.promises[name] = outcome
        instance.number = self.number
        self.commit.promises[*instance.id, name] = outcome

    def remove_promise(self, instance: Instance, name: str) -> None:
        del instance.promises[name]
        instance.number = self.number
        self.commit.promises[*instance.id, name] = None

    def listen(self, instance: Instance, name: str, caller: Caller, wanted: bool) -> None:
        listeners = instance.listeners.setdefault(name, [])
        if wanted:
            listeners.append(caller)
        elif caller in listeners:
            listeners.remove(caller)
        if not listeners:
            del instance.listeners[name]
        instance.number = self.number
        self.commit.listeners[*instance.id, name, caller] = wanted

    def held_for_ever(self, request: Request) -> str | None:
        """Why an exclusive call would not get its key: who holds it cannot be read."""
        instance = self.instances.get(instance_id(request.target)) if request.kind is Kind.EXCLUSIVE else None
        holder = None if instance is None else instance.lock.holder
        if holder is None or holder not in self.damaged:
            return None
        return f"the key {'/'.join(instance_id(request.target))} is not free: {self.damaged[holder]}"

    def wait_for(self, resident: Resident, caller: Caller) -> None:
        """The caller wants the outcome too."""
        resident.waiters.append(caller)
        resident.number = self.number
        self.commit.waiters[resident.invocation.id, caller] = True
