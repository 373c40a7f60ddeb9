"""What a handler is given: typed verbs over a Machine.

A verb journals at once and returns; only ``await`` waits. So the order in the journal is the order in the source. On
replay a verb finds what it journaled, does nothing again, and its future has the same answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, TypeVarTuple, overload
from uuid import UUID

from durable.action import Body, outside_steps
from durable.core.awaits import Await, One
from durable.core.entries import Verb
from durable.core.outcome import Failure, Outcome, Success
from durable.errors import InvocationNotReadyError
from durable.fanout import FanOut
from durable.futures import CallFuture, DurableFuture, Journaled, answered, check_duration
from durable.machine import Machine, Outgoing
from durable.misuse import check_entry, check_promise, check_state, not_a_handler, not_there
from durable.polling import Polling
from durable.retry import RetryPolicy, check_policy
from durable.serde import decoder, encode
from durable.sizes import LONGEST_NAME, check_text
from durable.state import Promise, Readable, State

if TYPE_CHECKING:
    from durable.handlers import Handler

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")
Args = TypeVarTuple("Args")


class Sent:
    """A one-way call that has been journaled."""

    def __init__(self, machine: Machine, id: str) -> None:
        self.id = id
        """The callee's invocation id, the same on every attempt."""
        self._machine = machine

    def cancel(self) -> None:
        """Ask the callee to stop; one that has not started will not."""
        outside_steps(self._machine).cancel(self.id)


class Awakeable(Journaled[T_co]):
    """A future that the outside world completes, by its ``id``."""

    def __init__(self, machine: Machine, tree: One, read: Callable[[], T_co], id: str) -> None:
        super().__init__(machine, tree, read)
        self.id = id
        """The same on every attempt. Whoever holds it can complete the awakeable; the first to do so counts."""


class DurablePromise(DurableFuture[T]):
    """A workflow's named promise; that it is waited for is journaled when it is awaited or combined."""

    def __init__(self, machine: Machine, promise: Promise[T]) -> None:
        super().__init__(machine)
        self._owner = machine
        self._promise, self._name = promise, promise.name

    @cached_property
    def _waited(self) -> One:
        return outside_steps(self._owner).promise(self._name)

    def _tree(self) -> Await:
        return self._waited

    def _read(self) -> T:
        return answered(self._owner, self._waited, self._promise.decode)()

    def peek(self) -> DurableFuture[T | None]:
        """The value if it is there already, without waiting; a rejection is raised."""
        machine = outside_steps(self._owner)
        slot = machine.peek_promise(self._name)

        def read() -> T | None:
            if machine.outcome(slot.slot) == Success(None):
                return None
            return answered(machine, slot, self._promise.decode)()

        return Journaled(machine, slot, read)

    def resolve(self, value: T, /) -> DurableFuture[None]:
        """Complete it with ``value``; raises :class:`TerminalError` with status 409 if it was completed before."""
        machine = outside_steps(self._owner)
        return self._complete(Success(self._promise.encode(value, machine.handler)))

    def reject(self, message: str, /, *, status: int = 500) -> DurableFuture[None]:
        """Complete it with a failure, which everyone who waits for it gets; 409 if it was completed before."""
        return self._complete(Failure(status, message))

    def _complete(self, outcome: Outcome) -> DurableFuture[None]:
        machine = outside_steps(self._owner)
        slot = machine.complete_promise(self._name, outcome)
        return Journaled(machine, slot, answered(machine, slot, _nothing))


