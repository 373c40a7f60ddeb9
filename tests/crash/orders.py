"""Work whose loss, repetition or half would show: orders that are booked in two places."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random

import msgspec

from durable import Context, Engine, ObjectContext, ObjectSharedContext, Options, Service, State, VirtualObject, handler
from durable.errors import DiskFullError, InvocationNotFoundError
from durable.options import Durability

Say = Callable[..., None]
"""Told what was begun and what was acknowledged, in order."""

KEYS = ("east", "west")
MOMENT = timedelta(milliseconds=1)


class Order(msgspec.Struct, frozen=True):
    number: int
    padding: str


class Depot(VirtualObject):
    taken = State(list[int], default=list[int])

    @handler
    async def take(self, ctx: ObjectContext, order: int) -> int:
        """Returns how many were taken with it."""
        taken = await ctx.get(self.taken)
        ctx.set(self.taken, [*taken, order])
        return len(taken) + 1

    @handler
    async def all(self, ctx: ObjectSharedContext) -> list[int]:
        return await ctx.get(self.taken)


class Orders(Service):
    """Each order takes from one depot by a call and from the other by a send, between steps."""

    def __init__(self, say: Say) -> None:
        self._say = say

    @handler
    async def place(self, ctx: Context, placed: Order) -> list[object]:
        order = placed.number
        first = await ctx.run("pay", self._step, order, "pay")
        place = await ctx.call(Depot.take, KEYS[order % 2], order)
        ctx.send(Depot.take, KEYS[1 - order % 2], order)
        await ctx.sleep(MOMENT)
        second = await ctx.run("ship", self._step, order, "ship")
        return [order, first, place, second]

    @handler(retention=timedelta(0))
    async def forget(self, ctx: Context, padding: str) -> None:
        """Leaves room behind when it is purged."""

    async def _step(self, order: int, step: str) -> str:
        self._say("step", order, step)
        await asyncio.sleep(0)
        return f"{step} {order}"


def engine(path: Path, say: Say, durability: Durability = "power") -> Engine:
    return Engine(
        path, Depot(), Orders(say), options=Options(durability=durability, cleanup=timedelta(milliseconds=20))
    )


def placed(order: int) -> Order:
    return Order(order, "x" * (order * 997 % 9000))


async def order_some(engine: Engine, orders: range, random: Random, say: Say) -> None:
    """Several at once: each is called or sent, and what comes back is acknowledged."""

    async def order_one(order: int) -> None:
        await asyncio.sleep(random.random() / 50)
        place = Orders.place.options(idempotency_key=f"order {order}")
        if random.random() < 0.5:
            say("result", order, await engine.call(place, placed(order)))
        else:
            await engine.send(place, placed(order))
            say("accepted", order)
        if order % 5 == 0:
            await engine.send(Orders.forget, "y" * 20_000)

    await asyncio.gather(*map(order_one, orders))


async def order_until_accepted(engine: Engine, orders: range, random: Random, say: Say) -> None:
    """Each alone, and again while the disk is full."""
    for order in orders:
        while True:
            try:
                await order_some(engine, range(order, order + 1), random, say)
                break
            except DiskFullError:
                await asyncio.sleep(0.002)


class Lost(AssertionError):
    """What was promised, and did not hold."""


async def check(path: Path, history: Sequence[tuple[object, ...]], orders: range) -> None:
    """Open the database as it was left, go on, and compare with what was said before it was left."""
    again: list[tuple[object, ...]] = []
    async with engine(path, lambda *text: again.append(text)) as opened:
        for order in (order for what, order, *_ in history if what == "accepted"):
            await _must_be_there(opened, order)
        results = {order: await _place(opened, order) for order in orders}
        taken = {key: await _settled(opened, key, len(orders)) for key in KEYS}
    _verify(history, again, results, taken)
    with closing(sqlite3.connect(path)) as connection:
        _same(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity_check")
        for query in _ORPHANS:
            _same(connection.execute(query).fetchall(), [], query)


_ORPHANS = (
    "SELECT n FROM journal WHERE n NOT IN (SELECT n FROM invocation)",
    "SELECT n FROM timer WHERE n NOT IN (SELECT n FROM invocation)",
    "SELECT id FROM invocation WHERE status <> 'completed'",
)


async def _must_be_there(opened: Engine, order: object) -> None:
    try:
        await (await opened.lookup(Orders.place.options(idempotency_key=f"order {order}"))).status()
    except InvocationNotFoundError as error:
        raise Lost(f"order {order} was accepted and is gone") from error


async def _place(opened: Engine, order: int) -> list[object]:
    return await opened.call(Orders.place.options(idempotency_key=f"order {order}"), placed(order))


async def _settled(opened: Engine, key: str, count: int) -> list[int]:
    """What a depot took, once that is all; a send that was lost is waited for in vain."""
    for _ in range(1000):
        taken = await opened.call(Depot.all, key)
        if len(taken) >= count:
            return taken
        await asyncio.sleep(0.005)
    raise Lost(f"{key} took {taken} of {count} orders")


def _verify(
    history: Sequence[tuple[object, ...]],
    again: Sequence[tuple[object, ...]],
    results: Mapping[int, list[object]],
    taken: Mapping[str, list[int]],
) -> None:
    for key, orders in taken.items():
        _same(sorted(orders), sorted(results), f"taken by {key}")
    for order, result in results.items():
        _same(result, [order, f"pay {order}", taken[KEYS[order % 2]].index(order) + 1, f"ship {order}"], "a result")
    for what, order, *rest in history:
        if what == "result":
            assert isinstance(order, int)
            _same(results[order], rest[0], f"the result of order {order} that was acknowledged")
            _same([step for step in again if step[1] == order], [], "steps of what was completed")
        if what == "step" and rest == ["ship"] and ("step", order, "pay") in again:
            raise Lost(f"the step 'pay' of order {order} was recorded, and ran again")
    _same(len(again), len(set(again)), "steps of a recovery")


def _same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise Lost(f"{what}: {found!r} instead of {expected!r}")
