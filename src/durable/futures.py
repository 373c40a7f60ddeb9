"""What a handler waits for: a journaled step's result, and combinations of them.

A future never decides anything: its answer follows from the order of the journal, so that a replay finds the same one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from datetime import timedelta
from inspect import iscoroutine
from typing import Any, TypeGuard, TypeVar, overload

from durable.action import outside_steps
from durable.core.awaits import All, Await, First, One, Settled, Timeout
from durable.core.outcome import Failure
from durable.errors import DurableTimeoutError
from durable.machine import Machine

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")

_LONGEST = timedelta(days=3653)
"""Ten years: more is a mistake in the unit."""


class _Nothing:
    """The journal of a future that waits for nothing."""

    def notified(self, slot: int | str) -> Settled | None:
        return None


_NOTHING = _Nothing()


def check_duration(duration: object, what: str) -> None:
    if not isinstance(duration, timedelta):
        raise TypeError(f"{what} is a timedelta, got {duration!r}; write timedelta(seconds=5), or days=, hours=, ...")
    if not timedelta(0) <= duration <= _LONGEST:
        raise ValueError(f"{what} is between zero and ten years, got {duration}")


class DurableFuture(Awaitable[T_co], ABC):
    """The result of a journaled step: await it, or hand it to a combinator.

    It may be awaited more than once; each ``await`` decodes the result anew.
    """

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

        return Journaled(machine, tree, read)


class Journaled(DurableFuture[T_co]):
    """A future whose commands were journaled before it was made."""

    def __init__(self, machine: Machine | None, tree: Await, read: Callable[[], T_co]) -> None:
        super().__init__(machine)
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


class Combined(DurableFuture[T_co]):
    """Several futures as one. What is lazy among them is journaled here, in order."""

    def __init__(self, combinator: str, futures: Iterable[object]) -> None:
        self._parts = tuple(_checked(combinator, future) for future in futures)
        machines = {id(part._machine): part._machine for part in self._parts if part._machine is not None}
        if len(machines) > 1:
            raise ValueError(f"{combinator}() was given futures of different invocations")
        super().__init__(next(iter(machines.values()), None))
        self._trees = tuple(part._tree() for part in self._parts)

    def _answered(self) -> list[tuple[Settled, DurableFuture[Any]]]:
        """The parts that have their answer, in the order of the journal."""
        answered = [(settled, part) for part in self._parts if (settled := part._settled()) is not None]
        return sorted(answered, key=lambda each: each[0])


class Gathered(Combined[tuple[Any, ...]]):
    def _tree(self) -> Await:
        return All(self._trees)

    def _read(self) -> tuple[Any, ...]:
        for settled, part in self._answered():
            if settled.failed:
                part._read()  # raises
        return tuple(part._read() for part in self._parts)


class Selected(Combined[tuple[str, T]]):
    def __init__(self, futures: Mapping[str, DurableFuture[T]]) -> None:
        super().__init__("select", futures.values())
        self._futures = futures

    def _tree(self) -> Await:
        return First(self._trees)

    def _read(self) -> tuple[str, T]:
        _, winner = self._answered()[0]
        return next((name, future._read()) for name, future in self._futures.items() if future is winner)


def _is_durable(future: object) -> TypeGuard[DurableFuture[Any]]:
    return isinstance(future, DurableFuture)


def _checked(combinator: str, future: object) -> DurableFuture[Any]:
    if _is_durable(future):
        return future
    if iscoroutine(future):
        future.close()  # or Python warns that nobody awaited it
    raise TypeError(
        f"{combinator}() was given {future!r}, whose order a replay cannot know; "
        "make it a step: ctx.run(name, function, *arguments)"
    )


@overload
def gather(a: DurableFuture[T1], b: DurableFuture[T2], /) -> DurableFuture[tuple[T1, T2]]: ...
@overload
def gather(a: DurableFuture[T1], b: DurableFuture[T2], c: DurableFuture[T3], /) -> DurableFuture[tuple[T1, T2, T3]]: ...
@overload
def gather(
    a: DurableFuture[T1], b: DurableFuture[T2], c: DurableFuture[T3], d: DurableFuture[T4], /
) -> DurableFuture[tuple[T1, T2, T3, T4]]: ...
@overload
def gather(
    a: DurableFuture[T1], b: DurableFuture[T2], c: DurableFuture[T3], d: DurableFuture[T4], e: DurableFuture[T5], /
) -> DurableFuture[tuple[T1, T2, T3, T4, T5]]: ...
@overload
def gather(
    a: DurableFuture[T1],
    b: DurableFuture[T2],
    c: DurableFuture[T3],
    d: DurableFuture[T4],
    e: DurableFuture[T5],
    f: DurableFuture[T6],
    /,
) -> DurableFuture[tuple[T1, T2, T3, T4, T5, T6]]: ...
@overload
def gather(*futures: DurableFuture[T]) -> DurableFuture[tuple[T, ...]]: ...
def gather(*futures: DurableFuture[Any]) -> DurableFuture[Any]:
    """All results, in order; or, as soon as one fails, the failure that the journal holds first."""
    return Gathered("gather", futures)


def select(**futures: DurableFuture[T]) -> DurableFuture[tuple[str, T]]:
    """The name and result of whichever future the journal answers first; if that is a failure, it is raised."""
    if not futures:
        raise ValueError("select() of nothing would wait for ever; name a future: select(paid=payment)")
    return Selected(futures)