class Context(FanOut, Polling):
    """What every handler is given."""

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            raise not_there(self, name)

    @property
    def invocation_id(self) -> str:
        return self._attempt.invocation_id

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers, as its caller sent them."""
        return dict(self._attempt.headers)  # a copy: those of the request must stay as they are

    @property
    def identity(self) -> str | None:
        """Who called, as the ingress authenticated it; never taken from a client's header.

        It travels by itself with every call and send that a handler makes.
        """
        return self._attempt.identity

    @property
    def random(self) -> Random:
        """Seeded by the invocation: the same numbers on every attempt."""
        outside_steps(self._attempt)  # drawn inside a step, a replay would miss them
        return self._random

    @cached_property
    def _random(self) -> Random:
        return Random(self._attempt.seed)

    def uuid(self) -> UUID:
        """A random UUID, the same on every attempt."""
        return UUID(int=self.random.getrandbits(128), version=4)

    @overload
    def run(
        self, name: str, action: Callable[[*Args], Awaitable[T]], /, *args: *Args, retry: RetryPolicy | None = None
    ) -> DurableFuture[T]: ...
    @overload
    def run(
        self, name: str, action: Callable[[*Args], T], /, *args: *Args, retry: RetryPolicy | None = None
    ) -> DurableFuture[T]: ...
    def run(
        self, name: str, action: Callable[[*Args], object], /, *args: *Args, retry: RetryPolicy | None = None
    ) -> DurableFuture[object]:
        """Do something in the outside world, and remember its result.

        An ``async`` action runs on the event loop, any other in a worker thread. Its result is journaled, and read
        back as the type that the action declares to return; without a declaration, it has to be plain JSON. A
        :class:`TerminalError` is journaled too; any other exception is retried, as ``retry`` or the handler's policy
        says. On replay a recorded action does not run; one that was cut off by a crash runs again.
        """
        machine = self._machine
        body = Body(machine, name, action, args)
        if retry is not None:
            check_policy(retry)
        slot = machine.run(body.name, body.act, retry)
        return Journaled(machine, slot, answered(machine, slot, body.decode))

    def call(self, handler: Handler[P, T], /, *args: P.args, **kwargs: P.kwargs) -> CallFuture[T]:
        """Call another handler; its result is awaited, a failure raised as :class:`TerminalError`.

        The call is made at once, and once: a replay finds the callee that it called.
        """
        machine, outgoing = self._machine, _outgoing(handler, args, kwargs)
        invocation_id, slot = machine.call(outgoing)
        return CallFuture(machine, slot, answered(machine, slot, handler.decode_output), invocation_id)

    def send(self, handler: Handler[P, object], /, *args: P.args, **kwargs: P.kwargs) -> Sent:
        """Call another handler without waiting."""
        machine, outgoing = self._machine, _outgoing(handler, args, kwargs)
        return Sent(machine, machine.send(outgoing, None))

    def send_later(self, delay: timedelta, handler: Handler[P, object], /, *args: P.args, **kwargs: P.kwargs) -> Sent:
        """Call another handler without waiting, once ``delay`` has passed.

        The delay counts from the first attempt; a replay does not restart it.
        """
        check_duration(delay, "a delay")
        machine, outgoing = self._machine, _outgoing(handler, args, kwargs)
        return Sent(machine, machine.send(outgoing, delay))

    def sleep(self, duration: timedelta, /) -> DurableFuture[None]:
        """Wait. The time counts from the first attempt that came here, and passes while the engine is down."""
        check_duration(duration, "a sleep")
        machine = self._machine
        slot = machine.sleep(duration)
        return Journaled(machine, slot, answered(machine, slot, _nothing))

    def awakeable(self, type: type[T], /) -> Awakeable[T]:
        """A future to be completed from outside, through the engine, the ingress or another handler."""
        machine = self._machine
        decode = decoder(type, f"the value of an awakeable in {machine.handler}")
        id, slot = machine.awakeable()
        return Awakeable(machine, slot, answered(machine, slot, decode), id)

    def resolve_awakeable(self, id: str, value: object, /) -> None:
        machine = self._machine
        raw = encode(value, f"the value that {machine.handler} has for an awakeable")
        machine.complete_awakeable(id, Success(raw))

    def reject_awakeable(self, id: str, message: str, /, *, status: int = 500) -> None:
        """Complete it with a failure, raised where it is awaited."""
        self._machine.complete_awakeable(id, Failure(status, message))

    def signal(self, name: str, type: type[T], /) -> DurableFuture[T]:
        """Wait for a named signal sent to this invocation; each call takes the next one of that name."""
        name = check_text(name, "the name of a signal", LONGEST_NAME)
        machine = self._machine
        decode = decoder(type, f"signal {name!r} in {machine.handler}")
        slot = machine.signal(name)
        return Journaled(machine, slot, answered(machine, slot, decode))

    def send_signal(self, invocation_id: str, name: str, value: object, /) -> None:
        """Send a signal to an invocation; it is kept for one that does not wait for it yet, or has not started."""
        name = check_text(name, "the name of a signal", LONGEST_NAME)
        machine = self._machine
        raw = encode(value, f"signal {name!r}, sent by {machine.handler},")
        machine.send_signal(invocation_id, name, Success(raw))

    def reject_signal(self, invocation_id: str, name: str, message: str, /, *, status: int = 500) -> None:
        """Send a failure in the place of a signal; who waits for it gets :class:`TerminalError`."""
        name = check_text(name, "the name of a signal", LONGEST_NAME)
        self._machine.send_signal(invocation_id, name, Failure(status, message))

    def attach(self, invocation_id: str, type: type[T], /) -> DurableFuture[T]:
        """The result of another invocation."""
        machine = self._machine
        decode = decoder(type, f"the output of {invocation_id}, awaited in {machine.handler},")
        slot = machine.attach(invocation_id)
        return Journaled(machine, slot, answered(machine, slot, decode))

    def output(self, invocation_id: str, type: type[T], /) -> DurableFuture[T]:
        """The result of another invocation, without waiting: :class:`InvocationNotReadyError` if there is none yet.

        On replay the answer is the same, however far the other one is by then.
        """
        machine = self._machine
        decode = decoder(type, f"the output of {invocation_id}")
        slot = machine.output(invocation_id)

        def read() -> T:
            if machine.outcome(slot.slot) == Success(None):
                raise InvocationNotReadyError
            return answered(machine, slot, decode)()

        return Journaled(machine, slot, read)

    def cancel(self, invocation_id: str, /) -> None:
        """Ask another invocation to stop: the next ``await`` in its handler raises."""
        self._machine.cancel(invocation_id)

    def kill(self, invocation_id: str, /) -> DurableFuture[None]:
        """Stop another invocation now, and what it called; nothing is undone. 404 if unknown, 409 if completed."""
        return self._control("kill", invocation_id)

    def pause(self, invocation_id: str, /) -> DurableFuture[None]:
        """Stop another invocation where it is; it keeps its key."""
        return self._control("pause", invocation_id)

    def resume(self, invocation_id: str, /) -> DurableFuture[None]:
        """Let a paused invocation go on, or one that backs off try again now."""
        return self._control("resume", invocation_id)

    def purge(self, invocation_id: str, /) -> DurableFuture[None]:
        """Forget a completed invocation; with a workflow's run, its state and promises."""
        return self._control("purge", invocation_id)

    def purge_journal(self, invocation_id: str, /) -> DurableFuture[None]:
        """Forget the journal of a completed invocation; its outcome is kept."""
        return self._control("purge-journal", invocation_id)

    def restart(self, invocation_id: str, /, *, from_entry: int = 0) -> DurableFuture[str]:
        """The id of a new invocation with the same input, and the journal up to and with ``from_entry``."""
        check_entry(from_entry)
        machine = self._machine
        slot = machine.control("restart", invocation_id, from_entry)
        return Journaled(machine, slot, answered(machine, slot, machine.written))

    def _control(self, verb: Verb, invocation_id: str) -> DurableFuture[None]:
        machine = self._machine
        slot = machine.control(verb, invocation_id)
        return Journaled(machine, slot, answered(machine, slot, _nothing))

    def now(self) -> DurableFuture[datetime]:
        """The time, in UTC, the same on every attempt."""
        machine = self._machine
        moment, known = machine.now()
        return Journaled(machine, known, lambda: moment)


