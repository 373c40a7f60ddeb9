"""The engine's own handlers behind ``ctx.map``: one call an input, at most so many at once.

A map of many inputs is a relay of parts, so that no journal grows with their number. One part at a time has the turn:
it begins calls and counts what comes of them. When it has begun all of its own it passes the turn on, and what it still
has under way it reports to its successor as it ends: so a slow call holds up no other, and the count is exact.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from durable.core.entries import Target
from durable.core.outcome import Failure, Outcome, Success
from durable.errors import InvocationCancelledError, TerminalError
from durable.machine import Machine, Outgoing
from durable.retry import RetryPolicy
from durable.sizes import LARGEST, check_size
from durable.tally import Goal, Tally
from durable.window import Window

MAP_ALL = Target("durable", "map.all")
MAP_PART = Target("durable", "map.part")
"""Their names: none that a handler can have, so no author's, and no client's to call."""

PART = 1000
"""Inputs of a part, if not more may be under way at once: a journal of some 2,000 entries."""

LARGEST_MAP = 8 * LARGEST
"""Bytes of all inputs of a map together, and of all results. A row of SQLite can have 1 GB, and others share it."""

_TURN, _ENDED, _STOPPED = "turn", "ended", "stopped"
"""Signals: to the successor that it may begin, to it that a call ended, to the whole that the goal decided."""

Item = tuple[str | None, bytes]
"""The key, if the handler has one, and the encoded input."""


class Job(msgspec.Struct, frozen=True, array_like=True):
    """What is done with each input."""

    target: Target
    headers: dict[str, str]
    attach: bool
    concurrency: int
    goal: Goal
    limit_key: str | None
    priority: int

    def outgoing(self, item: Item) -> Outgoing:
        key, payload = item
        target = Target(self.target.service, self.target.handler, key)
        return Outgoing(
            target, payload, self.headers, attach=self.attach, limit_key=self.limit_key, priority=self.priority
        )


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Of a part among the others."""

    whole: str
    number: int
    successor: str | None
    """Invocation ids."""


class Work(msgspec.Struct, frozen=True, array_like=True):
    """A map, or a part of one."""

    job: Job
    items: msgspec.Raw
    """A list of :data:`Item`. A part has the turn before it decodes them: until then it waits with all the others."""
    place: Place | None = None


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """What a part that begins must know of those before it."""

    tally: Tally
    elsewhere: int
    """Calls that are under way."""


class Stopped(msgspec.Struct, frozen=True, array_like=True):
    number: int
    """Of the part that stopped."""
    tally: Tally


Outcomes = list[Outcome | None]
"""In the order of the inputs; ``None`` for what was not begun."""

encode = msgspec.msgpack.Encoder().encode
decode_outcomes = msgspec.msgpack.Decoder(Outcomes).decode
_decode_items = msgspec.msgpack.Decoder(list[Item]).decode


class MapAll:
    """Implements :class:`durable.runtime.invoker.Runnable`. Few inputs it maps itself, many it deals out to parts."""

    retry: RetryPolicy | None = None
    source = __name__

    async def invoke(self, machine: Machine, payload: bytes, /) -> bytes:
        doing = _begun(machine, payload)
        outcomes = await doing.outcomes()
        if doing.failure is not None:
            raise doing.failure
        if doing.tally.missed(doing.job.goal):
            raise doing.tally.error(doing.job.goal, outcomes)
        return _encode_outcomes(outcomes + [None] * (doing.job.goal.total - len(outcomes)))


def _begun(machine: Machine, payload: bytes) -> Runner | Relay:
    work = msgspec.msgpack.decode(payload, type=Work)
    small = work.job.goal.total <= max(PART, work.job.concurrency)
    return Runner(machine, work) if small else Relay(machine, work)


class MapPart:
    """Implements :class:`durable.runtime.invoker.Runnable`."""

    retry: RetryPolicy | None = None
    source = __name__

    async def invoke(self, machine: Machine, payload: bytes, /) -> bytes:
        return _encode_outcomes(await Runner(machine, msgspec.msgpack.decode(payload, type=Work)).outcomes())


