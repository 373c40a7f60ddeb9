"""One thing done with many inputs: the verbs, and how their results are read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, ItemsView, Iterable, KeysView, Set
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar, Unpack, overload

from msgspec import Raw

from durable.action import Body
from durable.core.invocation import Kind
from durable.core.outcome import Failure, Outcome
from durable.errors import TerminalError
from durable.flaw import refused
from durable.futures import CallFuture, answered
from durable.machine import Machine, Outgoing
from durable.mapper import LARGEST_MAP, MAP_ALL, Item, Job, Work, decode_outcomes, encode
from durable.misuse import not_a_handler
from durable.retry import RetryPolicy, check_policy
from durable.sizes import check_size
from durable.tally import NOT_BEGUN, Goal, Tally, Tolerance, check_count
from durable.verbs import Verbs
from durable.window import Window

if TYPE_CHECKING:
    from durable.handlers import Handler

A = TypeVar("A")
T = TypeVar("T")


class FanOut(Verbs):
    @overload
    def map(
        self, handler: Handler[[A], T], inputs: Iterable[A], /, *, concurrency: int = 10
    ) -> CallFuture[list[T]]: ...
    @overload
    def map(
        self, handler: Handler[[str, A], T], inputs: Iterable[tuple[str, A]], /, *, concurrency: int = 10
    ) -> CallFuture[list[T]]: ...
    @overload
    def map(
        self,
        handler: Handler[[A], T],
        inputs: Iterable[A],
        /,
        *,
        concurrency: int = 10,
        **tolerance: Unpack[Tolerance],
    ) -> CallFuture[list[T | TerminalError]]: ...
    @overload
    def map(
        self,
        handler: Handler[[str, A], T],
        inputs: Iterable[tuple[str, A]],
        /,
        *,
        concurrency: int = 10,
        **tolerance: Unpack[Tolerance],
    ) -> CallFuture[list[T | TerminalError]]: ...
    def map(
        self,
        handler: Handler[..., object],
        inputs: Iterable[Any],
        /,
        *,
        concurrency: int = 10,
        **tolerance: Unpack[Tolerance],
    ) -> CallFuture[Any]:
        """Call a handler once for each input, at most ``concurrency`` at once; the results are in the inputs' order.

        A handler with a key and an input takes pairs of both. The first failure stops it, unless ``min_successful``,
        ``tolerated_failures`` or ``tolerated_fraction`` is given: then each result is that of the call or its
        :class:`TerminalError`, as from :func:`durable.settled`. When it stops, what runs is cancelled and what has not
        begun never begins; the future has its answer once all that was cancelled has ended. If too many failed, it
        raises :class:`TerminalError` with the first failures.
        """
        machine, items = self._machine, _ordered(inputs)
        goal = Goal.of(len(items), tolerance)
        work = Work(_job(handler, concurrency, goal), Raw(encode(_items(handler, items))))
        payload = encode(work)
        check_size(payload, f"what a map in {machine.handler} is given", LARGEST_MAP)
        invocation_id, slot = machine.call(Outgoing(MAP_ALL, payload))
        answer = answered(machine, slot, decode_outcomes)
        return CallFuture(
            machine, slot, lambda: [_result(handler.decode_output, each) for each in answer()], invocation_id
        )

    @overload
    def map_run(
        self,
        name: str,
        action: Callable[[A], Awaitable[T]],
        inputs: Iterable[A],
        /,
        *,
        concurrency: int = 10,
        retry: RetryPolicy | None = None,
    ) -> Awaitable[list[T]]: ...
    @overload
    def map_run(
        self,
        name: str,
        action: Callable[[A], T],
        inputs: Iterable[A],
        /,
        *,
        concurrency: int = 10,
        retry: RetryPolicy | None = None,
    ) -> Awaitable[list[T]]: ...
    @overload
    def map_run(
        self,
        name: str,
        action: Callable[[A], Awaitable[T]],
        inputs: Iterable[A],
        /,
        *,
        concurrency: int = 10,
        retry: RetryPolicy | None = None,
        **tolerance: Unpack[Tolerance],
    ) -> Awaitable[list[T | TerminalError]]: ...
    @overload
    def map_run(
        self,
        name: str,
        action: Callable[[A], T],
        inputs: Iterable[A],
        /,
        *,
        concurrency: int = 10,
        retry: RetryPolicy | None = None,
        **tolerance: Unpack[Tolerance],
    ) -> Awaitable[list[T | TerminalError]]: ...
    def map_run(
        self,
        name: str,
        action: Callable[[Any], object],
        inputs: Iterable[Any],
        /,
        *,
        concurrency: int = 10,
        retry: RetryPolicy | None = None,
        **tolerance: Unpack[Tolerance],
    ) -> Awaitable[list[Any]]:
        """``ctx.run`` once for each input, at most ``concurrency`` at once; else as :meth:`map`.

        The step of the input number 3 is named ``name[3]``. Each has two entries in the journal of this handler: for
        many thousands use :meth:`map`. When it stops, what runs is waited for, and what has not begun never begins.
        """
        machine = self._machine
        bodies = [Body(machine, f"{name}[{n}]", action, (each,)) for n, each in enumerate(_ordered(inputs))]
        if retry is not None:
            check_policy(retry)
        steps = Steps(machine, bodies, retry)
        return steps.results(_checked(concurrency), Goal.of(len(bodies), tolerance))


class Steps:
    """Runs that begin one after the other, as there is room for them."""

    def __init__(self, machine: Machine, bodies: list[Body], retry: RetryPolicy | None) -> None:
        self._machine, self._bodies, self._retry = machine, bodies, retry
        self._begun: list[int | str] = []
        self._window, self._running = Window(machine), 0

    async def results(self, concurrency: int, goal: Goal) -> list[Any]:
        tally = Tally()
        while not tally.stops(goal):
            while len(self._begun) < len(self._bodies) and self._running < concurrency:
                self._begin(self._bodies[len(self._begun)])
            if not self._running:
                break
            tally.count(failed=await self._ended())
        while self._running:
            await self._ended()
        outcomes: list[Outcome | None] = [self._machine.outcome(slot) for slot in self._begun]
        if tally.missed(goal):
            raise tally.error(goal, outcomes)
        outcomes += [None] * (len(self._bodies) - len(outcomes))
        return [_result(body.decode, each) for body, each in zip(self._bodies, outcomes, strict=True)]

    def _begin(self, body: Body) -> None:
        step = self._machine.run(body.name, body.act, self._retry)
        self._begun.append(step.slot)
        self._running += 1
        self._window.add(step)

    async def _ended(self) -> bool:
        """Whether the one that ended next failed."""
        slot = await self._window.next()
        self._running -= 1
        return isinstance(self._machine.outcome(slot), Failure)


def _ordered(inputs: Iterable[Any]) -> list[Any]:
    if _unordered(inputs):
        raise TypeError("a map was given a set, whose order a replay would not find again; write sorted(...)")
    if not _many(inputs):
        raise TypeError(f"a map is over many inputs, got {refused(inputs)}; write a list, also of one: [...]")
    return list(inputs)


def _many(inputs: object) -> bool:
    """A text can be iterated over, but nobody means its letters."""
    return isinstance(inputs, Iterable) and not isinstance(inputs, str | bytes | bytearray)


def _unordered(inputs: object) -> bool:
    """The views of a dict are sets, too, but have its order."""
    return isinstance(inputs, Set) and not isinstance(inputs, KeysView | ItemsView)


def _job(handler: Handler[..., object], concurrency: int, goal: Goal) -> Job:
    if not hasattr(handler, "outgoing"):
        raise not_a_handler(handler)
    if handler.idempotency_key is not None:
        raise ValueError(
            f"with the idempotency key {handler.idempotency_key!r} all calls of a map would be one; leave it out: "
            "on replay a map finds the calls that it made"
        )
    target = handler.target(None if handler.kind is Kind.SERVICE else "")
    flow = (handler.limit_key, handler.priority)
    return Job(target, dict(handler.headers), handler.attach, _checked(concurrency), goal, *flow)


def _items(handler: Handler[..., object], inputs: list[Any]) -> list[Item]:
    pairs = handler.kind is not Kind.SERVICE and handler.takes_input
    calls = (handler.outgoing(_pair(handler, each) if pairs else (each,), {}) for each in inputs)
    return [(call.target.key, call.payload) for call in calls]


def _is_tuple(given: object) -> TypeGuard[tuple[Any, ...]]:
    return isinstance(given, tuple)


def _pair(handler: Handler[..., object], given: Any) -> tuple[Any, ...]:
    if _is_tuple(given):
        return given
    raise TypeError(f"{handler} takes a key and an input; map it over pairs of both, not over {refused(given)}")


def _checked(concurrency: int) -> int:
    return check_count(concurrency, "concurrency", 1) or 1


def _result(decode: Callable[[bytes], object], outcome: Outcome | None) -> object:
    if outcome is None or isinstance(outcome, Failure):
        return (outcome or NOT_BEGUN).error()
    return decode(outcome.value or b"")
