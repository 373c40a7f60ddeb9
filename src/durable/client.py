"""Calling handlers from outside: what an engine offers, here or over HTTP."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from typing import Generic, ParamSpec, Protocol, TypeVar

from durable.core.entries import Verb
from durable.core.outcome import Failure, Outcome, Success
from durable.core.waits import Why
from durable.errors import InvocationNotReadyError
from durable.handlers import Handler
from durable.misuse import check_entry
from durable.serde import encode, plain
from durable.sizes import LONGEST_NAME, check_text

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")


class Door(Protocol):
    """What the handles below knock at: a client's own verbs, over ids and bytes."""

    async def outcome(self, id: str, /) -> Outcome:
        """How the invocation ended; waits until it has."""
        ...

    async def output(self, id: str, /) -> Outcome | None:
        """How the invocation ended, or ``None`` if it has not; :class:`InvocationNotFoundError` if there is none."""
        ...

    async def status(self, id: str, /) -> str: ...
    async def why(self, id: str, /) -> Why: ...
    async def cancel(self, id: str, /) -> None: ...
    async def signal(self, id: str, name: str, outcome: Outcome, /) -> None: ...
    async def control(self, verb: Verb, id: str, from_entry: int = 0, /) -> str:
        """The id of the invocation that a restart makes; that of the invocation itself for every other verb."""
        ...

    async def complete_awakeable(self, id: str, outcome: Outcome, /) -> None: ...


class Invocation(Generic[T_co]):
    """A handle on an accepted invocation."""

    def __init__(self, door: Door, id: str, decode: Callable[[bytes], T_co]) -> None:
        self.id = id
        self._door = door
        self._decode = decode

    async def result(self) -> T_co:
        """Wait for the outcome; a failure is raised as :class:`TerminalError`."""
        return self._read(await self._door.outcome(self.id))

    async def output(self) -> T_co:
        """The result, without waiting for it: :class:`InvocationNotReadyError` if there is none yet."""
        outcome = await self._door.output(self.id)
        if outcome is None:
            raise InvocationNotReadyError
        return self._read(outcome)

    async def status(self) -> str:
        """``scheduled``, ``pending``, ``running``, ``backing-off``, ``suspended``, ``paused`` or ``completed``."""
        return await self._door.status(self.id)

    async def why(self) -> Why:
        """What it waits for, and what that waits for: keys, calls, awakeables, timers. ``str()`` of it is a tree."""
        return await self._door.why(self.id)

    async def cancel(self) -> None:
        """Ask it to stop: the next ``await`` in its handler raises, so that it can undo what it did."""
        await self._door.cancel(self.id)

    async def signal(self, name: str, value: object, /) -> None:
        """Send it a named signal, which ``ctx.signal(name, type)`` receives; kept if it comes too early."""
        name = check_text(name, "the name of a signal", LONGEST_NAME)
        await self._door.signal(self.id, name, Success(encode(value, f"signal {name!r}")))

    async def reject_signal(self, name: str, message: str, /, *, status: int = 500) -> None:
        """Send a failure in the place of a signal; who waits for it gets :class:`TerminalError`."""
        await self._door.signal(self.id, name, Failure(status, message))

    async def kill(self) -> None:
        """Stop it now, and what it called; nothing is undone. Its callers get status 409."""
        await self._door.control("kill", self.id)

    async def pause(self) -> None:
        """Stop it where it is; it keeps its key, and what arrives meanwhile is kept."""
        await self._door.control("pause", self.id)

    async def resume(self) -> None:
        """Go on: after a pause, or now instead of when its back-off is over."""
        await self._door.control("resume", self.id)

    async def restart(self, *, from_entry: int = 0) -> Invocation[T_co]:
        """A new invocation with the same input, keeping the journal up to and with ``from_entry``; 0 is the input."""
        check_entry(from_entry)
        return Invocation(self._door, await self._door.control("restart", self.id, from_entry), self._decode)

    async def purge(self) -> None:
        """Forget it, once it is completed; with a workflow's run, its state and promises."""
        await self._door.control("purge", self.id)

    async def purge_journal(self) -> None:
        """Forget its journal, once it is completed; its outcome is kept."""
        await self._door.control("purge-journal", self.id)

    def _read(self, outcome: Outcome) -> T_co:
        if isinstance(outcome, Failure):
            raise outcome.error()
        return self._decode(outcome.value or b"")


class AwakeableRef:
    """An awakeable, seen from outside. The first completion counts; later ones change nothing."""

    def __init__(self, door: Door, id: str) -> None:
        self.id = id
        self._door = door

    async def resolve(self, value: object, /) -> None:
        """Complete it with ``value``, once and for all; returns when that is durable."""
        await self._door.complete_awakeable(self.id, Success(encode(value, "the value of an awakeable")))

    async def reject(self, message: str, /, *, status: int = 500) -> None:
        """Complete it with a failure, raised where it is awaited. Over HTTP its status is always 500."""
        await self._door.complete_awakeable(self.id, Failure(status, message))


class Client(ABC):
    """Calls handlers from outside: an :class:`Engine` here, or one over HTTP."""

    @property
    @abstractmethod
    def door(self) -> Door:
        """Where the handles that this client gives out knock."""

    @abstractmethod
    async def call(self, handler: Handler[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a handler and wait for its result; a failure is raised as :class:`TerminalError`."""

    @abstractmethod
    async def send(self, handler: Handler[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Invocation[T]:
        """Call a handler without waiting; returns when the call is durable."""

    @abstractmethod
    async def send_later(
        self, delay: timedelta, handler: Handler[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Invocation[T]:
        """Call a handler once ``delay`` has passed; returns when that is durable."""

    @abstractmethod
    async def lookup(self, handler: Handler[..., T], key: str | None = None, /) -> Invocation[T]:
        """The run of the workflow ``key``, or the call that was made with the handler's idempotency key.

        ``engine.lookup(Order.run, "o-1")``, or ``lookup(Cart.add.options(idempotency_key="x"), "jane")``.
        Its id follows from the names, so it need not have been accepted yet.
        """

    def awakeable(self, id: str, /) -> AwakeableRef:
        """The awakeable that a handler made; nothing is asked before it is completed."""
        return AwakeableRef(self.door, id)

    def invocation(self, id: str, /) -> Invocation[object]:
        """A handle on an invocation that was accepted before; its result is plain JSON."""
        return Invocation(self.door, id, plain(f"the output of {id}"))
