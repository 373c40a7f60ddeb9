"""The shop's handlers under the kit that its readers have: a crash at every commit, and the outside counts."""

from __future__ import annotations

from datetime import timedelta

from durable.testing import Scene, crash_everywhere
from examples.shop.domain import PaymentReceipt
from examples.shop.services import OrderFulfillmentWorkflow, UserSession
from tests.shop.world import World

ADD_ITEM = UserSession.add_item.options(identity="alice", idempotency_key="add")
PLACE_ORDER = UserSession.place_order.options(identity="alice", idempotency_key="place")


class CountedWorld(World):
    """Like the real gateway and carrier it takes two requests with one key for one."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene

    async def request_payment(self, order_id: str, awakeable_id: str) -> None:
        self.scene.effect("payment", key=order_id)
        await super().request_payment(order_id, awakeable_id)

    async def refund(self, transaction_id: str) -> None:
        self.scene.effect("refund", key=transaction_id)

    async def book(self, order_id: str) -> str:
        self.scene.effect("shipment", key=order_id)
        return await super().book(order_id)


async def test_an_order_is_paid_and_shipped_once_whatever_crashes():
    async def order(scene: Scene) -> str:
        world = scene.outside(lambda: CountedWorld(scene))
        async with scene.engine(*world.services()) as engine:
            await engine.call(ADD_ITEM, "alice", "laptop")
            checkout = engine.invocation(await engine.call(PLACE_ORDER, "alice", "o-1"))
            await engine.settle()
            await engine.awakeable(world.awakeables["o-1"]).resolve(PaymentReceipt("tx-1", success=True))
            await checkout.result()
            await engine.call(OrderFulfillmentWorkflow.on_approve, "o-1")
            await engine.skip(timedelta(minutes=1))
            return (await (await engine.lookup(OrderFulfillmentWorkflow.run, "o-1")).result()).tracking_id

    assert await crash_everywhere(order) >= 10


async def test_a_rejected_order_is_refunded_once_whatever_crashes():
    async def order(scene: Scene) -> str:
        world = scene.outside(lambda: CountedWorld(scene))
        async with scene.engine(*world.services()) as engine:
            await engine.call(ADD_ITEM, "alice", "laptop")
            await engine.call(PLACE_ORDER, "alice", "o-1")
            await engine.settle()
            await engine.awakeable(world.awakeables["o-1"]).resolve(PaymentReceipt("tx-1", success=True))
            await engine.settle()
            await engine.call(OrderFulfillmentWorkflow.on_reject, "o-1")
            await engine.settle()
            return await (await engine.lookup(OrderFulfillmentWorkflow.run, "o-1")).status()

    assert await crash_everywhere(order) >= 10
