"""A model of what stands around a ledger: it holds what a decision needs, starts attempts, commits, and crashes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator
from copy import deepcopy
from itertools import chain
from types import UnionType
from typing import TypeVar

from durable.core import commands, control, lifecycle
from durable.core.entries import (
    AnyCommand,
    Attach,
    Call,
    Completed,
    GetPromise,
    Signalled,
    Sleep,
    Target,
)
from durable.core.ids import InvocationId
from durable.core.invocation import (
    Caller,
    Commit,
    InstanceId,
    Invocation,
    Kind,
    Loaded,
    LoadedInstance,
    Request,
    Status,
    Timer,
    derived_id,
    instance_id,
)
from durable.core.keylock import KeyLock
from durable.core.ledger import Done, Instance, Ledger, Resident, Start, Stop, Wake
from durable.core.lifecycle import Failed, Needed
from durable.core.outcome import Failure, Outcome, Success
from durable.core.timers import Timers
from durable.errors import InvocationStateError
from durable.retry import RetryPolicy
from durable.store.memory import MemoryDisk, MemoryStore
from tests.core.bench import DIRECTORY, NOW, RETENTION, id_of

T = TypeVar("T")
K = TypeVar("K", InvocationId, InstanceId)
V = TypeVar("V", Resident, Instance)

OK = Success(b"1")
WINDOW = 3
"""Timers in memory: few, so that the window moves."""
POLICIES = {
    "pause": RetryPolicy(max_attempts=2),
    "fail": RetryPolicy(max_attempts=2, exhausted="fail"),
}


def now(work: Coroutine[object, object, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("it waited")


def _drop(residents: dict[K, V], durable: int, pinned: set[Needed]) -> None:
    for key in [key for key, held in residents.items() if held.number <= durable and key not in pinned]:
        del residents[key]


def line(lock: KeyLock) -> list[InvocationId]:
    """Who stands at a key, the holder first."""
    stands: list[InvocationId] = []
    each = lock.holder
    while each is not None:
        stands.append(each)
        each = lock.after(each)
    return stands


class Memory:
    """What the model must forget with the engine, when that crashes."""

    def __init__(self) -> None:
        self.ids: list[InvocationId] = []
        """Everything that was accepted, and has a record."""
        self.removed: set[InvocationId] = set()
        """What was cancelled or killed before it started, or purged."""
        self.awaiting: dict[InvocationId, int] = {}
        """What suspended invocations wait for: a completion id, or a negative signal index."""
        self.served: dict[InstanceId, list[int]] = {}
        """Places of a key, in the order in which they held it."""
        self.outcomes: dict[InvocationId, Outcome] = {}


class World:
    def __init__(self) -> None:
        self.disk = MemoryDisk(secret=bytes(32))
        self.now_ms = NOW
        self.memory, self.committed = Memory(), Memory()
        self._made = 0
        self._open()

    # -- what a history is made of

    def new_id(self) -> InvocationId:
        self._made += 1
        return id_of(self._made)

    def accept(self, target: Target, delay_ms: int | None, idempotency_key: str | None) -> None:
        kind = DIRECTORY[target.service, target.handler].kind
        request = Request(
            target=target, kind=kind, payload=b"{}", idempotency_key=idempotency_key, retention_ms=RETENTION
        )
        id = derived_id(target, idempotency_key, None, workflow=kind is Kind.WORKFLOW) or self.new_id()
        self._hold(lambda: lifecycle.accept_needs(request, id))
        if self.ledger.find(id) is None:
            due_ms = None if delay_ms is None else self.now_ms + delay_ms
            lifecycle.accept(self.ledger, request, id, self.now_ms, due_ms)
            self._act()

    def issue(self, id: InvocationId, asked: list[AnyCommand]) -> None:
        """One decision: everything that a handler asked for since its last await."""
        resident = self.ledger.invocations[id]
        self._hold(lambda: self._staged_needs(resident, asked))
        for command in asked:
            commands.apply(self.ledger, resident, command, self.now_ms)
        self._act()

    def complete(self, id: InvocationId, asked: list[AnyCommand], outcome: Outcome) -> None:
        """One decision: a handler's last commands and its outcome."""
        resident = self.ledger.invocations[id]
        self._hold(lambda: chain(self._staged_needs(resident, asked), lifecycle.complete_needs(self.ledger, resident)))
        for command in asked:
            commands.apply(self.ledger, resident, command, self.now_ms)
        lifecycle.complete(self.ledger, resident, outcome, self.now_ms)
        self.attempts.discard(id)
        self._act()

    def fail(self, id: InvocationId, exhausted: str) -> None:
        resident, failure = self.ledger.invocations[id], Failure(500, "broken")
        self._hold(lambda: lifecycle.complete_needs(self.ledger, resident))
        self.attempts.discard(id)
        if lifecycle.fail(self.ledger, resident, Failed(failure), POLICIES[exhausted], self.now_ms):
            lifecycle.complete(self.ledger, resident, failure, self.now_ms)
        self._act()

    def pause(self, id: InvocationId) -> None:
        self.attempts.discard(id)
        lifecycle.pause(self.ledger, self.ledger.invocations[id], Failure(570, "diverged"), self.now_ms)
        self._act()

    def order(self, order: control.Order) -> bool:
        """What an operator asks for; whether it could be done. What cannot be done changes nothing."""
        self._hold(lambda: control.needs(self.ledger, order))
        before = deepcopy((self.everything(), self._decided()))
        try:
            done_to = control.carry_out(self.ledger, order, self.now_ms)
        except InvocationStateError:
            assert (self.everything(), self._decided()) == before
            return False
        self._act()
        assert (done_to == order.new_id) == (order.verb == "restart")
        return True

    def _decided(self) -> list[object]:
        """What is to be written, and to be done."""
        return [*(getattr(self.ledger.commit, name) for name in Commit.__slots__), self.ledger.effects]

    def suspend(self, id: InvocationId, slot: int) -> None:
        self.attempts.discard(id)
        self.memory.awaiting[id] = slot
        lifecycle.suspend(self.ledger, self.ledger.invocations[id], self.now_ms)
        self._act()

    def step(self, id: InvocationId, completion: int) -> None:
        """The end of a step's body."""
        lifecycle.notify(self.ledger, self.ledger.invocations[id], Completed(completion, OK), self.now_ms)
        self._act()

    def signal(self, id: InvocationId, signal: int | str) -> None:
        def needs() -> Iterator[Needed]:
            yield id
            if resident := self.ledger.find(id):
                yield from lifecycle.signal_needs(self.ledger, resident, signal)

        self._hold(needs)
        resident = self.ledger.find(id)
        if resident is not None:
            lifecycle.signal(self.ledger, resident, Signalled(signal, OK), self.now_ms)
        self._act()

    def pass_time(self, duration_ms: int) -> None:
        self.now_ms += duration_ms
        while due := self.ledger.timers.due(self.now_ms):
            for timer, id in due:
                self._fire(timer, id)
            self._refill()

    # -- the disk

    def commit(self) -> None:
        now(self.store.commit(self.ledger.commit))
        self.ledger.commit = Commit()
        self._durable = self.ledger.number - 1
        self.committed = deepcopy(self.memory)

    def forget(self) -> None:
        """Drop from memory what the disk has and no attempt needs."""
        pinned: set[Needed] = set(self.attempts)
        pinned |= {instance_id(self.ledger.invocations[id].invocation.request.target) for id in self.attempts}
        _drop(self.ledger.invocations, self._durable, pinned)
        _drop(self.ledger.instances, self._durable, pinned)

    def crash(self) -> None:
        """Nothing is left but the disk; the next engine goes on with it."""
        self.memory = deepcopy(self.committed)
        self.memory.served = {}  # places are counted on from the live ones: they may begin again
        self._open()
        for _, id in now(self.store.running(after=0, limit=10**6)):
            self._load(id)
            self._start(self.ledger.invocations[id])

    # -- what there is, in memory or else on the disk

    def loaded(self, id: InvocationId) -> Loaded:
        held = self.ledger.invocations.get(id)
        if held is not None:
            return Loaded(held.invocation, held.entries, held.waiters)
        loaded = now(self.store.load(id))
        assert loaded is not None
        return loaded

    def everything(self) -> dict[InvocationId, Loaded]:
        return {id: self.loaded(id) for id in self.memory.ids}

    def having(self, *statuses: Status) -> list[InvocationId]:
        return [id for id in self.memory.ids if self.loaded(id).invocation.status in statuses]

    def instance(self, id: InstanceId) -> LoadedInstance:
        held = self.ledger.instances.get(id)
        if held is None:
            return now(self.store.load_instance(id))
        queue = [(self.loaded(each).invocation.place or 0, each) for each in line(held.lock)]
        return LoadedInstance(queue, held.state, held.promises, held.listeners)

    def armed(self) -> set[Timer]:
        """The timers in memory."""
        return {timer for timer, _ in deepcopy(self.ledger.timers).due(10**18)}

    # -- how

    def _open(self) -> None:
        self.store = MemoryStore(self.disk)
        opened = now(self.store.open())
        self.ledger = Ledger(DIRECTORY, last_n=opened.last_n, last_place=opened.last_place)
        self.ledger.timers = Timers(WINDOW)
        self.attempts: set[InvocationId] = set()
        self._durable = 0
        self._read_timers()

    def _hold(self, needs: Callable[[], Iterable[Needed]]) -> None:
        """Have in memory what a decision needs; asked again after each load, for one may reveal another."""
        asked: set[Needed] = set()
        while wanted := [each for each in needs() if each not in asked]:
            for each in wanted:
                asked.add(each)
                self._load(each)

    def _load(self, needed: Needed) -> None:
        if isinstance(needed, tuple):
            if needed not in self.ledger.instances:
                self.ledger.admit_instance(needed, now(self.store.load_instance(needed)))
        elif needed not in self.ledger.invocations:
            loaded = now(self.store.load(needed))
            if loaded is not None:
                self.ledger.admit(needed, loaded)

    def _staged_needs(self, resident: Resident, asked: list[AnyCommand]) -> Iterator[Needed]:
        for command in asked:
            yield from commands.needs(self.ledger, resident, command)

    def _fire(self, timer: Timer, id: InvocationId) -> None:
        def needs() -> Iterator[Needed]:
            yield id
            if resident := self.ledger.find(id):
                yield from lifecycle.fire_needs(resident)

        self._hold(needs)
        if resident := self.ledger.find(id):
            lifecycle.fire(self.ledger, resident, timer, self.now_ms)
        self._act()

    def _refill(self) -> None:
        if self.ledger.timers.wants_refill:
            self.commit()
            self._read_timers()

    def _read_timers(self) -> None:
        timers = self.ledger.timers
        after = timers.begin_refill()
        timers.refill(now(self.store.timers(after=after, limit=timers.limit)))

    def _act(self) -> None:
        self.ledger.number += 1
        known = set(self.memory.ids)
        self.memory.ids += [id for id, held in self.ledger.invocations.items() if id not in known and not held.purged]
        effects, self.ledger.effects = self.ledger.effects, []
        for effect in effects:
            match effect:
                case Start(resident):
                    self._start(resident)
                case Wake(resident, entry):
                    # Whoever completes in the same decision need not be woken.
                    alive = resident.invocation.status is not Status.COMPLETED
                    assert not alive or resident.invocation.id in self.attempts, "nobody is there to be woken"
                    assert not alive or entry in resident.entries
                case Stop(resident):
                    self.attempts.discard(resident.invocation.id)
                case Done(resident):
                    self._done(resident)
        for id in known:
            if (held := self.ledger.invocations.get(id)) is not None:
                self._forget_removed(id, held)

    def _forget_removed(self, id: InvocationId, held: Resident) -> None:
        if held.purged and id in self.memory.ids:
            self.memory.ids.remove(id)
            self.memory.removed.add(id)
            self.memory.outcomes.pop(id, None)

    def _start(self, resident: Resident) -> None:
        invocation = resident.invocation
        assert self.ledger.invocations[invocation.id] is resident
        assert invocation.id not in self.attempts, "a second attempt at the same time"
        self.attempts.add(invocation.id)
        if invocation.request.kind is not Kind.SERVICE:
            # An attempt holds its key: it reads the state.
            self._load(instance_id(invocation.request.target))
        if invocation.place is not None:
            served = self.memory.served.setdefault(instance_id(invocation.request.target), [])
            if invocation.place not in served:
                served.append(invocation.place)

    def _done(self, resident: Resident) -> None:
        id, outcome = resident.invocation.id, resident.invocation.outcome
        if resident.purged:
            return  # it never started; the same decision may have accepted another under its id
        assert id not in self.memory.outcomes, "a second outcome"
        assert outcome is not None
        assert id not in self.attempts
        self.memory.outcomes[id] = outcome


# What a live invocation waits for


Wait = Sleep | Call | Attach | GetPromise


def answers(entries: Iterable[object]) -> set[int]:
    return {entry.completion for entry in entries if isinstance(entry, Completed)} | {
        -entry.signal for entry in entries if isinstance(entry, Signalled) and isinstance(entry.signal, int)
    }


def unanswered(loaded: Loaded) -> list[Wait]:
    """The commands of a live invocation that somebody must answer."""
    if loaded.invocation.status is Status.COMPLETED:
        return []
    answered = answers(loaded.entries)
    waits = (entry for entry in loaded.entries if isinstance(entry, Sleep | Call | Attach | GetPromise))
    return [entry for entry in waits if entry.completion not in answered]


def wanted_timers(invocation: Invocation, waits: Iterable[object]) -> set[Timer]:
    timers = {Timer(entry.due_ms, invocation.n, entry.completion) for entry in waits if isinstance(entry, Sleep)}
    if invocation.due_ms is not None:
        timers.add(Timer(invocation.due_ms, invocation.n, 0))
    return timers


def callers(id: InvocationId, waits: Iterable[Wait], kind: type[Wait] | UnionType) -> set[Caller]:
    return {Caller(id, entry.completion) for entry in waits if isinstance(entry, kind)}
