"""``check_model``: answers of concurrent calls that no order of the model explains."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable import Context, ObjectContext, Service, State, VirtualObject, handler
from durable.testing import Crash, Interleaving, ModelError, Operation, check_model, crashes, interleavings


class Counter(VirtualObject):
    total = State(int, default=lambda: 0)

    @handler
    async def add(self, ctx: ObjectContext, amount: int) -> int:
        total = await ctx.get(self.total) + amount
        await ctx.run("look", str, total)
        ctx.set(self.total, total)
        return total


class Forgetful(VirtualObject, name="Counter"):
    @handler
    async def add(self, ctx: ObjectContext, amount: int) -> int:
        return amount


class Model:
    total = 0

    def add(self, amount: int) -> int:
        self.total += amount
        return self.total


def add(amount: int) -> Operation[Model]:
    return Operation(lambda model: model.add(amount), Counter.add, "k", amount)


@settings(max_examples=25, deadline=None)
@given(interleavings(st.builds(add, st.integers(1, 9))))
def test_an_object_answers_as_its_model(bursts: list[list[Operation[Model]]]):
    asyncio.run(check_model(bursts, Counter(), model=Model))


async def test_an_object_that_forgets_is_found():
    with pytest.raises(ModelError, match=r"Counter.add\('k', 2\) answered 2"):
        await check_model([[add(1)], [add(2), add(3)]], Forgetful(), model=Model)


class Last:
    """Answers nothing: only a later call can tell in which order the first ones came."""

    def __init__(self) -> None:
        self.value = 0

    def put(self, value: int) -> None:
        self.value = value


class Register(VirtualObject):
    value = State(int, default=lambda: 0)

    @handler
    async def put(self, ctx: ObjectContext, value: int) -> None:
        ctx.set(self.value, value)

    @handler
    async def read(self, ctx: ObjectContext) -> int:
        return await ctx.get(self.value)


async def test_a_later_call_may_tell_the_order_of_earlier_ones():
    def put(value: int) -> Operation[Last]:
        return Operation(lambda model: model.put(value), Register.put, "k", value)

    read = Operation[Last](lambda model: model.value, Register.read, "k")

    await check_model([[put(value) for value in range(5)], [read]], Register(), model=Last)


async def test_too_many_calls_at_once_are_refused():
    with pytest.raises(ValueError, match="at most 5"):
        await check_model([[add(1)] * 6], Counter(), model=Model)


@settings(max_examples=25, deadline=None)
@given(interleavings(st.builds(add, st.integers(1, 9))), crashes(), st.booleans())
def test_an_object_answers_as_its_model_whatever_crashes(
    bursts: list[list[Operation[Model]]], crashes: list[Crash], restarts: bool
):
    asyncio.run(check_model(bursts, Counter(), model=Model, crashes=crashes, restarts=restarts))


class Cached(VirtualObject, name="Counter"):
    """Trusts its memory, which is the process's."""

    def __init__(self) -> None:
        self.total = 0

    @handler
    async def add(self, ctx: ObjectContext, amount: int) -> int:
        self.total += amount
        await ctx.run("look", str, self.total)
        return self.total


BURSTS = [[add(1)], [add(2)]]


async def test_an_object_that_forgets_in_a_restart_is_found():
    await check_model(BURSTS, Cached, model=Model)

    with pytest.raises(ModelError, match=r"Counter.add\('k', 2\) answered 2"):
        await check_model(BURSTS, Cached, model=Model, restarts=True)


async def test_an_object_that_counts_twice_after_a_crash_is_found():
    with pytest.raises(ModelError, match=r"Counter.add\('k', 2\) answered 5"):
        await check_model(BURSTS, Cached(), model=Model, crashes=[Crash(4)])


@pytest.mark.parametrize("written", [False, True])
async def test_each_engine_dies_at_its_own_crash(written: bool):
    await check_model(
        [[add(1), add(2)], [add(3)]], Counter(), model=Model, crashes=[Crash(n, written) for n in (1, 2, 1)]
    )


class Slot(VirtualObject):
    value = State(str, default=str)

    @handler
    async def put(self, ctx: ObjectContext, value: str) -> str:
        last = await ctx.get(self.value)
        ctx.set(self.value, value)
        return last


class Racer(Service):
    """Goes wrong if the long way was faster."""

    def __init__(self) -> None:
        self.began: list[str] = []

    @handler
    async def long(self, ctx: Context, name: str) -> str:
        for number in range(3):
            await ctx.run(f"{name} {number}", self.note, name)
        return await ctx.call(Slot.put, "k", "long")

    @handler
    async def short(self, ctx: Context) -> str:
        last = await ctx.call(Slot.put, "k", "short")
        return "wrong" if last == "long" else last

    async def note(self, name: str) -> None:
        self.began.append(name)


class LastPut:
    value = ""

    def put(self, value: str) -> str:
        last, self.value = self.value, value
        return last


def long(name: str = "a") -> Operation[LastPut]:
    return Operation(lambda model: model.put("long"), Racer.long, name)


SHORT = Operation[LastPut](lambda model: model.put("short"), Racer.short)


def test_a_call_that_must_overtake_a_shorter_one_to_go_wrong_is_found():
    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(interleavings(st.sampled_from([long(), SHORT])).filter(lambda bursts: len(bursts) == 1))
    def property(bursts: list[list[Operation[LastPut]]]) -> None:
        asyncio.run(check_model(bursts, Slot(), Racer(), model=LastPut))

    with pytest.raises(ModelError, match=r"Racer.short\(\) answered 'wrong'"):
        property()


async def test_calls_without_a_delay_come_in_the_order_of_their_burst():
    await check_model(Interleaving([[long(), SHORT]]), Slot(), Racer(), model=LastPut)

    with pytest.raises(ModelError):
        await check_model(Interleaving([[long(), SHORT]], calls=(0, 30)), Slot(), Racer(), model=LastPut)


@pytest.mark.parametrize(("steps", "order"), [((), "ababab"), ((0, 10), "bababa"), ((0, 0, 10, 0, 0), "aaabbb")])
async def test_a_step_that_is_delayed_is_overtaken_the_same_way_each_time(steps: tuple[int, ...], order: str):
    for _ in range(2):
        racer = Racer()
        await check_model(Interleaving([[long("a"), long("b")]], steps=steps), Slot(), racer, model=LastPut)

        assert "".join(racer.began) == order
