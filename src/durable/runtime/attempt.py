"""One attempt: a handler's coroutine walking the journal of its invocation. It is what a Context stands on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from durable.core import entries as e
from durable.core import ids
from durable.core.awaits import Await, Known, One, Settled
from durable.core.commands import unsendable
from durable.core.ids import CANCEL, InvocationId
from durable.core.invocation import Kind, derived_id
from durable.core.journal import Divergence, Journal, named_slot
from durable.core.ledger import Directory, Instance, Resident
from durable.core.outcome import Outcome, Success
from durable.errors import InvocationCancelledError, JournalMismatchError, Suspended
from durable.machine import Action, Outgoing
from durable.retry import RetryPolicy
from durable.runtime.drive import Abandon, Driven
from durable.runtime.line import current_line
from durable.runtime.steps import Step

C = TypeVar("C", bound=e.AnyCommand)

PATIENCE = 100
"""How often a handler may swallow the end of its attempt before it is left standing."""


class Host(Protocol):
    """What an attempt needs of the engine around it."""

    directory: Directory
    secret: bytes

    def now_ms(self) -> int: ...
    def new_id(self) -> InvocationId: ...
    def flush_now(self, attempt: Attempt, /) -> bool:
        """Decide all that is staged, unless something that this needs is not in memory."""
        ...

    async def flush(self, attempt: Attempt, /) -> None:
        """Decide all that is staged."""
        ...

    def flush_soon(self, attempt: Attempt, /) -> None: ...

    def on_step(self, attempt: Attempt, step: Step, /) -> None:
        """A step was issued, and will begin."""
        ...

    def begin(self, attempt: Attempt, command: e.Run, step: Step, /) -> None:
        """Start the body of a step, once everything decided so far is on the disk."""
        ...

    def parked(self, attempt: Attempt, /) -> None:
        """It waits, and nothing of it is running."""
        ...

    def diverged(self, attempt: Attempt, error: JournalMismatchError, /) -> None: ...


class Attempt:
    """Implements :class:`durable.machine.Machine`."""

    def __init__(self, host: Host, resident: Resident, instance: Instance | None) -> None:
        self._host = host
        self.resident = resident
        self.journal = Journal(resident.entries)
        self._state = _view(resident, instance)
        self._unbegun: list[tuple[e.Run, Step]] = []
        self._wakeups: list[asyncio.Future[None]] = []
        self._awaits = list[Await]()
        resident.awaits = self._awaits  # for whoever asks why it does not go on
        self._children: list[tuple[int, InvocationId]] = []
        self._named: dict[str, int] = {}
        self._cancels = 0
        self._swallowed = 0
        self.steps: set[Step] = set()
        """Steps that have begun, or will as soon as what was decided before them is on the disk."""
        self.flushing = asyncio.Lock()
        """Held while what is staged is being decided."""
        self.closed = False
        self.running = False

    # -- what the engine does to it

    @property
    def waiting(self) -> bool:
        """Whether only a notification can move it."""
        return not self.steps and self._blocked

    @property
    def still(self) -> bool:
        """Whether only a notification, a commit or the clock can move it."""
        return self._blocked and all(step.resting or step.task is None for step in self.steps)

    @property
    def _blocked(self) -> bool:
        return bool(self._wakeups) and not self.journal.staged and not self.flushing.locked()

    def drive(self, handler: Coroutine[object, object, bytes]) -> Awaitable[bytes]:
        return Driven(handler, self)

    def yielded(self) -> None:
        """Should the handler wait for something that is not durable, its commands must not wait with it."""
        if self.journal.staged:
            self._host.flush_soon(self)

    def hear(self, entry: e.Notification) -> None:
        self.journal.hear(entry)
        self.wake()

    def wake(self) -> None:
        wakeups, self._wakeups = self._wakeups, []
        for future in wakeups:
            if not future.done():
                future.set_result(None)

    def close(self) -> None:
        """No command is taken from now on; whoever waits in the handler is told to leave."""
        self.closed = True
        self.journal.staged = []
        for step in self.steps:
            step.leave()
        wakeups, self._wakeups = self._wakeups, []
        for future in wakeups:
            if not future.done():
                future.set_exception(Suspended())

    @property
    def cancellation_waits(self) -> bool:
        """Whether a cancellation arrived that the handler has not been told of."""
        return self._cancels < len(self.journal.cancels)

    @property
    def begun(self) -> list[asyncio.Task[None]]:
        """Its steps that run."""
        return [step.task for step in self.steps if step.task is not None]

    def cancel_steps(self) -> None:
        for task in self.begun:
            task.cancel()

    # -- Machine

    @property
    def handler(self) -> str:
        target = self.resident.invocation.request.target
        return f"{target.service}.{target.handler}"

    @property
    def invocation_id(self) -> str:
        return ids.write_invocation(self.resident.invocation.id)

    @property
    def key(self) -> str:
        return self.resident.invocation.request.target.key or ""

    @property
    def headers(self) -> Mapping[str, str]:
        return self.resident.invocation.request.headers

    @property
    def identity(self) -> str | None:
        return self.resident.invocation.request.identity

    @property
    def seed(self) -> int:
        return int.from_bytes(self.resident.invocation.request.seed or self.resident.invocation.id, "big")

    def run(self, name: str, action: Action, retry: RetryPolicy | None, /) -> One:
        completion = self.journal.next_completion()
        command = self._issue(e.Run(completion, name))
        if self.journal.notified(completion) is None:
            step = Step(name, action, retry)
            self._host.on_step(self, step)
            self._unbegun.append((command, step))
        return One(completion)

    def call(self, outgoing: Outgoing, /) -> tuple[str, One]:
        completion = self.journal.next_completion()
        flow = (outgoing.attach, outgoing.limit_key, outgoing.priority)
        command = self._issue(e.Call(completion, *self._outgoing(outgoing), *flow))
        self._children.append((completion, command.invocation_id))
        return ids.write_invocation(command.invocation_id), One(completion)

    def send(self, outgoing: Outgoing, delay: timedelta | None, /) -> str:
        wrong = unsendable(self._host.directory, outgoing.target, delayed=bool(delay))
        if wrong is not None and not isinstance(self.journal.upcoming, e.Send):
            raise wrong.error()
        due_ms = None if delay is None else self._host.now_ms() + _ms(delay)
        command = self._issue(e.Send(*self._outgoing(outgoing), due_ms, outgoing.limit_key, outgoing.priority))
        return ids.write_invocation(command.invocation_id)

    def sleep(self, duration: timedelta, /) -> One:
        completion = self.journal.next_completion()
        self._issue(e.Sleep(completion, self._host.now_ms() + _ms(duration)))
        return One(completion)

    def now(self) -> tuple[datetime, Known]:
        command = self._issue(e.Now(self._host.now_ms(), self.journal.heard))
        moment = datetime.fromtimestamp(command.now_ms / 1000, UTC)
        return moment, _known(command.seen)

    def awakeable(self) -> tuple[str, One]:
        self._open()
        index = self.journal.next_awakeable()
        invocation = self.resident.invocation
        id = ids.AwakeableId(invocation.id, index, invocation.created_ms)
        return ids.write_awakeable(self._host.secret, id), One(-index)

    def complete_awakeable(self, id: str, outcome: Outcome, /) -> None:
        target, index, created_ms = ids.read_awakeable(self._host.secret, id)
        self._issue(e.CompleteAwakeable(target, index, outcome, created_ms))

    def signal(self, name: str, /) -> One:
        self._open()
        self._named[name] = self._named.get(name, 0) + 1
        return One(named_slot(name, self._named[name]))

    def send_signal(self, invocation_id: str, name: str, outcome: Outcome, /) -> None:
        self._issue(e.SendSignal(ids.read_invocation(invocation_id), name, outcome))

    def cancel(self, invocation_id: str, /) -> None:
        self._issue(e.SendSignal(ids.read_invocation(invocation_id), CANCEL, Success()))

    def control(self, verb: e.Verb, invocation_id: str, from_entry: int = 0, /) -> One:
        completion, id = self.journal.next_completion(), ids.read_invocation(invocation_id)
        return One(self._issue(e.Control(completion, verb, id, from_entry, self._host.new_id())).completion)

    def written(self, id: bytes, /) -> str:
        return ids.write_invocation(InvocationId(id))

    def attach(self, invocation_id: str, /) -> One:
        completion = self.journal.next_completion()
        self._issue(e.Attach(completion, ids.read_invocation(invocation_id)))
        return One(completion)

    def output(self, invocation_id: str, /) -> One:
        completion = self.journal.next_completion()
        self._issue(e.GetOutput(completion, ids.read_invocation(invocation_id)))
        return One(completion)

    def get(self, name: str, /) -> tuple[bytes | None, Known]:
        command = self._issue(e.GetState(name, self._state.get(name), self.journal.heard))
        return command.value, _known(command.seen)

    def state_keys(self) -> tuple[list[str], Known]:
        command = self._issue(e.GetStateKeys(sorted(self._state), self.journal.heard))
        return list(command.names), _known(command.seen)

    def set(self, name: str, value: bytes, /) -> None:
        self._issue(e.SetState(name, value))
        self._state[name] = value

    def clear(self, name: str, /) -> None:
        self._issue(e.ClearState(name))
        self._state.pop(name, None)

    def clear_all(self) -> None:
        self._issue(e.ClearAllState())
        self._state.clear()

    def promise(self, name: str, /) -> One:
        return One(self._issue(e.GetPromise(self.journal.next_completion(), name)).completion)

    def peek_promise(self, name: str, /) -> One:
        return One(self._issue(e.PeekPromise(self.journal.next_completion(), name)).completion)

    def complete_promise(self, name: str, outcome: Outcome, /) -> One:
        return One(self._issue(e.CompletePromise(self.journal.next_completion(), name, outcome)).completion)

    def notified(self, slot: int | str) -> Settled | None:
        return self.journal.notified(slot)

    def outcome(self, slot: int | str, /) -> Outcome:
        return self.journal.outcome(slot)

    async def wait(self, awaited: Await, /) -> None:
        while True:
            if self.closed:
                await self._leave()
            settled = awaited.settled(self.journal)
            if self.cancellation_waits:
                self._raise_if_cancelled(settled)
            if settled is not None:
                return
            await self._progress(awaited)

    # -- how

    async def _progress(self, awaited: Await) -> None:
        """Have everything decided and every step begun; then wait, unless that brought a notification."""
        heard = self.journal.heard
        if not self._host.flush_now(self):
            await self._host.flush(self)
        self._begin_steps()
        if self.closed or self.journal.heard != heard:
            return
        future = asyncio.get_running_loop().create_future()
        self._wakeups.append(future)
        self._awaits.append(awaited)
        if self.waiting:
            self._host.parked(self)
        try:
            await future
        finally:
            self._awaits.remove(awaited)
            if future in self._wakeups:  # the handler stopped waiting by itself
                self._wakeups.remove(future)

    def _begin_steps(self) -> None:
        unbegun, self._unbegun = self._unbegun, []
        for command, step in unbegun:
            if not self.closed:
                self._host.begin(self, command, step)

    def _raise_if_cancelled(self, settled: Settled | None) -> None:
        """Once per cancellation, at the first await that was not settled before it. Calls are cancelled with it."""
        moment = self.journal.cancels[self._cancels]
        if settled is not None and settled.position < moment:
            return
        self._cancels += 1
        children, self._children = self._children, []
        for completion, child in children:
            answer = self.journal.notified(completion)
            if answer is None or answer.position > moment:
                self._issue(e.SendSignal(child, CANCEL, Success()))
        raise InvocationCancelledError

    async def _leave(self) -> None:
        """Tell the handler that its attempt is over; one that does not listen is left standing here."""
        self._open()
        await Abandon()

    def _issue(self, command: C) -> C:
        self._open()
        if self.closed:
            return command
        if not self.journal.staged and not self.running:
            asyncio.get_running_loop().call_soon(self.yielded)  # a task that the handler began
        try:
            return self.journal.issue(command)
        except Divergence as error:
            self._host.diverged(self, self.mismatch(error))
            raise Suspended from error

    def mismatch(self, error: Divergence, where: str | None = None) -> JournalMismatchError:
        """What differs, where in the handler, and the usual cause."""
        target = self.resident.invocation.request.target
        return JournalMismatchError(
            f"{error}\n"
            f"  in        {target}, {where or current_line()}\n"
            "Code outside ctx.run() must take the same path every time (no clocks, no randomness, no reordered steps); "
            "or the handler was changed while this invocation was under way."
        )

    def _open(self) -> None:
        # A handler that keeps swallowing the end must not spin for ever: at last its commands do nothing, and at
        # its next await it is abandoned.
        if self.closed:
            self._swallowed += 1
            if self._swallowed <= PATIENCE:
                raise Suspended

    def _outgoing(self, outgoing: Outgoing) -> tuple[e.Target, bytes, dict[str, str], str | None, InvocationId]:
        """A callee belongs to its caller's trace (W3C Trace Context), unless the call says otherwise."""
        traced = {name: value for name, value in self.headers.items() if name in ("traceparent", "tracestate")}
        target, key = outgoing.target, outgoing.idempotency_key
        return target, outgoing.payload, {**traced, **outgoing.headers}, key, self._id_of(target, key)

    def _id_of(self, target: e.Target, idempotency_key: str | None) -> InvocationId:
        rule = self._host.directory.get((target.service, target.handler))
        workflow = rule is not None and rule.kind is Kind.WORKFLOW
        at = target if rule is None else rule.at(target)
        return derived_id(at, idempotency_key, self.identity, workflow=workflow) or self._host.new_id()


def _view(resident: Resident, instance: Instance | None) -> dict[str, bytes]:
    """The state that a handler sees. The writes of one that may write must not be seen before they are decided."""
    if instance is None:
        return {}
    return instance.state if resident.invocation.request.kind is Kind.SHARED else dict(instance.state)


def _known(seen: int) -> Known:
    return Known(2 * seen + 1)


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