class Runner:
    """Calls a handler with each of its items, when it has the turn."""

    def __init__(self, machine: Machine, work: Work) -> None:
        self._machine = machine
        self.job, self._items, self._place = work.job, work.items, work.place
        self._begun: list[int | str] = []
        """The slots of their outcomes, in the order of the items."""
        self._running: dict[int | str, str] = {}
        """The callees' invocation ids, by slot."""
        self._elsewhere = 0
        self._window = Window(machine)
        self._passed = False
        """Whether the successor has the turn."""
        self.tally = Tally()
        self.failure: TerminalError | None = None
        """What ended it, if not its goal."""

    async def outcomes(self) -> Outcomes:
        """Of those that have begun."""
        try:
            await self._work()
        except InvocationCancelledError as error:  # what it called is cancelled with it
            self.failure = error
        await self._drain()
        return [self._machine.outcome(slot) for slot in self._begun]

    async def _work(self) -> None:
        if self._place is not None and self._place.number > 0:
            await self._take_turn()
        items = _decode_items(self._items)
        while not self.tally.stops(self.job.goal) or self._passed:
            if not self._passed:
                self._begin(items)
            if not self._running and not self._elsewhere:
                return
            self._hear(await self._window.next())
        self._stop()

    async def _take_turn(self) -> None:
        turn = self._machine.signal(_TURN)
        await self._machine.wait(turn)
        taken = msgspec.msgpack.decode(_said(self._machine.outcome(turn.slot)), type=Turn)
        self.tally, self._elsewhere = taken.tally, taken.elsewhere
        if self._elsewhere:
            self._window.add(self._machine.signal(_ENDED))

    def _begin(self, items: list[Item]) -> None:
        """As many as there is room for; once all have begun, the turn is the successor's."""
        while len(self._begun) < len(items):
            if len(self._running) + self._elsewhere >= self.job.concurrency:
                return
            id, question = self._machine.call(self.job.outgoing(items[len(self._begun)]))
            self._begun.append(question.slot)
            self._running[question.slot] = id
            self._window.add(question)
        if self._place is not None and self._place.successor is not None:
            turn = Turn(self.tally, len(self._running) + self._elsewhere)
            self._machine.send_signal(self._place.successor, _TURN, Success(encode(turn)))
            self._passed = True

    def _hear(self, slot: int | str) -> None:
        """A call ended, here or in a part before this one."""
        outcome = self._machine.outcome(slot)
        if slot in self._running:
            del self._running[slot]
            failed = isinstance(outcome, Failure)
        else:
            failed = _said(outcome) == _FAILED
            self._elsewhere -= 1
            if self._elsewhere:
                self._window.add(self._machine.signal(_ENDED))
        if self._passed and self._place is not None and self._place.successor is not None:
            self._machine.send_signal(self._place.successor, _ENDED, Success(_FAILED if failed else b""))
        else:
            self.tally.count(failed=failed)

    def _stop(self) -> None:
        if self._place is not None:
            stopped = Stopped(self._place.number, self.tally)
            self._machine.send_signal(self._place.whole, _STOPPED, Success(encode(stopped)))
        for id in self._running.values():
            self._machine.cancel(id)

    async def _drain(self) -> None:
        """What was cancelled takes the time that it needs to undo what it did."""
        while self._running:
            try:
                self._running.pop(await self._window.next(), None)
            except InvocationCancelledError as error:
                self.failure = error


class Relay:
    """Deals the items of a map out to parts, and gathers what they bring."""

    def __init__(self, machine: Machine, whole: Work) -> None:
        self._machine, self.job = machine, whole.job
        self._size = max(PART, whole.job.concurrency)
        self._parts: dict[int | str, tuple[int, str]] = {}
        """Those under way: number and invocation id, by the slot of the outcome."""
        self._outcomes: dict[int, Outcome] = {}
        self._window = Window(machine)
        self._stopped = False
        self.tally = Tally()
        self.failure: TerminalError | None = None
        """What ended it, if not its goal."""
        self._call_parts(_decode_items(whole.items))
        self._window.add(machine.signal(_STOPPED))

    async def outcomes(self) -> Outcomes:
        while self._parts:
            try:
                self._hear(await self._window.next())
            except InvocationCancelledError as error:  # its parts are cancelled with it
                self.failure, self._stopped = error, True
        return [each for number in sorted(self._outcomes) for each in self._of(number)]

    def _call_parts(self, items: list[Item]) -> None:
        """The last one first: each must know its successor."""
        successor: str | None = None
        starts = range(0, len(items), self._size)
        for number, start in reversed(list(enumerate(starts))):
            some = msgspec.Raw(encode(items[start : start + self._size]))
            part = Work(self.job, some, Place(self._machine.invocation_id, number, successor))
            successor, question = self._machine.call(Outgoing(MAP_PART, encode(part)))
            self._parts[question.slot] = number, successor
            self._window.add(question)

    def _hear(self, slot: int | str) -> None:
        outcome = self._machine.outcome(slot)
        if slot not in self._parts:
            stopped = msgspec.msgpack.decode(_said(outcome), type=Stopped)
            self.tally = stopped.tally
            self._cancel_parts(but=stopped.number)
            return
        number, _ = self._parts.pop(slot)
        self._outcomes[number] = outcome
        if isinstance(outcome, Failure) and not self._stopped:  # somebody ended it: it will not pass the turn on
            self.failure = outcome.error()
            self._cancel_parts(but=number)

    def _cancel_parts(self, but: int) -> None:
        if self._stopped:
            return
        self._stopped = True
        for number, id in self._parts.values():
            if number != but:
                self._machine.cancel(id)

    def _of(self, number: int) -> Outcomes:
        outcome, first = self._outcomes[number], number * self._size
        size = min(self._size, self.job.goal.total - first)
        begun = decode_outcomes(outcome.value or b"") if isinstance(outcome, Success) else []
        return begun + [None] * (size - len(begun))


MAPPERS: Mapping[tuple[str, str], MapAll | MapPart] = {
    (MAP_ALL.service, MAP_ALL.handler): MapAll(),
    (MAP_PART.service, MAP_PART.handler): MapPart(),
}
"""What every engine runs beside its own services; never shown."""

_FAILED = b"failed"


def _encode_outcomes(outcomes: Outcomes) -> bytes:
    raw = encode(outcomes)
    check_size(raw, "what the calls of a map returned", LARGEST_MAP)
    return raw


def _said(outcome: Outcome) -> bytes:
    """What a signal of another part says."""
    assert isinstance(outcome, Success)
    return outcome.value or b""
