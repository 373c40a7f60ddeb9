"""Concurrent calls against a plain Python model: is there an order in which the model gives the same answers?

Also when the engine dies in between, and its callers ask again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from importlib import import_module
from itertools import permutations
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar

from durable.errors import TerminalError
from durable.handlers import Handler
from durable.service import AnyService
from durable.testing.crash import Crash
from durable.testing.engine import TestEngine
from durable.testing.hops import Hops
from durable.testing.lives import Lives

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

M = TypeVar("M")
P = ParamSpec("P")

MOST = 5
"""Calls at once: 120 orders to try."""
STEP_DELAYS = (0, 1, 3, 10)
"""Turns of the event loop. A step and its commit take about five by themselves."""
CALL_DELAYS = (*STEP_DELAYS, 30, 100)
"""So that a call of many steps, delayed ones too, may end before another one of its burst begins."""


class Operation(Generic[M]):
    """A call, and what it is to the model: a result, or a ``TerminalError`` with its status."""

    def __init__(
        self, expected: Callable[[M], object], handler: Handler[P, object], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        self.expected = expected
        self._name = f"{handler}{(*args, *kwargs.values())!r}"

        async def call(engine: TestEngine, key: str | None) -> object:
            asked = handler.options(idempotency_key=key) if handler.idempotency_key is None else handler
            return await engine.call(asked, *args, **kwargs)

        self._call = call

    async def on_engine(self, engine: TestEngine, idempotency_key: str | None = None) -> object:
        try:
            return await self._call(engine, idempotency_key)
        except TerminalError as error:
            return f"failed with status {error.status}"

    def on_model(self, model: M) -> object:
        try:
            return self.expected(model)
        except TerminalError as error:
            return f"failed with status {error.status}"

    def __repr__(self) -> str:
        return self._name


class ModelError(AssertionError):
    """No order of calls that ran at once explains their answers."""


class Interleaving(list[list[Operation[M]]]):
    """Bursts of calls that run at once, and how they interleave: in turns of the event loop.

    Each call waits for the next of ``calls`` before it is made, each step and each commit for the next of ``steps``;
    after the last of them comes the first again.
    """

    def __init__(
        self, bursts: Iterable[list[Operation[M]]], calls: Sequence[int] = (), steps: Sequence[int] = ()
    ) -> None:
        super().__init__(bursts)
        self.calls, self.steps = tuple(calls), tuple(steps)

    def __repr__(self) -> str:
        return f"Interleaving({super().__repr__()}, calls={self.calls}, steps={self.steps})"


def interleavings(operations: SearchStrategy[Operation[M]], /) -> SearchStrategy[list[list[Operation[M]]]]:
    """Bursts of calls that run at once, one burst after the other, and who overtakes whom. Needs Hypothesis."""
    strategies = import_module("hypothesis.strategies")
    bursts = strategies.lists(strategies.lists(operations, min_size=1, max_size=MOST), min_size=1, max_size=5)
    calls = strategies.lists(strategies.sampled_from(CALL_DELAYS), max_size=MOST)
    steps = strategies.lists(strategies.sampled_from(STEP_DELAYS), max_size=10)
    found: SearchStrategy[list[list[Operation[M]]]] = strategies.builds(Interleaving, bursts, calls, steps)
    return found


def crashes() -> SearchStrategy[list[Crash]]:
    """One for each engine, and none for those that are opened after them. Needs Hypothesis."""
    strategies = import_module("hypothesis.strategies")
    crash = strategies.builds(Crash, strategies.integers(1, 20), strategies.booleans())
    found: SearchStrategy[list[Crash]] = strategies.lists(crash, max_size=5)
    return found


async def check_model(
    bursts: Sequence[Sequence[Operation[M]]],
    /,
    *services: AnyService | Callable[[], AnyService],
    model: Callable[[], M],
    crashes: Sequence[Crash] = (),
    restarts: bool = False,
) -> None:
    """Play ``bursts`` on a new engine; :class:`ModelError` if what they answered is no order of the model's.

    The first engine dies at the first of ``crashes``, the next one at the second: calls that had no answer are made
    again, with idempotency keys. With ``restarts`` the engine is closed and opened again after each burst. Of a service
    that is a class each engine has an instance of its own, as each process has.
    """
    states = [model()]
    async with Lives(services, crashes, *_hops(bursts)) as lives:
        for burst in bursts:
            if len(burst) > MOST:
                raise ValueError(f"{len(burst)} calls at once have too many orders to try; at most {MOST} are possible")
            answers = await lives.play([operation.on_engine for operation in burst])
            states = _explained(states, burst, answers)
            if not states:
                said = "".join(f"\n  {call!r} answered {answer!r}" for call, answer in zip(burst, answers, strict=True))
                raise ModelError(f"no order of these calls, which ran at once, gives the model's answers:{said}")
            if restarts:
                await lives.restart()


def _hops(bursts: object) -> tuple[Hops, Hops]:
    return (Hops(bursts.calls), Hops(bursts.steps)) if isinstance(bursts, Interleaving) else (Hops(), Hops())


def _explained(states: Sequence[M], burst: Sequence[Operation[M]], answers: Sequence[object]) -> list[M]:
    """Every state that an order which gives the answers leads to: a later burst tells which it was."""
    found: list[M] = []
    for state in states:
        for order in permutations(range(len(burst))):
            after = deepcopy(state)
            explains = all(burst[number].on_model(after) == answers[number] for number in order)
            if explains and not any(_same(after, other) for other in found):
                found.append(after)
    return found


def _same(one: object, other: object) -> bool:
    """Plain classes have no equality of their own."""
    return one == other or getattr(one, "__dict__", one) == getattr(other, "__dict__", other)
