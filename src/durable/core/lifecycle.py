"""Every change of an invocation's status there is.

Each function takes the ledger and one event, changes what is in memory, and leaves in the ledger's commit all that the
event changes, so that it is written in one transaction. The invocations and keys that an event touches must be
resident: the ``*_needs`` functions name them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from durable.core.entries import Attach, Call, Completed, GetPromise, Notification, Signalled, Sleep
from durable.core.ids import CANCEL, InvocationId
from durable.core.invocation import Caller, InstanceId, Invocation, Kind, Request, Status, Timer, instance_id
from durable.core.lanes import Lane, LaneKey, Mode
from durable.core.ledger import Done, Ledger, Resident, Start, Wake
from durable.core.outcome import Failure, Outcome, Success
from durable.retry import RetryPolicy

Needed = InvocationId | InstanceId

ALREADY_INVOKED = Failure(409, "the workflow method was already invoked")
CANCELLED = Failure(409, "cancelled")
NOT_FOUND = Failure(404, "not found")
DIFFERENT_REQUEST = Failure(409, "this idempotency key was used before, with a different input")


def accept_needs(request: Request, id: InvocationId) -> Iterator[Needed]:
    if request.idempotency_key is not None or request.kind is Kind.WORKFLOW:
        yield id
    if request.kind is not Kind.SERVICE:  # if its key cannot be read, nobody accepts what could not start
        yield instance_id(request.target)


def accept(ledger: Ledger, request: Request, id: InvocationId, now_ms: int, due_ms: int | None) -> Resident:
    """A new invocation: it starts, or waits for its key, its limits or its time."""
    ledger.last_n += 1
    scheduled = due_ms is not None and due_ms > now_ms
    invocation = Invocation(
        n=ledger.last_n,
        id=id,
        request=request,
        status=Status.SCHEDULED if scheduled else Status.PENDING,
        created_ms=now_ms,
        modified_ms=now_ms,
        due_ms=due_ms if scheduled else None,
    )
    resident = ledger.add(invocation)
    if scheduled and due_ms is not None:
        ledger.arm(resident, due_ms, 0)
        if request.single is not None and request.single.mode == "last":
            _take_place(ledger, resident)  # where the next call finds it
    else:
        _enter(ledger, resident, now_ms)
    return resident


def differs(known: Resident, request: Request) -> bool:
    """Whether an idempotency key came with another input than before, and that matters."""
    return request.strict_idempotency and known.invocation.request.payload != request.payload


def notify(ledger: Ledger, resident: Resident, entry: Notification, now_ms: int) -> None:
    """Append a notification; whoever waits for one goes on."""
    status = resident.invocation.status
    if status is Status.COMPLETED or not ledger.append(resident, entry):
        return
    if status is Status.RUNNING:
        ledger.effects.append(Wake(resident, entry))
    elif status is Status.SUSPENDED:
        start(ledger, resident, now_ms)


def start(ledger: Ledger, resident: Resident, now_ms: int) -> None:
    """From suspended, backing off or paused: a new attempt, as soon as its limits let it."""
    kept = resident.invocation.id in ledger.admission.slots
    _admit(ledger, resident, Mode.HOLDER if kept else Mode.RESUME, now_ms)


def waits_to_start(invocation: Invocation) -> bool:
    """Whether it has never run."""
    if invocation.status is Status.READY and invocation.lane is not None:
        return LaneKey.read(invocation.lane).mode is Mode.START
    return invocation.status in (Status.SCHEDULED, Status.PENDING)


def recover(ledger: Ledger, resident: Resident, now_ms: int) -> None:
    """It was running when the last engine ended: it goes on, unless fewer may run by now."""
    lane = ledger.admission.go_on(resident.invocation) if ledger.admission.active else None
    if lane is None:
        ledger.effects.append(Start(resident))
    else:
        ledger.change(resident, status=Status.READY, lane=lane.text, modified_ms=now_ms)


def count_slots(ledger: Ledger, resident: Resident) -> None:
    """It was running when the last engine ended: it has the slots that it had."""
    if ledger.admission.active:
        ledger.admission.count(resident.invocation)


def let_in(ledger: Ledger, resident: Resident | None, lane: Lane, now_ms: int) -> None:
    """Its turn has come, if it still stands in the lane."""
    if resident is None or resident.invocation.lane != lane.text or resident.invocation.status is not Status.READY:
        return ledger.admission.pass_over(lane)
    ledger.admission.admit(lane, resident.invocation, now_ms)
    _run(ledger, resident, lane.key.mode, now_ms)
    return None


def _admit(ledger: Ledger, resident: Resident, mode: Mode, now_ms: int) -> None:
    """It may run: now, or as soon as its limits let it."""
    admission = ledger.admission
    lane = admission.enter(resident.invocation, mode, now_ms) if admission.active else None
    if lane is None:
        _run(ledger, resident, mode, now_ms)
    else:
        waiting = {"status": Status.READY, "lane": lane.text, "due_ms": None, "awaiting": None}
        ledger.change(resident, modified_ms=now_ms, **waiting)


def _run(ledger: Ledger, resident: Resident, mode: Mode, now_ms: int) -> None:
    running = {"status": Status.RUNNING, "lane": None, "due_ms": None, "awaiting": None}
    ledger.change(resident, modified_ms=now_ms, **running)
    ledger.effects.append(Start(resident))
    has = ledger.admission.slots.get(resident.invocation.id)
    if has is not None and mode is Mode.START:
        ledger.commit.rates.update((meter.name, meter.next_start_ms) for meter in has.meters if meter.limit.rate)


def suspend(ledger: Ledger, resident: Resident, now_ms: int) -> None:
    ledger.change(resident, status=Status.SUSPENDED, awaiting=awaited_slots(resident), modified_ms=now_ms)


def awaited_slots(resident: Resident) -> list[int | str]:
    """What its attempt waits for, and has no answer to."""
    slots = (slot for tree in resident.awaits for slot in tree.slots())
    return [slot for slot in dict.fromkeys(slots) if slot not in resident.answered]


def complete_needs(ledger: Ledger, resident: Resident) -> Iterator[Needed]:
    request = resident.invocation.request
    if request.caller is not None:
        yield request.caller.id
    for waiter in resident.waiters:
        yield waiter.id
    for wait in resident.open.values():
        if isinstance(wait, Attach | Call):
            yield wait.invocation_id
    if request.kind is not Kind.SERVICE:
        instance = instance_id(request.target)
        yield instance
        yield from _next_in_line(ledger, instance, resident.invocation)


def _next_in_line(ledger: Ledger, instance: InstanceId, leaving: Invocation) -> Iterator[InvocationId]:
    """Who holds the key next, if all that stand before ``leaving`` leave in the same decision."""
    held = ledger.instances.get(instance)
    if held is not None and leaving.place is not None:
        successor = held.lock.after(leaving.id)
        if successor is not None:
            yield successor


def complete(ledger: Ledger, resident: Resident, outcome: Outcome, now_ms: int) -> None:
    """Its outcome, the release of its key, and the answer to everybody who waits for it, at once."""
    invocation = resident.invocation
    _forget_waits(ledger, resident)
    ledger.change(
        resident,
        status=Status.COMPLETED,
        outcome=outcome,
        due_ms=None,
        lane=None,
        modified_ms=now_ms,
        # After a clock was set back, what is changed last is not forgotten first.
        **_expiry(invocation.request, max(now_ms, invocation.modified_ms)),
    )
    ledger.effects.append(Done(resident))
    for waiter in resident.waiters:
        ledger.commit.waiters[invocation.id, waiter] = False
    callers = [invocation.request.caller] if invocation.request.caller and not invocation.detached else []
    for caller in [*callers, *resident.waiters]:
        # A damaged row may name another command, or another invocation.
        if isinstance(asked := question(ledger, caller), Attach | Call) and asked.invocation_id == invocation.id:
            answer(ledger, caller, outcome, now_ms)
    resident.waiters = []
    if invocation.place is not None:
        _leave(ledger, invocation, now_ms)


def _expiry(request: Request, now_ms: int) -> dict[str, int | None]:
    kept_ms, journal_ms = request.retention_ms, request.journal_retention_ms
    early = journal_ms is not None and journal_ms < kept_ms
    return {
        "expires_ms": now_ms + kept_ms,
        "journal_expires_ms": now_ms + journal_ms if journal_ms is not None and early else None,
    }


def remove(ledger: Ledger, resident: Resident, outcome: Outcome, now_ms: int) -> None:
    """End what never started: whoever waits is told, and no record is kept."""
    complete(ledger, resident, outcome, now_ms)
    ledger.commit.purge(resident.invocation.n)
    resident.purged = True


def absent(ledger: Ledger, id: InvocationId) -> Failure:
    """What a handler is told that asks for an invocation which cannot be found, or not be read."""
    return Failure(500, ledger.damaged[id]) if id in ledger.damaged else NOT_FOUND


def question(ledger: Ledger, caller: Caller) -> Sleep | GetPromise | Attach | Call | None:
    """What a resident caller asked for under this completion id, if it has no answer."""
    resident = ledger.find(caller.id)
    return None if resident is None else resident.open.get(caller.completion)


def answer(ledger: Ledger, caller: Caller, outcome: Outcome, now_ms: int) -> None:
    """Complete a command in the journal of a resident caller."""
    notify(ledger, ledger.invocations[caller.id], Completed(caller.completion, outcome), now_ms)


class Failed(NamedTuple):
    """How an attempt ended, if not by an outcome and not by waiting."""

    failure: Failure
    retry_after: timedelta | None = None
    """Instead of what the policy says."""
    chance: float = 0.0
    """Between 0 and 1, for the policy's jitter."""
    cancelled: bool = False
    """Whether it was cancelled, and never told."""


