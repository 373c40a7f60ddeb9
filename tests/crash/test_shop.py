"""The shop with a crash before, and after, every commit it makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

import anyio
import pytest

from durable import EngineStoppedError, TerminalError
from durable.testing import TestEngine
from examples.shop.domain import PaymentReceipt
from examples.shop.services import APPROVAL_WINDOW, OrderFulfillmentWorkflow, UserSession
from tests.shop.world import World

ADD_ITEM = UserSession.add_item.options(identity="alice", idempotency_key="add")
PLACE_ORDER = UserSession.place_order.options(identity="alice")


class Course(NamedTuple):
    """What becomes of an order, and what the outside world is asked for."""

    result: object
    """A tracking id, or the status of a failure."""
    asked: set[str]
    basket: Sequence[str] | None = ()
    """``None``: days have passed, and whoever adds the item again adds another."""
    paid: bool = True
    approved: bool | None = True
    strike: bool = False
    """Of the carrier, which then fails each time."""


COURSES = {
    "approved": Course("TRACK-o-1", {"ask", "book"}),
    "rejected": Course(400, {"ask", "refund"}, approved=False),
    "declined": Course(402, {"ask"}, basket=("laptop",), paid=False),
    "forgotten": Course(408, {"ask", "refund"}, basket=None, approved=None),
    "on strike": Course(500, {"ask", "book", "recall", "refund"}, strike=True),
}


async def shop(engine: TestEngine, world: World, course: Course) -> object:
    """One order from the basket to its end, as clients that send again until they have an answer drive it."""
    await engine.call(ADD_ITEM, "alice", "laptop")
    checkout = engine.invocation(await engine.call(PLACE_ORDER, "alice", "o-1"))
    await engine.settle()
    await engine.awakeable(world.awakeables["o-1"]).resolve(PaymentReceipt("tx-1", success=course.paid))
    try:
        await checkout.result()
        return await fulfilled(engine, course)
    except TerminalError as error:
        return error.status


async def fulfilled(engine: TestEngine, course: Course) -> object:
    if course.approved is not None:
        decide = OrderFulfillmentWorkflow.on_approve if course.approved else OrderFulfillmentWorkflow.on_reject
        await engine.call(decide, "o-1")
    await engine.skip(APPROVAL_WINDOW if course.approved is None else timedelta(minutes=1))
    run = await engine.send(OrderFulfillmentWorkflow.run, "o-1", "another checkout")
    return (await run.result()).tracking_id


async def crash_and_go_on(course: Course, crash_at: int, *, written: bool) -> tuple[World, object, object]:
    world = World(strike=course.strike)
    engine = TestEngine(*world.services(), crash_at=crash_at, written=written)
    async with engine:
        with suppress(EngineStoppedError, KeyError):
            await shop(engine, world, course)
    assert (await engine.audit()).findings == ()
    async with TestEngine(*world.services(), after=engine) as engine:
        await engine.settle()
        result = await shop(engine, world, course)
        basket = await engine.call(UserSession.show_basket.options(identity="alice"), "alice")
        await engine.settle()
    assert (await engine.audit()).findings == ()
    return world, result, basket


def commits_of(course: Course) -> int:
    async def count() -> int:
        world = World(strike=course.strike)
        async with TestEngine(*world.services()) as engine:
            assert await shop(engine, world, course) == course.result
            return engine.commits

    return anyio.run(count)


CRASHES = [
    pytest.param(course, crash_at, written, id=f"{name}-{crash_at}-{'after' if written else 'before'}")
    for name, course in COURSES.items()
    for crash_at in range(1, commits_of(course) + 1)
    for written in (False, True)
]


@pytest.mark.parametrize(("course", "crash_at", "written"), CRASHES)
async def test_a_crash_at_a_commit_changes_nothing(course: Course, crash_at: int, written: bool) -> None:
    world, result, basket = await crash_and_go_on(course, crash_at, written=written)

    tally = Counter(line.split()[0] for line in world.diary)
    tally["book"] -= 4 if course.strike else 0  # the tries of a step that fails are no crash's
    assert (result, basket) == (course.result, basket if course.basket is None else list(course.basket))
    # One step may have been open when the crash came; a stable idempotency key makes the second one harmless. The count
    # of tries begins anew with the attempt.
    assert sum(tally.values()) <= len(course.asked) + (5 if course.strike else 1)
    assert {what for what, count in tally.items() if count} == course.asked
    order = [line.split()[0] for line in world.diary]
    assert order.index("recall") < order.index("refund") if course.strike else True


def test_the_shop_makes_commits_to_crash_at() -> None:
    assert len(CRASHES) >= 50
