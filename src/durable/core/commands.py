"""What each command of a handler does, beside standing in its journal."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from durable.core import control, lifecycle, waits
from durable.core import entries as e
from durable.core.ids import InvocationId
from durable.core.invocation import Caller, InstanceId, Kind, Request, Status, instance_id
from durable.core.ledger import Directory, Ledger, Resident
from durable.core.lifecycle import Needed
from durable.core.outcome import Failure, Outcome, Success
from durable.core.single import make_way, skipped, way_needs
from durable.errors import TerminalError

ALONE = frozenset({e.Run, e.Sleep, e.GetState, e.GetStateKeys, e.Now, e.SetState, e.ClearState, e.ClearAllState})
"""Commands that touch nothing but their own invocation and its key."""

PROMISE_COMPLETED = Failure(409, "promise was already completed")


def needs(ledger: Ledger, resident: Resident, command: e.AnyCommand) -> Iterator[Needed]:
    """The invocations and keys that must be resident before ``command`` is decided."""
    match command:
        case e.Call() | e.Send():
            request = _request(ledger, resident, command)
            if request is not None:
                yield from lifecycle.accept_needs(request, command.invocation_id)
                yield from way_needs(ledger, request)
                yield from _wait_needs(ledger, resident, command, request)
        case e.GetOutput():
            yield command.invocation_id
        case e.Attach() | e.SendSignal() | e.CompleteAwakeable() | e.Control():
            yield command.invocation_id
            yield from _target_needs(ledger, resident, command)
        case e.CompletePromise():
            for caller in ledger.instance_of(resident.invocation).listeners.get(command.name, ()):
                yield caller.id
        case _:
            pass


def _wait_needs(ledger: Ledger, resident: Resident, command: e.Call | e.Send, request: Request) -> Iterator[Needed]:
    if isinstance(command, e.Call) and (awaited := _awaited(ledger, command, request)) is not None:
        yield from waits.deadlock_needs(ledger, resident, awaited)


def _awaited(ledger: Ledger, command: e.Call, request: Request) -> Needed | None:
    """What the callee's end depends on, as far as that is there before the call."""
    if ledger.find(command.invocation_id) is not None:
        return command.invocation_id
    exclusive = request.kind is Kind.EXCLUSIVE and instance_id(request.target) in ledger.instances
    return instance_id(request.target) if exclusive else None


def _target_needs(
    ledger: Ledger, resident: Resident, command: e.Attach | e.SendSignal | e.CompleteAwakeable | e.Control
) -> Iterator[Needed]:
    target = ledger.find(command.invocation_id)
    if isinstance(command, e.Control):
        yield from control.needs(ledger, _order(command))
    elif isinstance(command, e.Attach):
        yield from waits.deadlock_needs(ledger, resident, command.invocation_id) if target else ()
    elif target is not None:
        yield from lifecycle.signal_needs(ledger, target, command.signal)


def apply(ledger: Ledger, resident: Resident, command: e.AnyCommand, now_ms: int) -> None:
    """Record the command and do what it asks for, in the commit that is being filled."""
    ledger.append(resident, command)
    match command:
        case e.Run() | e.GetState() | e.GetStateKeys() | e.Now():
            pass
        case e.Sleep():
            ledger.arm(resident, command.due_ms, command.completion)
        case e.Call() | e.Send() | e.Attach() | e.GetOutput() | e.SendSignal() | e.CompleteAwakeable() | e.Control():
            _reach(ledger, resident, command, now_ms)
        case e.SetState() | e.ClearState() | e.ClearAllState():
            _write_state(ledger, resident, command)
        case e.GetPromise() | e.PeekPromise() | e.CompletePromise():
            _promise(ledger, resident, command, now_ms)


