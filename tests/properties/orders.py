"""What an operator asks for, to whom it can be done, and what must be so once it was done."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

from durable.core.control import KILLED, Order
from durable.core.entries import Call, Question, Send, Verb
from durable.core.ids import InvocationId
from durable.core.invocation import Kind, Loaded, Status, instance_id
from tests.properties.world import World, answers

Everything = Mapping[InvocationId, Loaded]

_LIVE = frozenset(status for status in Status if status is not Status.COMPLETED)
_BEGUN = _LIVE - {Status.SCHEDULED, Status.PENDING}
_OVER = frozenset({Status.COMPLETED})

POSSIBLE: Mapping[Verb, frozenset[Status]] = {
    "kill": _LIVE,
    "pause": frozenset({Status.RUNNING, Status.BACKING_OFF, Status.PAUSED}),
    "resume": _BEGUN,
    "restart": _OVER,
    "purge": _OVER,
    "purge-journal": _OVER,
}


def candidates(world: World, verb: Verb) -> list[InvocationId]:
    """To whom it can be done; only those to whom it does most, if there are any."""
    everything = world.everything()
    ids = [id for id, loaded in everything.items() if loaded.invocation.status in POSSIBLE[verb]]
    most: list[InvocationId] = []
    if verb == "kill":
        most = [id for id in ids if _children(everything, id)]
    elif verb == "purge":
        most = [id for id in ids if _has_instance(everything[id])]
    return most or ids


def carry_out(world: World, order: Order) -> bool:
    """Whether it could be done."""
    before = deepcopy(world.everything())
    done = world.order(order)
    assert done == _possible(order, before[order.id])
    if done:
        _CHECKS[order.verb](world, order, before)
    return done


def _possible(order: Order, loaded: Loaded) -> bool:
    if loaded.invocation.status not in POSSIBLE[order.verb]:
        return False
    return order.verb != "restart" or _restarts(loaded, order.from_entry)


def _restarts(loaded: Loaded, from_entry: int) -> bool:
    """Whether all that its beginning asked for was answered, then or later."""
    asked = {entry.completion for entry in loaded.entries[:from_entry] if isinstance(entry, Question)}
    there = loaded.invocation.journal_kept and from_entry <= len(loaded.entries)
    return there and asked <= answers(loaded.entries)


def _is_killed(world: World, order: Order, before: Everything) -> None:
    for id in _family(before, order.id):
        if before[id].invocation.status in (Status.SCHEDULED, Status.PENDING):
            assert id not in world.memory.ids, "what never started has a record"
        else:
            assert world.loaded(id).invocation.outcome == KILLED


def _family(everything: Everything, id: InvocationId) -> list[InvocationId]:
    """It, and all that lives for it, however deep."""
    family, waiting = list[InvocationId](), [id]
    while waiting:
        each = waiting.pop()
        if each not in family:
            family.append(each)
            waiting += _children(everything, each)
    return family


def _children(everything: Everything, id: InvocationId) -> list[InvocationId]:
    """What is alive and was accepted for it; it may have asked for what was there before."""
    asked = {entry.invocation_id for entry in everything[id].entries if isinstance(entry, Call | Send)}
    rows = [everything[each].invocation for each in sorted(asked) if each in everything]
    return [row.id for row in rows if row.status in _LIVE and row.request.invoked_by == id]


def _is_paused(world: World, order: Order, before: Everything) -> None:
    assert world.loaded(order.id).invocation.status is Status.PAUSED


def _is_resumed(world: World, order: Order, before: Everything) -> None:
    row, was = world.loaded(order.id).invocation, before[order.id].invocation
    assert row.status is Status.RUNNING
    assert was.status is Status.RUNNING or (row.attempts, row.failing_since_ms, row.failure) == (0, None, None)


def _is_restarted(world: World, order: Order, before: Everything) -> None:
    new, old = world.loaded(order.new_id), before[order.id]
    request = new.invocation.request
    assert (request.restarted_from, request.target, request.payload) == (
        order.id,
        old.invocation.request.target,
        old.invocation.request.payload,
    )
    assert (request.caller, request.idempotency_key, new.waiters) == (None, None, [])
    assert {entry.completion for entry in new.entries if isinstance(entry, Question)} <= answers(new.entries)
    assert world.loaded(order.id) == old


def _is_purged(world: World, order: Order, before: Everything) -> None:
    assert order.id not in world.memory.ids
    if _has_instance(before[order.id]):
        instance = world.instance(instance_id(before[order.id].invocation.request.target))
        assert (instance.state, instance.promises) == ({}, {})


def _has_instance(loaded: Loaded) -> bool:
    """Whether state and promises go with it."""
    request = loaded.invocation.request
    return request.kind is Kind.WORKFLOW and request.restarted_from is None


def _has_no_journal(world: World, order: Order, before: Everything) -> None:
    old, new = before[order.id], world.loaded(order.id)
    assert (new.entries, new.invocation.journal_kept) == ([], False)
    assert new.invocation.outcome == old.invocation.outcome


_CHECKS = {
    "kill": _is_killed,
    "pause": _is_paused,
    "resume": _is_resumed,
    "restart": _is_restarted,
    "purge": _is_purged,
    "purge-journal": _has_no_journal,
}
