"""Calling handlers from outside: what an engine offers, here or over HTTP."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from typing import Generic, ParamSpec, Protocol, TypeVar

from durable.core.entries import Verb
from durable.core.outcome import Failure, Outcome, Success
from durable.handlers import Handler
from durable.serde import encode, plain

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")


class Door(Protocol):
    """What the handles below knock at: a client's own verbs, over ids and bytes."""

    async def outcome(self, id: str, /) -> Outcome:
        """How the invocation ended; waits until it has."""
        ...

    async def status(self, id: str, /) -> str: ...
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
        outcome = await self._door.outcome(self.id)
        if isinstance(outcome, Failure):
            raise outcome.error()
        return self._decode(outcome.value or b"")

    async def status(self) -> str:
        """``scheduled``, ``pending``, ``running``, ``backing-off``, ``suspended``, ``paused`` or ``completed``."""
        return await self._door.status(self.id)

    async def cancel(self) -> None:
        """Ask it to stop: the next ``await`` in its handler raises, so that it can undo what it did."""
        await self._door.cancel(self.id)

    async def signal(self, name: str, value: object, /) -> None:
        """Send it a named signal, which ``ctx.signal(name, type)`` receives; kept if it comes too early."""
        await self._door.signal(self.id, name, Success(encode(value, f"signal {name!r}")))

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
        return Invocation(self._door, await self._door.control("restart", self.id, from_entry), self._decode)

    async def purge(self) -> None:
        """Forget it, once it is completed; with a workflow's run, its state and promises."""
        await self._door.control("purge", self.id)

    async def purge_journal(self) -> None:
        """Forget its journal, once it is completed; its outcome is kept."""
        await self._door.control("purge-journal", self.id)


class AwakeableRef:
    """An awakeable, seen from outside. The first completion counts; later ones change nothing."""

    def __init__(self, door: Door, id: str) -> None:
        self.id = id
        self._door = door

    async def resolve(self, value: object, /) -> None:
        """Complete it with ``value``, once and for all; returns when that is durable."""
        await self._door.complete_awakeable(self.id, Success(encode(value, "the value of an awakeable")))

    async def reject(self, message: str, /) -> None:
        """Complete it with a failure of status 500, raised where it is awaited."""
        await self._door.complete_awakeable(self.id, Failure(500, message))


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

    def awakeable(self, id: str, /) -> AwakeableRef:
        """The awakeable that a handler made; nothing is asked before it is completed."""
        return AwakeableRef(self.door, id)

    def invocation(self, id: str, /) -> Invocation[object]:
        """A handle on an invocation that was accepted before; its result is plain JSON."""
        return Invocation(self.door, id, plain(f"the output of {id}"))