def _reach(
    ledger: Ledger,
    resident: Resident,
    command: e.Call | e.Send | e.Attach | e.GetOutput | e.SendSignal | e.CompleteAwakeable | e.Control,
    now_ms: int,
) -> None:
    """What touches another invocation."""
    match command:
        case e.Call():
            _call(ledger, resident, command, now_ms)
        case e.Send():
            _send(ledger, resident, command, now_ms)
        case e.Attach():
            _attach_anew(ledger, resident, command, now_ms)
        case e.GetOutput():
            _get_output(ledger, resident, command, now_ms)
        case e.SendSignal() | e.CompleteAwakeable():
            target = _recipient(ledger, command)
            if target is not None:
                lifecycle.signal(ledger, target, e.Signalled(command.signal, command.outcome), now_ms)
        case e.Control():
            _control(ledger, resident, command, now_ms)


def _recipient(ledger: Ledger, command: e.SendSignal | e.CompleteAwakeable) -> Resident | None:
    target = ledger.find(command.invocation_id)
    reused = isinstance(command, e.CompleteAwakeable) and target and target.invocation.created_ms != command.created_ms
    return None if reused else target


def _request(ledger: Ledger, resident: Resident, command: e.Call | e.Send) -> Request | None:
    """What a callee is accepted with; ``None`` if there is no such handler."""
    rule = ledger.directory.get((command.target.service, command.target.handler))
    if rule is None:
        return None
    caller = Caller(resident.invocation.id, command.completion) if isinstance(command, e.Call) else None
    return msgspec.structs.replace(
        rule.request(command.target, command.payload, command.headers, command.idempotency_key),
        identity=None if rule.anonymous else resident.invocation.request.identity,
        limit=rule.limit_of(command.limit_key),
        priority=command.priority,
        caller=caller,
        invoked_by=resident.invocation.id,
        version=resident.invocation.request.version,
    )


def _call(ledger: Ledger, resident: Resident, command: e.Call, now_ms: int) -> None:
    caller = Caller(resident.invocation.id, command.completion)
    request = _request(ledger, resident, command)
    if request is None:
        return lifecycle.answer(ledger, caller, unknown_handler(command.target), now_ms)
    known = ledger.find(command.invocation_id)
    if known is not None and request.kind is Kind.WORKFLOW and not command.attach:
        return lifecycle.answer(ledger, caller, lifecycle.ALREADY_INVOKED, now_ms)
    if known is not None and request.kind is not Kind.WORKFLOW and lifecycle.differs(known, request):
        return lifecycle.answer(ledger, caller, lifecycle.DIFFERENT_REQUEST, now_ms)
    deadlock = _deadlock(ledger, resident, _awaited(ledger, command, request))
    if deadlock is not None:
        return lifecycle.answer(ledger, caller, deadlock, now_ms)
    if known is not None:
        return _attach(ledger, command.invocation_id, caller, now_ms)
    unreadable = ledger.damaged.get(command.invocation_id) or ledger.held_for_ever(request)
    if unreadable is not None:
        return lifecycle.answer(ledger, caller, Failure(500, unreadable), now_ms)
    way = make_way(ledger, request, now_ms, None)
    if way.skipped_for is not None:
        return lifecycle.answer(ledger, caller, skipped(way.skipped_for), now_ms)
    lifecycle.accept(ledger, way.request, command.invocation_id, now_ms, way.due_ms)
    return None


def _deadlock(ledger: Ledger, resident: Resident, awaited: Needed | None) -> Failure | None:
    try:
        return None if awaited is None else waits.circle(ledger, resident, awaited)
    except waits.Missing:
        return None  # what is not in memory by now does not exist


def _send(ledger: Ledger, resident: Resident, command: e.Send, now_ms: int) -> None:
    request = _request(ledger, resident, command)
    if request is not None and not ledger.has(command.invocation_id):
        way = make_way(ledger, request, now_ms, command.due_ms)
        if way.skipped_for is None:
            lifecycle.accept(ledger, way.request, command.invocation_id, now_ms, way.due_ms)


def unknown_handler(target: e.Target) -> Failure:
    return Failure(404, f"there is no handler {target.service}/{target.handler} in this engine")


def unsendable(directory: Directory, target: e.Target, *, delayed: bool) -> Failure | None:
    """Why no such call can be sent, if none can."""
    rule = directory.get((target.service, target.handler))
    if rule is None:
        return unknown_handler(target)
    said = None if rule.single is None or not delayed else _UNDELAYED.get(rule.single.mode)
    return None if said is None else Failure(400, f"{target.service}/{target.handler} {said}; send it without a delay")