def fail(ledger: Ledger, resident: Resident, failed: Failed, policy: RetryPolicy, now_ms: int) -> bool:
    """Try again later, or give up; returns whether the invocation must be completed with the failure."""
    invocation = resident.invocation
    afresh = resident.progressed or invocation.failing_since_ms is None
    attempts = 1 if afresh else invocation.attempts + 1
    since_ms = now_ms if afresh or invocation.failing_since_ms is None else invocation.failing_since_ms
    resident.progressed = False
    ledger.change(resident, attempts=attempts, failing_since_ms=since_ms, failure=failed.failure, modified_ms=now_ms)
    if policy.gives_up(attempts, timedelta(milliseconds=now_ms - since_ms)):
        if policy.exhausted == "fail" or failed.cancelled:
            return True
        ledger.change(resident, status=Status.PAUSED)
        return False
    delay = policy.delay(attempts, failed.chance) if failed.retry_after is None else failed.retry_after
    due_ms = now_ms + round(delay.total_seconds() * 1000)
    ledger.change(resident, status=Status.BACKING_OFF, due_ms=due_ms)
    ledger.arm(resident, due_ms, 0)
    return False


def pause(ledger: Ledger, resident: Resident, failure: Failure, now_ms: int) -> None:
    """It keeps its key, and waits for a person."""
    ledger.change(resident, status=Status.PAUSED, failure=failure, modified_ms=now_ms)


