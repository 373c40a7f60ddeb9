"""What a person may do to an invocation, beside cancelling it: kill, pause, resume, restart, purge.

Like :mod:`durable.core.lifecycle`: a decision on the ledger, with everything that it touches resident. What cannot be
done is an :class:`~durable.errors.InvocationStateError`, with Restate's words, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from durable.core import lifecycle
from durable.core.entries import Call, Completed, Entry, Question, Send, Signalled, Verb
from durable.core.ids import CANCEL, InvocationId, write_invocation
from durable.core.invocation import Kind, Request, Status, instance_id
from durable.core.ledger import Ledger, Resident, Stop
from durable.core.lifecycle import Needed
from durable.core.outcome import Failure
from durable.errors import InvocationNotFoundError, InvocationStateError, TerminalError

KILLED = Failure(409, "killed")


class Order(NamedTuple):
    """One verb on one invocation. ``from_entry`` and ``new_id`` are for a restart."""

    verb: Verb
    id: InvocationId
    new_id: InvocationId
    from_entry: int = 0


def needs(ledger: Ledger, order: Order) -> Iterator[Needed]:
    yield order.id
    resident = ledger.find(order.id)
    if resident is None:
        return
    match order.verb:
        case "kill":
            yield from kill_needs(ledger, resident)
        case "restart" | "purge":
            yield from key_needs(resident)
        case "pause" | "resume" | "purge-journal":
            pass


def carry_out(ledger: Ledger, order: Order, now_ms: int) -> InvocationId:
    """Do it, and return the id of the invocation that it was done to, or of the one that a restart made."""
    resident = ledger.find(order.id)
    if resident is None:
        raise _absent(ledger, order.id)
    match order.verb:
        case "kill":
            kill(ledger, resident, now_ms)
        case "pause":
            pause(ledger, resident, now_ms)
        case "resume":
            resume(ledger, resident, now_ms)
        case "restart":
            return restart(ledger, plan_restart(ledger, resident, order), now_ms).invocation.id
        case "purge":
            purge(ledger, resident)
        case "purge-journal":
            purge_journal(ledger, resident)
    return order.id


def _absent(ledger: Ledger, id: InvocationId) -> TerminalError:
    if id in ledger.damaged:
        return lifecycle.absent(ledger, id).error()
    return InvocationNotFoundError.of(write_invocation(id))


def key_needs(resident: Resident) -> Iterator[Needed]:
    """What a restart or a purge touches beside the invocation."""
    if resident.invocation.request.kind in (Kind.EXCLUSIVE, Kind.WORKFLOW):
        yield instance_id(resident.invocation.request.target)


def kill_needs(ledger: Ledger, resident: Resident) -> Iterator[Needed]:
    """All that it called or sent, however deep, and what their end touches."""
    family, missing = _family(ledger, resident)
    yield from missing
    for each in family:
        yield each.invocation.id
        yield from lifecycle.complete_needs(ledger, each)


def kill(ledger: Ledger, resident: Resident, now_ms: int) -> None:
    """End it, and all that it called or sent, now. Nothing is undone; keys are free, callers are told."""
    _refuse_completed(resident)
    family, _ = _family(ledger, resident)
    # Asked before the first one ends, for then its key lets the next one start.
    unstarted = {each.invocation.id for each in family if lifecycle.waits_to_start(each.invocation)}
    for each in family:
        end = lifecycle.remove if each.invocation.id in unstarted else lifecycle.complete
        ledger.effects.append(Stop(each))
        end(ledger, each, KILLED, now_ms)


def _family(ledger: Ledger, root: Resident) -> tuple[list[Resident], list[InvocationId]]:
    """The invocation and its live descendants, and the ids of those that are not in memory."""
    family, missing, ids = [root], list[InvocationId](), {root.invocation.id}
    for parent in family:  # which grows meanwhile
        for entry in parent.entries:
            if not isinstance(entry, Call | Send) or entry.invocation_id in ids:
                continue
            child = ledger.find(entry.invocation_id)
            if child is None:
                missing.append(entry.invocation_id)
            elif _lives_for(child, parent):
                ids.add(entry.invocation_id)
                family.append(child)
    return family, missing


def _lives_for(child: Resident, parent: Resident) -> bool:
    """Whether it has not completed, and was accepted for this one: a call may meet one that was there before."""
    invocation = child.invocation
    return invocation.status is not Status.COMPLETED and invocation.request.invoked_by == parent.invocation.id


def pause(ledger: Ledger, resident: Resident, now_ms: int) -> None:
    """Stop it where it is, keeping its key."""
    status = resident.invocation.status
    if status is Status.PAUSED:
        return
    resumes = status is Status.READY and not lifecycle.waits_to_start(resident.invocation)
    if status not in (Status.RUNNING, Status.BACKING_OFF) and not resumes:
        raise InvocationStateError(f"The invocation '{_name(resident)}' is not running, cannot be paused.")
    ledger.effects.append(Stop(resident))
    ledger.change(resident, status=Status.PAUSED, due_ms=None, lane=None, modified_ms=now_ms)


def resume(ledger: Ledger, resident: Resident, now_ms: int) -> None:
    """Try again now, with a fresh count of attempts. One that is running goes on."""
    status = resident.invocation.status
    if status is Status.COMPLETED:
        raise InvocationStateError(f"The invocation '{_name(resident)}' is completed, cannot be resumed.")
    if lifecycle.waits_to_start(resident.invocation):
        raise InvocationStateError(
            f"The invocation '{_name(resident)}' is either inboxed or scheduled, cannot be resumed.", status=425
        )
    if status not in (Status.RUNNING, Status.READY):
        ledger.change(resident, attempts=0, failing_since_ms=None, failure=None)
        lifecycle.start(ledger, resident, now_ms)


class Restart(NamedTuple):
    """A new invocation with the input of an old one, and the beginning of its journal."""

    id: InvocationId
    request: Request
    entries: list[Entry]


def plan_restart(ledger: Ledger, resident: Resident, order: Order) -> Restart:
    """Keep the journal's entries up to and with ``from_entry``, where 0 is the input, and the answers to them."""
    invocation, name = resident.invocation, _name(resident)
    if lifecycle.waits_to_start(invocation):
        raise InvocationStateError(
            f"The invocation '{name}' cannot be restarted because it's not running yet.", status=425
        )
    if invocation.status is not Status.COMPLETED:
        raise InvocationStateError(f"The invocation '{name}' is still running.")
    if not invocation.journal_kept:
        raise InvocationStateError(
            f"The invocation '{name}' cannot be restarted because the input is not available. "
            "This indicates that the journal was already purged, or not retained at all.",
            status=410,
        )
    target = invocation.request.target
    rule = ledger.directory.get((target.service, target.handler))
    request = msgspec.structs.replace(
        invocation.request,
        caller=None,
        idempotency_key=None,
        retention_ms=invocation.request.retention_ms if rule is None else rule.retention_ms,
        restarted_from=invocation.id,
        seed=invocation.request.seed or invocation.id,
    )
    return Restart(order.new_id, request, _kept(resident.entries, order.from_entry, name))


