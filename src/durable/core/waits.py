"""Who waits for whom: deadlocks, found when the call that closes the circle is made, and why an invocation waits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from durable.core import lifecycle
from durable.core.entries import Attach, Call, GetPromise, Question, Run, Sleep, Target
from durable.core.ids import FIRST_AWAKEABLE, InvocationId, write_invocation
from durable.core.invocation import InstanceId, Invocation, Status, instance_id
from durable.core.lanes import LaneKey, Mode
from durable.core.ledger import Ledger, Resident
from durable.core.lifecycle import Needed
from durable.core.moments import write_moment
from durable.core.outcome import Failure


class Missing(Exception):
    """The search came to something that is not in memory."""

    def __init__(self, needed: Needed) -> None:
        super().__init__(needed)
        self.needed = needed


def first_of_key(ledger: Ledger, instance: InstanceId) -> InvocationId | None:
    held = ledger.instances.get(instance)
    if held is None:
        raise Missing(instance)
    return held.lock.holder


def deadlock_needs(ledger: Ledger, caller: Resident, awaited: InvocationId | InstanceId) -> Iterator[Needed]:
    """What must be resident to search; asked again after each load, it goes on from there."""
    try:
        circle(ledger, caller, awaited)
    except Missing as missing:
        yield missing.needed


def circle(ledger: Ledger, caller: Resident, awaited: InvocationId | InstanceId) -> Failure | None:
    """What a call fails with if its callee, or the holder of its callee's key, waits for the caller already."""
    start = first_of_key(ledger, awaited) if isinstance(awaited, tuple) else awaited
    path = _path(ledger, start, caller.invocation.id) if start is not None else None
    if path is None:
        return None
    names = [str(ledger.invocations[id].invocation.request.target) for id in path]
    way = " -> ".join([str(caller.invocation.request.target), *names])
    return Failure(409, f"deadlock: {way}; each waits for the next to end, and would wait for ever")


def _path(ledger: Ledger, start: InvocationId, goal: InvocationId) -> list[InvocationId] | None:
    """From ``start`` along what each waits for, to ``goal``."""
    came_from: dict[InvocationId, InvocationId | None] = {start: None}
    waiting = [start]
    while waiting:
        id = waiting.pop()
        if id == goal:
            return _back(came_from, id)
        for each in _awaited(ledger, id):
            if each not in came_from:
                came_from[each] = id
                waiting.append(each)
    return None


def _back(came_from: dict[InvocationId, InvocationId | None], end: InvocationId) -> list[InvocationId]:
    path = [end]
    while (before := came_from[path[-1]]) is not None:
        path.append(before)
    return path[::-1]


def _awaited(ledger: Ledger, id: InvocationId) -> Iterator[InvocationId]:
    """Invocations that must end before this one can."""
    if id in ledger.damaged:
        return
    if id not in ledger.invocations:
        raise Missing(id)
    resident = ledger.find(id)
    if resident is None or resident.invocation.status is Status.COMPLETED:
        return
    for command in resident.open.values():
        if isinstance(command, Call | Attach):
            yield command.invocation_id
    if resident.invocation.status is Status.PENDING:
        holder = first_of_key(ledger, instance_id(resident.invocation.request.target))
        if holder is not None:
            yield holder


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that an invocation waits for."""

    what: str
    due_ms: int | None = None
    """When that ends by itself, in milliseconds since 1970."""
    invocation: Why | None = None
    """The invocation that must end first, and why it does not."""


class Why(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an invocation has not completed."""

    id: str
    target: Target
    status: Status
    reasons: list[Reason] = []

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.target} ({self.id}) is {self.status}"
        for reason in self.reasons:
            until = "" if reason.due_ms is None else f" (until {write_moment(reason.due_ms)})"
            yield f"  {reason.what}{until}"
            if reason.invocation is not None:
                yield from (f"    {line}" for line in reason.invocation._lines())


def why_needs(ledger: Ledger, id: InvocationId) -> Iterator[Needed]:
    try:
        why(ledger, id, 0)
    except Missing as missing:
        yield missing.needed


def why(ledger: Ledger, id: InvocationId, now_ms: int) -> Why | None:
    """The chain of holders, calls, promises and timers behind an invocation; ``None`` if there is no such one."""
    return _why(ledger, id, _Asked(now_ms, frozenset()))