_UNDELAYED = {
    "last": "is debounced, and waits for its window already",
    "skip": "is a singleton, and whether it is skipped is decided when it is sent",
    "cancel": "is a singleton, and whom it cancels is decided when it is sent",
}
"""Why some calls of one line take no delay."""


def _attach_anew(ledger: Ledger, resident: Resident, command: e.Attach, now_ms: int) -> None:
    caller = Caller(resident.invocation.id, command.completion)
    known = ledger.find(command.invocation_id) is not None
    deadlock = _deadlock(ledger, resident, command.invocation_id) if known else None
    if deadlock is not None:
        lifecycle.answer(ledger, caller, deadlock, now_ms)
    else:
        _attach(ledger, command.invocation_id, caller, now_ms)


def _attach(ledger: Ledger, awaited: InvocationId, caller: Caller, now_ms: int) -> None:
    resident = ledger.find(awaited)
    if resident is None:
        lifecycle.answer(ledger, caller, lifecycle.absent(ledger, awaited), now_ms)
    elif resident.invocation.status is Status.COMPLETED and resident.invocation.outcome is not None:
        lifecycle.answer(ledger, caller, resident.invocation.outcome, now_ms)
    else:
        ledger.wait_for(resident, caller)


def _get_output(ledger: Ledger, resident: Resident, command: e.GetOutput, now_ms: int) -> None:
    asked = ledger.find(command.invocation_id)
    outcome = lifecycle.absent(ledger, command.invocation_id) if asked is None else asked.invocation.outcome
    lifecycle.answer(ledger, Caller(resident.invocation.id, command.completion), outcome or Success(None), now_ms)


def _control(ledger: Ledger, resident: Resident, command: e.Control, now_ms: int) -> None:
    outcome: Outcome
    try:
        outcome = Success(control.carry_out(ledger, _order(command), now_ms))
    except TerminalError as error:
        outcome = Failure.of(error)
    lifecycle.answer(ledger, Caller(resident.invocation.id, command.completion), outcome, now_ms)


def _order(command: e.Control) -> control.Order:
    return control.Order(command.verb, command.invocation_id, command.new_id, command.from_entry)


def _write_state(ledger: Ledger, resident: Resident, command: e.SetState | e.ClearState | e.ClearAllState) -> None:
    instance = ledger.instance_of(resident.invocation)
    match command:
        case e.SetState():
            ledger.set_state(instance, command.name, command.value)
        case e.ClearState():
            ledger.set_state(instance, command.name, None)
        case e.ClearAllState():
            for name in list(instance.state):
                ledger.set_state(instance, name, None)


def _promise(
    ledger: Ledger, resident: Resident, command: e.GetPromise | e.PeekPromise | e.CompletePromise, now_ms: int
) -> None:
    instance = ledger.instance_of(resident.invocation)
    caller = Caller(resident.invocation.id, command.completion)
    held = instance.promises.get(command.name)
    match command:
        case e.GetPromise() if held is None:
            ledger.listen(instance, command.name, caller, wanted=True)
        case e.GetPromise():
            lifecycle.answer(ledger, caller, held or Success(), now_ms)
        case e.PeekPromise():
            lifecycle.answer(ledger, caller, held or Success(None), now_ms)
        case e.CompletePromise():
            outcome: Outcome = Success(b"") if held is None else PROMISE_COMPLETED
            if held is None:
                _complete_promise(ledger, instance.id, command, now_ms)
            lifecycle.answer(ledger, caller, outcome, now_ms)


def _complete_promise(ledger: Ledger, id: InstanceId, command: e.CompletePromise, now_ms: int) -> None:
    instance = ledger.instances[id]
    ledger.set_promise(instance, command.name, command.outcome)
    for listener in list(instance.listeners.get(command.name, ())):
        ledger.listen(instance, command.name, listener, wanted=False)
        asked = lifecycle.question(ledger, listener)
        if isinstance(asked, e.GetPromise) and asked.name == command.name:  # or its row is damaged
            lifecycle.answer(ledger, listener, command.outcome, now_ms)
