"""Several futures as one. Like a single one they decide nothing: who wins follows from the order of the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from typing import Any, TypeGuard, TypeVar, overload

from durable.core.awaits import All, Await, First, FirstSuccess, Settled, Some
from durable.errors import AllFailedError, TerminalError
from durable.flaw import refused
from durable.futures import DurableFuture

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")
F = TypeVar("F", bound=DurableFuture[object])


class Combined(DurableFuture[T_co]):
    """What is lazy among the futures is journaled here, in order."""

    def __init__(self, combinator: str, futures: Iterable[object]) -> None:
        self._parts = tuple(_checked(combinator, future) for future in futures)
        machines = {id(part._machine): part._machine for part in self._parts if part._machine is not None}
        if len(machines) > 1:
            raise ValueError(f"{combinator}() was given futures of different invocations")
        super().__init__(next(iter(machines.values()), None))
        self._depth = self._depth_above(*self._parts)
        self._trees = tuple(part._tree() for part in self._parts)

    def _answered(self) -> list[tuple[Settled, DurableFuture[Any]]]:
        """The parts that have their answer, in the order of the journal."""
        answered = [(settled, part) for part in self._parts if (settled := part._settled()) is not None]
        return sorted(answered, key=lambda each: each[0])

    def _outcomes(self) -> list[Any]:
        """Of each part its result, or its failure; all are settled."""
        outcomes: list[Any] = []
        for part in self._parts:
            try:
                outcomes.append(part._read())
            except TerminalError as failure:
                outcomes.append(failure)
        return outcomes


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


class Successful(Combined[T]):
    def __init__(self, futures: tuple[DurableFuture[T], ...]) -> None:
        super().__init__("first_success", futures)

    def _tree(self) -> Await:
        return FirstSuccess(self._trees)

    def _read(self) -> T:
        for settled, part in self._answered():
            if not settled.failed:
                result: T = part._read()
                return result
        failures = self._outcomes()
        raise AllFailedError(failures) from ExceptionGroup("what first_success was given, and how it failed", failures)


class Outcomes(Combined[tuple[Any, ...]]):
    def _tree(self) -> Await:
        return Some(self._trees, len(self._trees))

    def _read(self) -> tuple[Any, ...]:
        return tuple(self._outcomes())


class Waited(Combined[tuple[tuple[F, ...], tuple[F, ...]]]):
    def __init__(self, futures: tuple[F, ...], count: int) -> None:
        super().__init__("wait", futures)
        self._futures = futures
        self._count = count

    def _tree(self) -> Await:
        return Some(self._trees, self._count)

    def _read(self) -> tuple[tuple[F, ...], tuple[F, ...]]:
        answers = [(future._settled(), future) for future in self._futures]
        moments = sorted(moment for moment, _ in answers if moment is not None)
        # What was answered later is pending, though it may be here by now: a replay must not find more done.
        last = moments[self._count - 1].position
        done = [(moment, future) for moment, future in answers if moment is not None and moment.position <= last]
        pending = tuple(future for moment, future in answers if moment is None or moment.position > last)
        return tuple(future for _, future in sorted(done, key=lambda each: each[0])), pending


class Upcoming(Combined[F]):
    """Each ``await`` gives the next future that has its answer."""

    def __init__(self, futures: tuple[F, ...]) -> None:
        super().__init__("as_completed", futures)
        self._left = list(zip(futures, self._trees, strict=True))
        self._ready: deque[tuple[F, Await]] = deque()

    @property
    def exhausted(self) -> bool:
        return not self._left and not self._ready

    def _tree(self) -> Await:
        # Also for one that is ready: a cancellation that came before its answer has to be raised before it.
        return self._ready[0][1] if self._ready else First(tuple(tree for _, tree in self._left))

    def _read(self) -> F:
        if not self._ready:
            self._collect()
        return self._ready.popleft()[0]

    def _collect(self) -> None:
        settled = [(future._settled(), future, tree) for future, tree in self._left]
        ready = [(moment, future, tree) for moment, future, tree in settled if moment is not None]
        self._left = [(future, tree) for moment, future, tree in settled if moment is None]
        self._ready.extend((future, tree) for _, future, tree in sorted(ready, key=lambda each: each[0]))


class Completions(AsyncIterator[F]):
    def __init__(self, upcoming: Upcoming[F]) -> None:
        self._upcoming = upcoming

    async def __anext__(self) -> F:
        if self._upcoming.exhausted:
            raise StopAsyncIteration
        return await self._upcoming


def _is_durable(future: object) -> TypeGuard[DurableFuture[Any]]:
    return isinstance(future, DurableFuture)


def _is_collection(futures: object) -> TypeGuard[Collection[object]]:
    return isinstance(futures, Collection)


def _checked(combinator: str, future: object) -> DurableFuture[Any]:
    if _is_durable(future):
        return future
    if _is_collection(future) and all(map(_is_durable, future)):
        raise TypeError(f"{combinator}() takes futures one by one, not a collection; write {combinator}(*futures)")
    raise TypeError(
        f"{combinator}() was given {refused(future)}, whose order a replay cannot know; "
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


@overload
def settled(
    a: DurableFuture[T1], b: DurableFuture[T2], /
) -> DurableFuture[tuple[T1 | TerminalError, T2 | TerminalError]]: ...
@overload
def settled(
    a: DurableFuture[T1], b: DurableFuture[T2], c: DurableFuture[T3], /
) -> DurableFuture[tuple[T1 | TerminalError, T2 | TerminalError, T3 | TerminalError]]: ...
@overload
def settled(
    a: DurableFuture[T1], b: DurableFuture[T2], c: DurableFuture[T3], d: DurableFuture[T4], /
) -> DurableFuture[tuple[T1 | TerminalError, T2 | TerminalError, T3 | TerminalError, T4 | TerminalError]]: ...
@overload
def settled(*futures: DurableFuture[T]) -> DurableFuture[tuple[T | TerminalError, ...]]: ...
def settled(*futures: DurableFuture[Any]) -> DurableFuture[Any]:
    """Once all have their answer: of each its result or its :class:`TerminalError`, in order. None is raised."""
    return Outcomes("settled", futures)


def select(**futures: DurableFuture[T]) -> DurableFuture[tuple[str, T]]:
    """The name and result of whichever future the journal answers first; if that is a failure, it is raised."""
    if not futures:
        raise ValueError("select() of nothing would wait for ever; name a future: select(paid=payment)")
    return Selected(futures)


def first_success(*futures: DurableFuture[T]) -> DurableFuture[T]:
    """The result of whichever succeeds first; :class:`AllFailedError`, with every failure, if none does."""
    if not futures:
        raise ValueError("first_success() of nothing cannot succeed; give it a future")
    return Successful(futures)


def wait(*futures: F, count: int = 1) -> DurableFuture[tuple[tuple[F, ...], tuple[F, ...]]]:
    """Once ``count`` have their answer, be it a failure: those, first come first, and those still pending, in order.

    More than ``count`` are done if one moment answered several. A future that was answered later is pending, also for
    who asks late: so a replay divides them the same way.
    """
    if not 1 <= count <= len(futures):
        raise ValueError(f"wait() can wait for 1 to {len(futures)} of {len(futures)} futures, not for {count}")
    return Waited(futures, count)


def as_completed(*futures: F) -> AsyncIterator[F]:
    """The futures as they get their answers, in the order of the journal: ``async for future in as_completed(a, b)``.

    Each one that comes has its answer: ``await future`` is its result, or raises its failure.
    """
    return Completions(Upcoming(futures))