class _KeyedContext(Context):
    """Reads the state of its key."""

    @property
    def key(self) -> str:
        return self._attempt.key

    def get(self, state: Readable[T], /) -> DurableFuture[T]:
        """The state's value, or its default: as this invocation sees it now, and on every replay."""
        check_state(state)
        machine = self._machine
        raw, known = machine.get(state.name)
        return Journaled(machine, known, lambda: state.decode(raw))

    def state_keys(self) -> DurableFuture[list[str]]:
        """The names of the states that are set."""
        machine = self._machine
        names, known = machine.state_keys()
        return Journaled(machine, known, lambda: list(names))


class _WritableContext(_KeyedContext):
    """Writes the state of its key. A write is durable with the command that made it, also if the handler fails."""

    def set(self, state: State[T], value: T, /) -> None:
        check_state(state)
        machine, name = self._machine, state.name
        raw = state.encode(value, machine.handler)
        if raw is None:
            machine.clear(name)
        else:
            machine.set(name, raw)

    def clear(self, state: State[T], /) -> None:
        """Back to the default."""
        check_state(state)
        self._machine.clear(state.name)

    def clear_all(self) -> None:
        """Every state of this key, also those that no attribute names any more."""
        self._machine.clear_all()


class ObjectSharedContext(_KeyedContext):
    """What a shared handler of a virtual object is given: state, read-only."""


class ObjectContext(ObjectSharedContext, _WritableContext):
    """What an exclusive handler of a virtual object is given: state, to read and write."""


class WorkflowSharedContext(_KeyedContext):
    """What a workflow's other handlers are given: promises, and state, read-only."""

    def promise(self, promise: Promise[T], /) -> DurablePromise[T]:
        check_promise(promise)
        return DurablePromise(self._machine, promise)


class WorkflowContext(WorkflowSharedContext, _WritableContext):
    """What a workflow's ``run`` is given: promises, and state, to read and write."""


def _nothing(raw: bytes) -> None:
    """The result of a step that only succeeds or fails."""


def _outgoing(handler: Handler[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Outgoing:
    if not hasattr(handler, "outgoing"):
        raise not_a_handler(handler)
    return handler.outgoing(args, kwargs)