def fire_needs(resident: Resident) -> Iterator[Needed]:
    request = resident.invocation.request
    if resident.invocation.status is Status.SCHEDULED and request.kind is Kind.EXCLUSIVE:
        yield instance_id(request.target)


def fire(ledger: Ledger, resident: Resident, timer: Timer, now_ms: int) -> None:
    """A timer is due. One that is no longer wanted changes nothing."""
    invocation = resident.invocation
    if invocation.status is Status.COMPLETED:
        return  # its timers left with it
    if timer.completion:
        ledger.disarm(timer)
        _awake(ledger, resident, timer.completion, now_ms)
    elif invocation.due_ms != timer.due_ms:
        return
    elif invocation.status is Status.SCHEDULED:
        _enter(ledger, resident, now_ms)
    elif invocation.status is Status.BACKING_OFF:
        start(ledger, resident, now_ms)


def _awake(ledger: Ledger, resident: Resident, completion: int, now_ms: int) -> None:
    """The journal has a checksum, the timer's row has none: it may name another command, or too early a time."""
    asked = resident.open.get(completion)
    if isinstance(asked, Sleep) and asked.due_ms <= now_ms:
        notify(ledger, resident, Completed(completion, SLEPT), now_ms)
    elif isinstance(asked, Sleep):
        ledger.arm(resident, asked.due_ms, completion)