def restart(ledger: Ledger, restart: Restart, now_ms: int) -> Resident:
    resident = lifecycle.accept(ledger, restart.request, restart.id, now_ms, None)
    for entry in restart.entries:
        ledger.append(resident, entry)
    return resident


def purge(ledger: Ledger, resident: Resident) -> None:
    """Forget it; with a workflow's run go its state and promises."""
    _refuse_live(resident)
    invocation = resident.invocation
    ledger.commit.purge(invocation.n)
    resident.number, resident.purged = ledger.number, True
    if invocation.request.kind is Kind.WORKFLOW and invocation.request.restarted_from is None:
        instance = ledger.instance_of(invocation)
        for name in list(instance.state):
            ledger.set_state(instance, name, None)
        for name in list(instance.promises):
            ledger.remove_promise(instance, name)


def purge_journal(ledger: Ledger, resident: Resident) -> None:
    """Forget its journal; its outcome stays."""
    _refuse_live(resident)
    ledger.commit.forgotten.append(resident.invocation.n)
    resident.entries = []
    ledger.commit.entries.pop(resident.invocation.n, None)
    ledger.change(resident, journal_kept=False, journal_expires_ms=None)


def _kept(journal: Sequence[Entry], from_entry: int, name: str) -> list[Entry]:
    if not 0 <= from_entry <= len(journal):
        raise _incomplete(name)
    prefix = [entry for entry in journal[:from_entry] if not _cancels(entry)]
    asked = {entry.completion for entry in prefix if isinstance(entry, Question)}
    told = {entry.completion for entry in prefix if isinstance(entry, Completed)}
    late = [e for e in journal[from_entry:] if isinstance(e, Completed) and e.completion in asked - told]
    if asked - told - {entry.completion for entry in late}:
        raise _incomplete(name)
    return [*prefix, *late]


def _incomplete(name: str) -> InvocationStateError:
    return InvocationStateError(
        f"The prefix of the journal '{name}' up to 'from' (included) contains some Commands without respective "
        "Completions.",
        status=400,
    )


def _cancels(entry: Entry) -> bool:
    return isinstance(entry, Signalled) and entry.signal == CANCEL


def _refuse_completed(resident: Resident) -> None:
    if resident.invocation.status is Status.COMPLETED:
        raise InvocationStateError(f"The invocation '{_name(resident)}' was already completed.")


def _refuse_live(resident: Resident) -> None:
    if resident.invocation.status is not Status.COMPLETED:
        raise InvocationStateError(f"The invocation '{_name(resident)}' is not yet completed.")


def _name(resident: Resident) -> str:
    return write_invocation(resident.invocation.id)
