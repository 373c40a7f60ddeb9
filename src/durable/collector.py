"""What stands beside a batch handler: the engine's own handlers, which collect its calls and run them together.

Each is a durable handler like any other, so a batch survives what its members survive. ``join`` takes in the members of
a key, one after the other, and hands each to the batch that has room. ``gather`` is such a batch, from its opening to
its end: it waits until it is full or its time is over, then calls the author's method, which here is a handler named
``<handler>.batch``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeGuard

import msgspec

from durable.batch import Member, Open, Opening, parts
from durable.batched import CLOSE, JOIN, RESULT, BatchHandler, value_of
from durable.core.awaits import First, One, Some
from durable.core.entries import Target
from durable.core.invocation import Kind
from durable.core.ledger import Rule
from durable.core.outcome import Failure, Outcome, Success
from durable.handlers import Handler
from durable.machine import Machine, Outgoing
from durable.retry import RetryPolicy

AnyBatchHandler = BatchHandler[..., Any, Any, Any, Any]

GATHER = "gather"
_OPEN = "open"
"""The state that names the batch which has room."""
_MEMBER = "member"
"""The signal that brings a batch its members."""


class Join:
    """Per key, one at a time: gives a member its place, and returns the invocation of its batch."""

    retry: RetryPolicy | None = None
    source = __name__

    def __init__(self, handler: AnyBatchHandler) -> None:
        self._handler = handler

    async def invoke(self, machine: Machine, payload: bytes, /) -> bytes:
        opened = _open(machine) or self._new(machine)
        opened = msgspec.structs.replace(opened, count=opened.count + 1)
        machine.send_signal(opened.batch, _MEMBER, Success(payload))
        if opened.count < opened.size:
            machine.set(_OPEN, msgspec.msgpack.encode(opened))
        else:
            machine.clear(_OPEN)
        return opened.batch.encode()

    def _new(self, machine: Machine) -> Open:
        batch, queue = self._handler.batch, self._handler.queue
        opening = Opening(machine.key, batch.size, round(batch.within.total_seconds() * 1000))
        gather = Outgoing(Target(queue, GATHER), msgspec.msgpack.encode(opening))
        return Open(machine.send(gather, None), batch.size)


class Close:
    """Per key, in turn with those who join: from now on nobody joins this batch."""

    retry: RetryPolicy | None = None
    source = __name__

    async def invoke(self, machine: Machine, payload: bytes, /) -> bytes:
        opened = _open(machine)
        if opened is not None and opened.batch.encode() == payload:  # and not full, or closed before
            machine.clear(_OPEN)
        return b""


class Gather:
    """One batch: it waits for members, has the author's method run, and ends as that does."""

    retry: RetryPolicy | None = None
    source = __name__

    def __init__(self, handler: AnyBatchHandler) -> None:
        self._handler = handler

    async def invoke(self, machine: Machine, payload: bytes, /) -> bytes:
        opening = msgspec.msgpack.decode(payload, type=Opening)
        places = [machine.signal(_MEMBER) for _ in range(opening.size)]
        full, timer = places[-1], machine.sleep(timedelta(milliseconds=opening.within_ms))
        either = First((full, timer))
        await machine.wait(either)
        if either.settled(machine) != full.settled(machine):
            places = await self._until_closed(machine, opening, places)
        members = [msgspec.msgpack.decode(_value(machine, place), type=Member) for place in places]
        target = Target(self._handler.service, self._handler.run_name, opening.key if self._handler.keyed else None)
        runs = [(part, machine.call(Outgoing(target, msgspec.msgpack.encode(part)))[1]) for part in parts(members)]
        for part, run in runs:
            await machine.wait(run)
            _tell(machine, part, machine.outcome(run.slot))
        return b""

    async def _until_closed(self, machine: Machine, opening: Opening, places: list[One]) -> list[One]:
        """Those that are taken when nobody joins any more. Whoever joined before has signalled before."""
        target = Target(self._handler.queue, CLOSE, opening.key)
        _, closed = machine.call(Outgoing(target, machine.invocation_id.encode()))
        await machine.wait(closed)
        _value(machine, closed)
        end = machine.notified(closed.slot)
        return [place for place in places if end and (taken := machine.notified(place.slot)) and taken < end]


class Run:
    """The author's method, on the members that still wait for it; each gets its result."""

    def __init__(self, handler: AnyBatchHandler, owner: object) -> None:
        self._handler, self._owner = handler, owner

    @property
    def retry(self) -> RetryPolicy | None:
        return self._handler.retry

    @property
    def source(self) -> str:
        return self._handler.source

    async def invoke(self, machine: Machine, payload: bytes, /) -> bytes:
        members = await _waiting(machine, msgspec.msgpack.decode(payload, type=list[Member]))
        if not members:
            return b""
        payloads = [member.payload for member in members]
        outcomes = await self._handler.invoke_batch(self._owner, machine, payloads)
        for member, outcome in zip(members, outcomes, strict=True):
            machine.send_signal(member.invocation, RESULT, outcome)
        return b""


def has_batches(handler: Handler[..., object]) -> TypeGuard[AnyBatchHandler]:
    return isinstance(handler, BatchHandler)


def beside(
    handler: AnyBatchHandler, owner: object, rule: Rule
) -> Mapping[tuple[str, str], tuple[Rule, Join | Close | Gather | Run]]:
    """What is run for ``handler`` beside its calls, by service and name; none of it is shown, or anybody's to call."""
    collect = Rule(Kind.EXCLUSIVE, retention_ms=0)
    gather = Rule(Kind.SERVICE, retention_ms=0, anonymous=True)  # its members may be of different callers
    return {
        (handler.queue, JOIN): (collect, Join(handler)),
        (handler.queue, CLOSE): (collect, Close()),
        (handler.queue, GATHER): (gather, Gather(handler)),
        # Its calls count for the named limit; if it did, too, those could hold all slots that it waits for.
        (handler.service, handler.run_name): (rule._replace(kind=handler.run_kind, limit=None), Run(handler, owner)),
    }


def _value(machine: Machine, slot: One) -> bytes:
    return value_of(machine.outcome(slot.slot))


def _open(machine: Machine) -> Open | None:
    """The batch of this key that has room."""
    raw, _ = machine.get(_OPEN)
    return None if raw is None else msgspec.msgpack.decode(raw, type=Open)


async def _waiting(machine: Machine, members: list[Member]) -> list[Member]:
    """Those that were not killed or cancelled meanwhile."""
    asked = [machine.output(member.invocation) for member in members]
    await machine.wait(Some(tuple(asked), len(asked)))
    return [each for each, slot in zip(members, asked, strict=True) if machine.outcome(slot.slot) == Success(None)]


def _tell(machine: Machine, members: list[Member], outcome: Outcome) -> None:
    """What their batch failed with, if it failed; otherwise they have their results."""
    if isinstance(outcome, Failure):
        for member in members:
            machine.send_signal(member.invocation, RESULT, outcome)
