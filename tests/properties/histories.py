"""Random histories of a ledger, event by event. The tests add what must hold, and what else happens."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from durable.core.control import Order
from durable.core.entries import (
    AnyCommand,
    Attach,
    Call,
    ClearAllState,
    ClearState,
    CompleteAwakeable,
    CompletePromise,
    GetOutput,
    GetPromise,
    PeekPromise,
    Run,
    Send,
    SendSignal,
    SetState,
    Sleep,
    Target,
    Verb,
)
from durable.core.ids import CANCEL, FIRST_AWAKEABLE, InvocationId
from durable.core.invocation import Kind, Status, derived_id
from durable.core.outcome import Failure, Outcome, Success
from tests.core.bench import ADD, APPROVE, DIRECTORY, MAIL, ORDER, SHOW, id_of
from tests.properties.orders import POSSIBLE, candidates, carry_out
from tests.properties.world import OK, World, answers, unanswered

TARGETS = (ADD, ADD, ADD, Target("Cart", "add", "john"), SHOW, MAIL, ORDER, APPROVE)
LIVE = tuple(status for status in Status if status is not Status.COMPLETED)
Maker = Callable[[World, st.DataObject, int], AnyCommand]
NOBODY = id_of(1 << 40)

verbs: st.SearchStrategy[Verb] = st.sampled_from(tuple(POSSIBLE))
targets = st.sampled_from(TARGETS)
delays = st.integers(0, 3).map(lambda seconds: 1_000 * seconds)
keys = st.sampled_from([None, None, None, "k"])
names = st.sampled_from(["a", "b"])
signals: st.SearchStrategy[int | str] = st.sampled_from([CANCEL, CANCEL, FIRST_AWAKEABLE, "go"])
outcomes: st.SearchStrategy[Outcome] = st.sampled_from([OK, Failure(500, "no")])


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    # -- from outside

    @initialize(callees=st.lists(targets, min_size=2, max_size=6))
    def begin(self, callees: list[Target]) -> None:
        for callee in callees:
            self.world.accept(callee, None, None)

    @rule(callees=st.lists(targets, min_size=1, max_size=3), delay=st.none() | delays, key=keys)
    def accept(self, callees: list[Target], delay: int | None, key: str | None) -> None:
        for callee in callees:
            self.world.accept(callee, delay, key)

    @precondition(lambda self: self.world.memory.ids)
    @rule(data=st.data(), signal=signals)
    def signal(self, data: st.DataObject, signal: int | str) -> None:
        self.world.signal(data.draw(st.sampled_from(self.world.memory.ids)), signal)

    @rule(duration_ms=st.sampled_from([1, 1_000, 10_000]))
    def pass_time(self, duration_ms: int) -> None:
        self.world.pass_time(duration_ms)

    @precondition(lambda self: self.world.having(Status.PAUSED))
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        self.order("resume", data.draw(st.sampled_from(self.world.having(Status.PAUSED))))

    @precondition(lambda self: self.world.memory.ids)
    @rule(data=st.data(), verb=verbs)
    def operate(self, data: st.DataObject, verb: Verb) -> None:
        """On anything, also where it cannot be done."""
        self._operate(data, verb, self.world.memory.ids)

    @precondition(lambda self: self.world.memory.ids)
    @rule(data=st.data(), verb=verbs)
    def operate_where_possible(self, data: st.DataObject, verb: Verb) -> None:
        if ids := candidates(self.world, verb):
            self._operate(data, verb, ids)

    # -- from an attempt

    @precondition(lambda self: self.world.attempts)
    @rule(data=st.data())
    def issue(self, data: st.DataObject) -> None:
        for id in self._some(data, sorted(self.world.attempts)):
            self.world.issue(id, self._commands(data, id, at_least=1))

    @precondition(lambda self: self.world.attempts)
    @rule(data=st.data(), outcome=outcomes, then=st.sampled_from([None, None, "restart", "purge", "purge-journal"]))
    def complete(self, data: st.DataObject, outcome: Outcome, then: Verb | None) -> None:
        id = self._attempt(data)
        self.world.complete(id, self._commands(data, id, at_least=0), outcome)
        if then is not None:
            self._operate(data, then, [id])

    @precondition(lambda self: self.world.attempts)
    @rule(data=st.data(), exhausted=st.sampled_from(["pause", "fail"]))
    def fail(self, data: st.DataObject, exhausted: str) -> None:
        self.world.fail(self._attempt(data), exhausted)

    @precondition(lambda self: self.world.attempts)
    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        self.world.pause(self._attempt(data))

    @precondition(lambda self: self._waits())
    @rule(data=st.data())
    def suspend(self, data: st.DataObject) -> None:
        for id in self._some(data, sorted(self._waits())):
            self.world.suspend(id, data.draw(st.sampled_from(self._waits()[id])))

    @precondition(lambda self: self._steps())
    @rule(data=st.data())
    def end_step(self, data: st.DataObject) -> None:
        self.world.step(*data.draw(st.sampled_from(self._steps())))

    def teardown(self) -> None:
        """Whatever happened, everything can come to its end, and leaves nothing behind."""
        self._drain()
        assert self.world.having(*LIVE) == []

        self.world.commit()

        disk = self.world.disk
        assert (disk.timers, disk.due(), disk.waiters, disk.listeners) == (set(), set(), set(), set())
        for instance in list(self.world.ledger.instances):
            assert self.world.instance(instance).queue == []
            assert self.world.instance(instance).listeners == {}

    # -- how

    def _drain(self) -> None:
        """Time passes, people resume what is paused, and cancel what waits for ever."""
        world = self.world
        for _ in range(len(world.memory.ids) + 1):
            for id in world.having(Status.PAUSED):
                self.order("resume", id)
            while world.attempts:
                world.complete(min(world.attempts), [], OK)
            world.pass_time(100_000)
            for id in world.having(Status.SUSPENDED):
                world.signal(id, CANCEL)

    def _operate(self, data: st.DataObject, verb: Verb, ids: list[InvocationId]) -> None:
        id = data.draw(st.sampled_from(ids))
        from_entry = data.draw(st.integers(0, 1 + len(self.world.loaded(id).entries))) if verb == "restart" else 0
        self.order(verb, id, from_entry)

    def order(self, verb: Verb, id: InvocationId, from_entry: int = 0) -> None:
        carry_out(self.world, Order(verb, id, self.world.new_id(), from_entry))

    def _some(self, data: st.DataObject, ids: list[InvocationId]) -> list[InvocationId]:
        return data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=4, unique=True))

    def _attempt(self, data: st.DataObject) -> InvocationId:
        return data.draw(st.sampled_from(sorted(self.world.attempts)))

    def _waits(self) -> dict[InvocationId, list[int]]:
        """What each attempt could be suspended on: what it asked for, or else an awakeable."""
        loaded = {id: self.world.loaded(id) for id in self.world.attempts}
        asked = {id: [wait.completion for wait in unanswered(each)] for id, each in loaded.items()}
        slots = {id: asked[id] or sorted({-FIRST_AWAKEABLE} - answers(each.entries)) for id, each in loaded.items()}
        return {id: waits for id, waits in slots.items() if waits}

    def _steps(self) -> list[tuple[InvocationId, int]]:
        """Steps that have begun."""
        return [
            (id, entry.completion)
            for id in sorted(self.world.attempts)
            for entry in self.world.loaded(id).entries
            if isinstance(entry, Run) and entry.completion not in answers(self.world.loaded(id).entries)
        ]

    def _commands(self, data: st.DataObject, id: InvocationId, *, at_least: int) -> list[AnyCommand]:
        loaded = self.world.loaded(id)
        completion = max((getattr(entry, "completion", 0) for entry in loaded.entries), default=0)
        kind = loaded.invocation.request.kind
        makers = _ANYWHERE if kind is Kind.SERVICE else (*_ANYWHERE, *_ON_A_KEY)
        asked: list[AnyCommand] = []
        for maker in data.draw(st.lists(st.sampled_from(makers), min_size=at_least, max_size=at_least + 2)):
            completion += 1
            asked.append(maker(self.world, data, completion))
        return asked


def _call(world: World, data: st.DataObject, completion: int) -> Call:
    target, key = data.draw(targets), data.draw(keys)
    return Call(completion, target, b"{}", {}, key, _id(world, target, key))


def _send(world: World, data: st.DataObject, completion: int) -> Send:
    target, key, delay = data.draw(targets), data.draw(keys), data.draw(st.none() | delays)
    due_ms = None if delay is None else world.now_ms + delay
    return Send(target, b"{}", {}, key, _id(world, target, key), due_ms)


def _id(world: World, target: Target, key: str | None) -> InvocationId:
    workflow = DIRECTORY[target.service, target.handler].kind is Kind.WORKFLOW
    return derived_id(target, key, None, workflow=workflow) or world.new_id()


def _sleep(world: World, data: st.DataObject, completion: int) -> Sleep:
    return Sleep(completion, world.now_ms + data.draw(delays))


def _attach(world: World, data: st.DataObject, completion: int) -> Attach:
    return Attach(completion, data.draw(st.sampled_from([*world.memory.ids, NOBODY])))


def _output(world: World, data: st.DataObject, completion: int) -> GetOutput:
    return GetOutput(completion, data.draw(st.sampled_from([*world.memory.ids, NOBODY])))


def _signal(world: World, data: st.DataObject, completion: int) -> SendSignal:
    return SendSignal(data.draw(st.sampled_from([*world.memory.ids, NOBODY])), data.draw(signals), Success())


def _awakeable(world: World, data: st.DataObject, completion: int) -> CompleteAwakeable:
    id = data.draw(st.sampled_from(world.memory.ids))
    known = world.ledger.find(id)
    return CompleteAwakeable(id, FIRST_AWAKEABLE, OK, known.invocation.created_ms if known else 0)


def _run(world: World, data: st.DataObject, completion: int) -> Run:
    return Run(completion, "step")


def _get(world: World, data: st.DataObject, completion: int) -> GetPromise:
    return GetPromise(completion, data.draw(names))


def _peek(world: World, data: st.DataObject, completion: int) -> PeekPromise:
    return PeekPromise(completion, data.draw(names))


def _settle(world: World, data: st.DataObject, completion: int) -> CompletePromise:
    return CompletePromise(completion, data.draw(names), data.draw(outcomes))


def _write(world: World, data: st.DataObject, completion: int) -> AnyCommand:
    name, value = data.draw(names), b"%d" % completion
    written: list[AnyCommand] = [SetState(name, value), SetState(name, value), ClearState(name), ClearAllState()]
    return data.draw(st.sampled_from(written))


_ANYWHERE: tuple[Maker, ...] = (_call, _call, _send, _sleep, _attach, _attach, _output, _signal, _awakeable, _run)
_ON_A_KEY: tuple[Maker, ...] = (_get, _peek, _settle, _settle, _write, _write, _write)
