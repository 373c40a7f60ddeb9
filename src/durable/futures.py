"""What a handler waits for: a journaled step's result.

A future never decides anything: its answer follows from the order of the journal, so that a replay finds the same one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator
from datetime import timedelta
from typing import Any, TypeVar

from durable.action import outside_steps
from durable.core.awaits import Await, One, Settled, Timeout
from durable.core.outcome import Failure
from durable.errors import DurableTimeoutError
from durable.machine import Machine
from durable.sizes import LONGEST_TIME

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

DEEPEST = 256
"""Combinators inside one another. Restate allows 1,000."""


class _Nothing:
    """The journal of a future that waits for nothing."""

    def notified(self, slot: int | str) -> Settled | None:
        return None


_NOTHING = _Nothing()


def check_duration(duration: object, what: str) -> None:
    if not isinstance(duration, timedelta):
        raise TypeError(f"{what} is a timedelta, got {duration!r}; write timedelta(seconds=5), or days=, hours=, ...")
    if not timedelta(0) <= duration <= LONGEST_TIME:
        raise ValueError(f"{what} is between zero and ten years, got {duration}")


class DurableFuture(Awaitable[T_co], ABC):
    """The result of a journaled step: await it, or hand it to a combinator.

    It may be awaited more than once; each ``await`` decodes the result anew.
    """

    _depth = 0
    """How many combinators are inside one another here."""

    def __init__(self, machine: Machine | None) -> None:
        self._machine = machine

    @abstractmethod
    def _tree(self) -> Await:
        """What to wait for; journaled by now."""

    @abstractmethod
    def _read(self) -> T_co:
        """The result, or its failure raised, once the tree is settled."""

    def _settled(self) -> Settled | None:
        return self._tree().settled(self._machine or _NOTHING)

    def __await__(self) -> Generator[Any, Any, T_co]:
        return self._result().__await__()

    async def _result(self) -> T_co:
        tree = self._tree()
        if self._machine is not None:
            await outside_steps(self._machine).wait(tree)
        return self._read()

    def or_timeout(self, after: timedelta, /) -> DurableFuture[T_co]:
        """The same result, or :class:`DurableTimeoutError` once ``after`` has passed.

        ``after`` counts from the first attempt that came here; a replay does not restart it.
        """
        check_duration(after, "a timeout")
        machine, part = self._machine, self._tree()
        if machine is None:
            return self
        tree = Timeout(part, outside_steps(machine).sleep(after))

        def read() -> T_co:
            if tree.settled(machine) != part.settled(machine):  # not the part's answer: the timer's
                raise DurableTimeoutError(f"no result within {after}")
            return self._read()

        return Journaled(machine, tree, read, self._depth_above(self))

    @staticmethod
    def _depth_above(*parts: DurableFuture[Any]) -> int:
        """:class:`ValueError` if that is more than Python's stack is sure to hold."""
        depth = 1 + max((part._depth for part in parts), default=0)
        if depth > DEEPEST:
            raise ValueError(
                f"combinators are {depth} deep, at most {DEEPEST} are possible; "
                "give all futures to one: gather(*futures)"
            )
        return depth


class Journaled(DurableFuture[T_co]):
    """A future whose commands were journaled before it was made."""

    def __init__(self, machine: Machine | None, tree: Await, read: Callable[[], T_co], depth: int = 0) -> None:
        super().__init__(machine)
        self._depth = depth
        self._awaited = tree
        self._reader = read

    def _tree(self) -> Await:
        return self._awaited

    def _read(self) -> T_co:
        return self._reader()


class CallFuture(Journaled[T_co]):
    """The result of a call; it can be cancelled, and has an invocation id."""

    def __init__(self, machine: Machine, tree: One, read: Callable[[], T_co], invocation_id: str) -> None:
        super().__init__(machine, tree, read)
        self.invocation_id = invocation_id
        """The callee's, the same on every attempt."""
        self._caller = machine

    def cancel(self) -> None:
        """Ask the callee to stop; awaiting this future then tells how it ended."""
        outside_steps(self._caller).cancel(self.invocation_id)


def answered(machine: Machine, slot: One, decode: Callable[[bytes], T]) -> Callable[[], T]:
    """What reads a single notification: its value decoded, or its failure raised."""

    def read() -> T:
        outcome = machine.outcome(slot.slot)
        if isinstance(outcome, Failure):
            raise outcome.error()
        return decode(outcome.value or b"")

    return read
