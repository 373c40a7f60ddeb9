"""The shop with a crash before, and after, every commit it makes."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import anyio
import pytest

from durable import EngineStoppedError, TerminalError
from durable.testing import TestEngine
from examples.shop.domain import Order, PaymentReceipt
from examples.shop.services import DELIVERY_TIME, OrderFulfillmentWorkflow, UserSession
from tests.shop.world import World

ADD_ITEM = UserSession.add_item.options(identity="alice", idempotency_key="add")
PLACE_ORDER = UserSession.place_order.options(identity="alice")
ORDER = Order("o-1", "alice", "tx-1", ["laptop"])


async def shop(engine: TestEngine, world: World, *, approve: bool) -> object:
    """One order from the basket to its end, as clients that send again until they have an answer drive it."""
    await engine.call(ADD_ITEM, "alice", "laptop")
    checkout = engine.invocation(await engine.call(PLACE_ORDER, "alice", "o-1"))
    await engine.settle()
    await engine.awakeable(world.awakeables["o-1"]).resolve(PaymentReceipt("tx-1", success=True))
    await checkout.result()
    decide = OrderFulfillmentWorkflow.on_approve if approve else OrderFulfillmentWorkflow.on_reject
    await engine.call(decide, "o-1")
    await engine.skip(DELIVERY_TIME)
    run = await engine.send(OrderFulfillmentWorkflow.run, "o-1", ORDER)
    try:
        return await run.result()
    except TerminalError as error:
        return error.status


async def crash_and_go_on(crash_at: int, *, written: bool, approve: bool) -> tuple[World, object, object]:
    world = World()
    engine = TestEngine(*world.services(), crash_at=crash_at, written=written)
    async with engine:
        with suppress(EngineStoppedError, KeyError):
            await shop(engine, world, approve=approve)
    async with TestEngine(*world.services(), after=engine) as engine:
        await engine.settle()
        result = await shop(engine, world, approve=approve)
        basket = await engine.call(UserSession.show_basket.options(identity="alice"), "alice")
        return world, result, basket


def commits_of(*, approve: bool) -> int:
    async def count() -> int:
        world = World()
        async with TestEngine(*world.services()) as engine:
            await shop(engine, world, approve=approve)
            return engine.commits

    return anyio.run(count)


CRASHES = [
    pytest.param(crash_at, written, approve, id=f"{'approved' if approve else 'rejected'}-{crash_at}-{written}")
    for approve in (True, False)
    for crash_at in range(1, commits_of(approve=approve) + 1)
    for written in (False, True)
]


@pytest.mark.parametrize(("crash_at", "written", "approve"), CRASHES)
async def test_a_crash_at_a_commit_changes_nothing(crash_at: int, written: bool, approve: bool) -> None:
    world, result, basket = await crash_and_go_on(crash_at, written=written, approve=approve)

    tally = Counter(line.split()[0] for line in world.diary)
    assert getattr(result, "tracking_id", result) == ("TRACK-o-1" if approve else 400)
    assert basket == []
    # One of them may have been open when the crash came; a stable idempotency key makes the second one harmless.
    assert sum(tally.values()) <= 3
    assert set(tally) == {"ask", "book" if approve else "refund"}


def test_the_shop_makes_commits_to_crash_at() -> None:
    assert len(CRASHES) >= 20