def signal_needs(ledger: Ledger, resident: Resident, signal: int | str) -> Iterator[Needed]:
    if signal == CANCEL and waits_to_start(resident.invocation):
        yield from complete_needs(ledger, resident)


def signal(ledger: Ledger, resident: Resident, entry: Signalled, now_ms: int) -> None:
    """Deliver a signal. A cancellation completes what never started, and restarts what is paused or backs off."""
    status = resident.invocation.status
    if entry.signal != CANCEL:
        notify(ledger, resident, entry, now_ms)
    elif waits_to_start(resident.invocation):
        remove(ledger, resident, CANCELLED, now_ms)
    else:
        notify(ledger, resident, entry, now_ms)
        if status in (Status.PAUSED, Status.BACKING_OFF):
            start(ledger, resident, now_ms)


SLEPT = Success(b"")


def _enter(ledger: Ledger, resident: Resident, now_ms: int) -> None:
    """Its time has come: it starts, or takes its place in the queue of its key."""
    invocation = resident.invocation
    if invocation.request.kind is Kind.EXCLUSIVE:
        if invocation.place is None:
            _take_place(ledger, resident)
        if ledger.instance_of(invocation).lock.holder != invocation.id:
            lane = ledger.admission.lane_of(invocation.request, Mode.START).text if ledger.admission.active else None
            ledger.change(resident, status=Status.PENDING, lane=lane, due_ms=None, modified_ms=now_ms)
            return
    _admit(ledger, resident, Mode.START, now_ms)


def _take_place(ledger: Ledger, resident: Resident) -> None:
    ledger.last_place += 1
    instance = ledger.instance_of(resident.invocation)
    instance.number = ledger.number
    instance.lock.enter(resident.invocation.id)
    ledger.change(resident, place=ledger.last_place)


def _leave(ledger: Ledger, invocation: Invocation, now_ms: int) -> None:
    instance = ledger.instance_of(invocation)
    instance.number = ledger.number
    successor = instance.lock.leave(invocation.id)
    # One that cannot be read holds the key from now on; one whose time has not come starts then.
    if successor is not None and successor not in ledger.damaged:
        resident = ledger.invocations[successor]
        if resident.invocation.status is Status.PENDING:
            _admit(ledger, resident, Mode.START, now_ms)


def _forget_waits(ledger: Ledger, resident: Resident) -> None:
    for wait in resident.open.values():
        caller = Caller(resident.invocation.id, wait.completion)
        match wait:
            case Sleep():
                ledger.disarm(Timer(wait.due_ms, resident.invocation.n, wait.completion))
            case GetPromise():
                ledger.listen(ledger.instance_of(resident.invocation), wait.name, caller, wanted=False)
            case Attach() | Call():
                _stop_waiting(ledger, wait.invocation_id, caller)


def _stop_waiting(ledger: Ledger, id: InvocationId, caller: Caller) -> None:
    awaited = ledger.find(id)
    if awaited is not None and awaited.invocation.request.caller == caller:
        return ledger.change(awaited, detached=True)
    if awaited is not None and caller in awaited.waiters:
        awaited.waiters.remove(caller)
        awaited.number = ledger.number
    ledger.commit.waiters[id, caller] = False
    return None