class _Asked(NamedTuple):
    now_ms: int
    above: frozenset[InvocationId]
    """Whose reasons are being told already."""


def _why(ledger: Ledger, id: InvocationId, asked: _Asked) -> Why | None:
    if id not in ledger.invocations:
        raise Missing(id)
    resident = ledger.find(id)
    if resident is None:
        return None
    invocation = resident.invocation
    reasons = [] if id in asked.above else list(_reasons(ledger, resident, asked._replace(above=asked.above | {id})))
    return Why(write_invocation(id), invocation.request.target, invocation.status, reasons)


def _reasons(ledger: Ledger, resident: Resident, asked: _Asked) -> Iterator[Reason]:
    invocation = resident.invocation
    match invocation.status:
        case Status.SCHEDULED:
            yield Reason("its time to start has not come", invocation.due_ms)
        case Status.PENDING:
            yield _held_back(ledger, invocation, asked)
        case Status.READY:
            yield from _limited(ledger, invocation, asked.now_ms)
        case Status.BACKING_OFF:
            yield Reason(f"attempt {invocation.attempts} failed: {_failure(invocation)}", invocation.due_ms)
        case Status.PAUSED:
            end = "it is resumed" if invocation.failure is None else "the cause is mended, deployed, and it is resumed"
            yield Reason(f"it is paused until {end}: {_failure(invocation)}")
        case Status.RUNNING | Status.SUSPENDED:
            running = invocation.status is Status.RUNNING
            slots = lifecycle.awaited_slots(resident) if running else invocation.awaiting or ()
            yield from _slots(ledger, resident, slots, asked)
        case Status.COMPLETED:
            pass


def _slots(ledger: Ledger, resident: Resident, slots: Iterable[int | str], asked: _Asked) -> Iterator[Reason]:
    questions = {entry.completion: entry for entry in resident.entries if isinstance(entry, Question)}
    for slot in slots:
        if isinstance(slot, str):
            yield Reason(f"signal {slot.partition(chr(0))[0]!r} has not arrived")
        elif slot < 0:
            yield Reason(f"awakeable {-slot - FIRST_AWAKEABLE + 1} of this invocation is not completed")
        elif slot in questions:
            yield _question(ledger, questions[slot], asked)


def _held_back(ledger: Ledger, invocation: Invocation, asked: _Asked) -> Reason:
    instance = instance_id(invocation.request.target)
    holder = first_of_key(ledger, instance)
    return _behind(ledger, f"the key {'/'.join(instance)} is held", holder, asked)


def _limited(ledger: Ledger, invocation: Invocation, now_ms: int) -> Iterator[Reason]:
    """The limits that hold it back, or those who stand before it."""
    assert invocation.lane is not None
    key = LaneKey.read(invocation.lane)
    lane = ledger.admission.lanes.get(key)
    meters = () if lane is None else lane.meters
    for number, meter in enumerate(meters):
        claimed = lane is not None and number < lane.claims  # of its own
        if meter.full and not claimed:
            yield Reason(str(meter))
        elif key.mode is Mode.START and meter.opens_ms(now_ms) > now_ms:
            yield Reason(meter.start_rule, math.ceil(meter.opens_ms(now_ms)))
        elif meter.blocks_before(key.mode) and not claimed:
            yield Reason(f"others wait for {meter.name} too, and their turn is before its own")
    yield Reason(f"{0 if lane is None else lane.waiting} wait with the same limits and priority, itself among them")


def _behind(ledger: Ledger, what: str, id: InvocationId | None, asked: _Asked) -> Reason:
    if id is not None and id in ledger.damaged:
        return Reason(f"{what}: {ledger.damaged[id]}")
    return Reason(what, invocation=None if id is None else _why(ledger, id, asked))


def _question(ledger: Ledger, entry: Question, asked: _Asked) -> Reason:
    match entry:
        case Sleep():
            return Reason("a timer has not fired", entry.due_ms)
        case Run():
            return Reason(f"step {entry.name!r} has no result")
        case GetPromise():
            return Reason(f"promise {entry.name!r} is not completed")
        case Call() | Attach():
            return _behind(ledger, "a call has no outcome", entry.invocation_id, asked)
        case _:
            return Reason(f"{type(entry).__name__} has no answer")


def _failure(invocation: Invocation) -> str:
    return "a person paused it" if invocation.failure is None else invocation.failure.message
