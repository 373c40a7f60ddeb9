"""Whatever comes, leaves and crashes when: each input is in one batch, in order, in time, and none is too large."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Literal, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from durable import Batch, Context, Invocation, Service, handler
from durable.runtime.writer import LINGER_MS
from durable.testing import TestEngine
from tests.examples import examples

SIZE = 3
WITHIN_MS = 1000


class Send(NamedTuple):
    """That many: at once, or each when the one before it was accepted."""

    count: int
    at_once: bool


class Skip(NamedTuple):
    ms: int


class Leave(NamedTuple):
    which: int
    verb: Literal["kill", "cancel"]


class Crash(NamedTuple):
    pass


Event = Send | Skip | Leave | Crash

EVENTS = st.lists(
    st.one_of(
        st.builds(Send, st.integers(1, 5), st.booleans()),
        st.builds(Skip, st.sampled_from([1, 400, 999, 1000, 2500])),
        st.builds(Leave, st.integers(0, 20), st.sampled_from(["kill", "cancel"])),
        st.builds(Crash),
    ),
    max_size=12,
)


class Outside:
    """What the batches did, seen from outside: by the invocation that ran one, in order."""

    def __init__(self) -> None:
        self.batches: dict[str, list[int]] = {}

    async def do(self, id: str, numbers: list[int]) -> None:
        assert self.batches.setdefault(id, numbers) == numbers


class Doer(Service):
    def __init__(self, outside: Outside) -> None:
        self.outside = outside

    @handler(batch=Batch(SIZE, within=timedelta(milliseconds=WITHIN_MS)))
    async def do(self, ctx: Context, numbers: list[int]) -> list[int]:
        await ctx.run("do", self.outside.do, ctx.invocation_id, numbers)
        return [-number for number in numbers]


class History:
    def __init__(self) -> None:
        self.outside = Outside()
        self.engine = TestEngine(Doer(self.outside))
        self.calls: list[Invocation[int]] = []
        self.accepted_ms: list[int] = []
        self.left_early: set[int] = set()
        self.left: set[int] = set()

    async def play(self, events: list[Event]) -> None:
        await self.engine.__aenter__()
        for event in events:
            await self._one(event)
            await self.engine.settle()
            self._check()
        await self.engine.skip(timedelta(milliseconds=2 * WITHIN_MS))
        await self._check_end()
        await self.engine.__aexit__()

    async def _one(self, event: Event) -> None:
        match event:
            case Send(count, at_once):
                first = len(self.calls)
                sends = [self.engine.send(Doer.do, number) for number in range(first, first + count)]
                self.calls += await asyncio.gather(*sends) if at_once else [await send for send in sends]
                self.accepted_ms += [self.engine.clock.now_ms()] * count
            case Skip(ms):
                await self.engine.skip(timedelta(milliseconds=ms))
            case Leave(which, verb) if which < len(self.calls) and await self.calls[which].status() != "completed":
                if which not in self._given():
                    self.left_early.add(which)
                self.left.add(which)
                await getattr(self.calls[which], verb)()
            case Crash():
                await self._crash()
            case _:
                pass

    async def _crash(self) -> None:
        self._forget_joins()
        self.engine._open.kernel.writer.fail(OSError("power is gone"))
        await self.engine.__aexit__()
        self.engine = TestEngine(Doer(self.outside), after=self.engine)
        await self.engine.__aenter__()
        self.calls = [Invocation(self.engine.door, call.id, Doer.do.decode_output) for call in self.calls]

    def _forget_joins(self) -> None:
        """That an input joined a batch is written a little later than its acceptance: the next engine decides anew."""
        now_ms = self.engine.clock.now_ms()
        fresh = (number for number, at_ms in enumerate(self.accepted_ms) if now_ms - at_ms < LINGER_MS)
        for number in fresh:
            self.accepted_ms[number] = now_ms

    def _given(self) -> list[int]:
        return [number for batch in self.outside.batches.values() for number in batch]

    def _check(self) -> None:
        given = self._given()
        assert all(1 <= len(batch) <= SIZE for batch in self.outside.batches.values())
        assert given == sorted(set(given))  # each once, and in the order in which they were accepted
        assert not self.left_early & set(given)
        waiting = set(range(len(self.calls))) - set(given) - self.left
        assert len(waiting) < SIZE
        now_ms = self.engine.clock.now_ms()
        assert all(now_ms - self.accepted_ms[number] < WITHIN_MS for number in waiting)

    async def _check_end(self) -> None:
        self._check()
        for number, call in enumerate(self.calls):
            assert await call.status() == "completed"
            if number not in self.left:
                assert await call.result() == -number
        assert (await self.engine.audit()).findings == ()


@settings(deadline=None, max_examples=examples(150))
@given(EVENTS)
def test_every_input_is_in_one_batch_in_order_and_in_time(events: list[Event]) -> None:
    asyncio.run(History().play(events))
