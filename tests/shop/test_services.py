"""The shop's services on an engine in memory: what an order does, step by step, with a clock that the test moves."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from durable import Invocation, TerminalError
from durable.handlers import Handler
from durable.testing import TestEngine
from examples.shop.domain import Order, PaymentReceipt, Shipment
from examples.shop.services import APPROVAL_WINDOW, DELIVERY_TIME, PAYMENT_WINDOW, OrderFulfillmentWorkflow, UserSession
from tests.shop.world import World

ADD_ITEM = UserSession.add_item.options(identity="alice")
SHOW_BASKET = UserSession.show_basket.options(identity="alice")
PLACE_ORDER = UserSession.place_order.options(identity="alice")
CHECKOUT = UserSession.checkout.options(identity="alice")
ORDER = Order("o-1", "alice", "tx-1", ["laptop"])


async def check_out(engine: TestEngine) -> Invocation[object]:
    await engine.call(ADD_ITEM, "alice", "laptop")
    return await place_order(engine, "o-1")


async def place_order(engine: TestEngine, order_id: str) -> Invocation[object]:
    """The checkout of a new order, as far as it gets."""
    checkout = engine.invocation(await engine.call(PLACE_ORDER, "alice", order_id))
    await engine.settle()
    return checkout


async def pay(engine: TestEngine, world: World, *, success: bool = True) -> None:
    await engine.awakeable(world.awakeables["o-1"]).resolve(PaymentReceipt("tx-1", success))
    await engine.settle()


async def fulfilment(engine: TestEngine) -> Invocation[Shipment]:
    """The run that came with the order: a workflow runs once per key, whoever asks."""
    return await engine.send(OrderFulfillmentWorkflow.run, "o-1", "another checkout")


async def failure(invocation: Invocation[object]) -> tuple[int, str]:
    with pytest.raises(TerminalError) as caught:
        await invocation.result()
    return caught.value.status, str(caught.value)


Decision = Handler[[str], None]
DECISIONS = [OrderFulfillmentWorkflow.on_approve, OrderFulfillmentWorkflow.on_reject]


async def decision(engine: TestEngine, decide: Decision, order_id: str) -> tuple[int, str]:
    """How a decision is refused."""
    return await failure(await engine.send(decide, order_id))


async def test_a_paid_and_approved_order_is_shipped_once():
    world = World()
    async with TestEngine(*world.services()) as engine:
        checkout = await check_out(engine)
        await pay(engine, world)
        await engine.call(OrderFulfillmentWorkflow.on_approve, "o-1")
        await engine.skip(DELIVERY_TIME)

        assert await checkout.result() == msgspec.to_builtins(ORDER)
        assert await (await fulfilment(engine)).result() == Shipment("TRACK-o-1")
        assert world.diary == ["ask o-1", "book o-1"]


async def test_the_parcel_is_under_way_for_the_delivery_time():
    world = World()
    async with TestEngine(*world.services()) as engine:
        await check_out(engine)
        await pay(engine, world)
        await engine.call(OrderFulfillmentWorkflow.on_approve, "o-1")
        run = await fulfilment(engine)

        await engine.skip(DELIVERY_TIME - timedelta(milliseconds=1))
        early = await run.status()
        await engine.skip(timedelta(milliseconds=1))

        assert early != "completed"
        assert await run.status() == "completed"


async def test_the_basket_counts_keeps_order_and_is_empty_after_payment():
    world = World()
    async with TestEngine(*world.services()) as engine:
        counts = [await engine.call(ADD_ITEM, "alice", item) for item in ("laptop", "mouse", "laptop")]
        before = await engine.call(SHOW_BASKET, "alice")
        await place_order(engine, "o-1")
        await pay(engine, world)

        assert counts == [1, 2, 3]
        assert before == ["laptop", "mouse", "laptop"]
        assert await engine.call(SHOW_BASKET, "alice") == []


async def test_the_basket_can_be_seen_while_a_checkout_waits():
    world = World()
    async with TestEngine(*world.services()) as engine:
        await check_out(engine)

        assert await engine.call(SHOW_BASKET, "alice") == ["laptop"]


async def test_an_item_added_during_a_checkout_waits_for_it_and_survives_it():
    world = World()
    async with TestEngine(*world.services()) as engine:
        await check_out(engine)
        added = await engine.send(ADD_ITEM, "alice", "mouse")
        await engine.settle()
        waiting = await added.status()
        await pay(engine, world)

        assert waiting == "pending"
        assert await added.result() == 1
        assert await engine.call(SHOW_BASKET, "alice") == ["mouse"]


async def test_an_empty_basket_cannot_be_checked_out():
    world = World()
    async with TestEngine(*world.services()) as engine:
        attempt = await engine.send(PLACE_ORDER, "alice", "o-1")

        assert await failure(attempt) == (409, "the basket is empty: add an item first")
        assert world.diary == []


async def test_an_order_whose_basket_another_one_took_is_closed():
    world = World()
    async with TestEngine(*world.services()) as engine:
        await check_out(engine)
        late = await place_order(engine, "o-2")
        await pay(engine, world)

        assert await failure(late) == (409, "the basket is empty: add an item first")
        assert await decision(engine, OrderFulfillmentWorkflow.on_approve, "o-2") == (409, "the order is closed")
        assert world.diary == ["ask o-1"]


async def test_a_declined_payment_is_402_and_leaves_the_basket():
    world = World()
    async with TestEngine(*world.services()) as engine:
        checkout = await check_out(engine)
        await pay(engine, world, success=False)

        assert await failure(checkout) == (402, "payment declined")
        assert await failure(await fulfilment(engine)) == (402, "payment declined")
        assert await engine.call(SHOW_BASKET, "alice") == ["laptop"]
        assert world.diary == ["ask o-1"]


async def test_a_payment_that_never_comes_is_408_and_frees_the_basket():
    world = World()
    async with TestEngine(*world.services()) as engine:
        checkout = await check_out(engine)
        await engine.skip(PAYMENT_WINDOW)

        assert (await failure(checkout))[0] == 408
        assert (await failure(await fulfilment(engine)))[0] == 408
        assert await engine.call(ADD_ITEM, "alice", "mouse") == 2


async def test_a_rejected_order_is_refunded_and_never_shipped():
    world = World()
    async with TestEngine(*world.services()) as engine:
        await check_out(engine)
        await pay(engine, world)
        await engine.call(OrderFulfillmentWorkflow.on_reject, "o-1")

        assert await failure(await fulfilment(engine)) == (400, "order rejected")
        assert world.diary == ["ask o-1", "refund tx-1"]


async def test_an_order_that_nobody_approves_is_refunded():
    world = World()
    async with TestEngine(*world.services()) as engine:
        await check_out(engine)
        await pay(engine, world)
        await engine.skip(APPROVAL_WINDOW)

        assert (await failure(await fulfilment(engine)))[0] == 408
        assert world.diary == ["ask o-1", "refund tx-1"]


async def test_an_order_approved_before_it_was_paid_ships_at_once():
    world = World()
    async with TestEngine(*world.services()) as engine:
        await check_out(engine)
        await engine.call(OrderFulfillmentWorkflow.on_approve, "o-1")
        await pay(engine, world)

        assert world.diary == ["ask o-1", "book o-1"]


async def test_an_order_can_be_approved_while_its_checkout_waits_for_its_turn():
    world = World()
    async with TestEngine(*world.services()) as engine:
        await check_out(engine)
        await place_order(engine, "o-2")

        await engine.call(OrderFulfillmentWorkflow.on_approve, "o-2")

        assert world.diary == ["ask o-1"]


@pytest.mark.parametrize("decide", DECISIONS)
async def test_nobody_decides_about_an_order_that_does_not_exist(decide: Decision):
    async with TestEngine(*World().services()) as engine:
        assert await decision(engine, decide, "o-9") == (404, "there is no order 'o-9'")


@pytest.mark.parametrize("decide", DECISIONS)
async def test_nobody_decides_about_an_order_that_was_not_paid(decide: Decision):
    world = World()
    async with TestEngine(*world.services()) as engine:
        await check_out(engine)
        await pay(engine, world, success=False)

        assert await decision(engine, decide, "o-1") == (409, "the order is closed")


@pytest.mark.parametrize("decide", DECISIONS)
async def test_nobody_decides_about_an_order_that_was_given_up(decide: Decision):
    world = World()
    async with TestEngine(*world.services()) as engine:
        await check_out(engine)
        await pay(engine, world)
        await engine.skip(APPROVAL_WINDOW)

        assert await decision(engine, decide, "o-1") == (409, "the order is closed")


async def test_a_decision_is_final_and_can_be_said_again():
    world = World()
    async with TestEngine(*world.services()) as engine:
        await check_out(engine)

        for _ in range(2):
            await engine.call(OrderFulfillmentWorkflow.on_approve, "o-1")
        rejection = await decision(engine, OrderFulfillmentWorkflow.on_reject, "o-1")

        assert rejection == (409, "the order is already approved")


async def test_a_carrier_that_keeps_failing_is_cancelled_first_and_refunded_last():
    world = World(strike=True)
    async with TestEngine(*world.services()) as engine:
        await check_out(engine)
        await pay(engine, world)
        await engine.call(OrderFulfillmentWorkflow.on_approve, "o-1")
        await engine.skip(timedelta(minutes=1))

        status, message = await failure(await fulfilment(engine))
        assert status == 500
        assert "the carrier is on strike" in message
        assert world.diary == ["ask o-1", *["book o-1"] * 5, "recall o-1", "refund tx-1"]


async def test_an_order_cancelled_on_its_way_is_recalled_and_refunded():
    world = World()
    async with TestEngine(*world.services()) as engine:
        await check_out(engine)
        await pay(engine, world)
        await engine.call(OrderFulfillmentWorkflow.on_approve, "o-1")
        run = await fulfilment(engine)

        await run.cancel()
        await engine.settle()

        assert (await failure(run))[0] == 409
        assert world.diary == ["ask o-1", "book o-1", "recall o-1", "refund tx-1"]


async def test_an_order_cancelled_before_it_is_paid_cannot_be_paid_any_more():
    world = World()
    async with TestEngine(*world.services()) as engine:
        checkout = await check_out(engine)
        run = await fulfilment(engine)

        await run.cancel()
        await engine.settle()

        assert [await each.status() for each in (checkout, run)] == ["completed"] * 2
        assert [await failure(each) for each in (checkout, run)] == [(409, "cancelled")] * 2
        assert await decision(engine, OrderFulfillmentWorkflow.on_approve, "o-1") == (409, "the order is closed")
        assert await engine.call(SHOW_BASKET, "alice") == ["laptop"]
        assert world.diary == ["ask o-1"]


async def test_an_order_cancelled_too_late_to_stop_its_payment_is_cancelled_again():
    world = World()
    async with TestEngine(*world.services()) as engine:
        checkout = await check_out(engine)
        run = await fulfilment(engine)

        await engine.awakeable(world.awakeables["o-1"]).resolve(PaymentReceipt("tx-1", True))
        await run.cancel()
        await checkout.result()
        await engine.settle()
        await run.cancel()
        await engine.settle()

        assert (await failure(run))[0] == 409
        assert world.diary == ["ask o-1", "refund tx-1"]


@pytest.mark.parametrize("identity", ["mallory", "", None])
async def test_nobody_else_reaches_a_basket(identity: str | None):
    world = World()
    async with TestEngine(*world.services()) as engine:
        await engine.call(ADD_ITEM, "alice", "laptop")

        attempts = [
            await engine.send(UserSession.add_item.options(identity=identity), "alice", "virus"),
            await engine.send(UserSession.show_basket.options(identity=identity), "alice"),
            await engine.send(UserSession.place_order.options(identity=identity), "alice", "o-1"),
            await engine.send(UserSession.checkout.options(identity=identity), "alice", "o-1"),
        ]

        assert [await failure(attempt) for attempt in attempts] == [(403, "access denied")] * 4
        assert await engine.call(SHOW_BASKET, "alice") == ["laptop"]


async def test_an_order_placed_again_is_one_checkout_also_when_the_basket_is_empty_by_then():
    world = World()
    async with TestEngine(*world.services()) as engine:
        first = await check_out(engine)
        early = await place_order(engine, "o-1")
        await pay(engine, world)
        late = await place_order(engine, "o-1")

        assert first.id == early.id == late.id
        assert world.diary == ["ask o-1"]


async def test_an_order_is_remembered_with_its_checkout_when_both_are_over():
    world = World()
    async with TestEngine(*world.services()) as engine:
        first = await check_out(engine)
        await pay(engine, world)
        await engine.skip(timedelta(days=3))
        again = await place_order(engine, "o-1")

        assert (again.id, await again.result()) == (first.id, msgspec.to_builtins(ORDER))


async def test_an_item_added_twice_with_one_key_is_one_item():
    world = World()
    async with TestEngine(*world.services()) as engine:
        keyed = UserSession.add_item.options(identity="alice", idempotency_key="k")

        counts = [await engine.call(keyed, "alice", "laptop") for _ in range(2)]

        assert counts == [1, 1]
        assert await engine.call(SHOW_BASKET, "alice") == ["laptop"]
