"""Basket, checkout, approval, shipping: the shop as three durable services. Nothing here touches the network."""

from __future__ import annotations

from datetime import timedelta

from durable import (
    Context,
    ObjectContext,
    ObjectSharedContext,
    Promise,
    RetryPolicy,
    Saga,
    Service,
    State,
    TerminalError,
    VirtualObject,
    Workflow,
    WorkflowContext,
    WorkflowSharedContext,
    handler,
)
from examples.shop.domain import Carrier, Order, PaymentGateway, PaymentReceipt, Shipment

PAYMENT_WINDOW = timedelta(minutes=15)
APPROVAL_WINDOW = timedelta(days=2)
DELIVERY_TIME = timedelta(seconds=5)


class ShippingService(Service):
    """Talks to the carrier. Private: an order ships because it was paid, not because somebody knows a URL."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier

    @handler(name="InitiateShipment", private=True)
    async def initiate_shipment(self, ctx: Context, order: Order) -> Shipment:
        # Five attempts are a second; then the order is refunded rather than kept waiting.
        tracking_id = await ctx.run(
            "book carrier", self.carrier.book, order.order_id, retry=RetryPolicy(max_attempts=5)
        )
        return Shipment(tracking_id)

    @handler(name="CancelShipment", private=True)
    async def cancel_shipment(self, ctx: Context, order_id: str) -> None:
        await ctx.run("recall parcel", self.carrier.recall, order_id)


class UserSession(VirtualObject):
    """A shopper's basket: one per user, one writer at a time. Only its user may touch it."""

    basket = State(list[str], default=list)

    def __init__(self, gateway: PaymentGateway) -> None:
        self.gateway = gateway

    @handler(name="AddItem")
    async def add_item(self, ctx: ObjectContext, item: str) -> int:
        admit_owner(ctx)
        basket = await ctx.get(self.basket)
        ctx.set(self.basket, [*basket, item])
        return len(basket) + 1

    @handler(name="ShowBasket")
    async def show_basket(self, ctx: ObjectSharedContext) -> list[str]:
        admit_owner(ctx)
        return await ctx.get(self.basket)

    @handler(name="Checkout")
    async def checkout(self, ctx: ObjectContext, order_id: str) -> bool:
        admit_owner(ctx)
        items = await ctx.get(self.basket)
        if not items:
            raise TerminalError("the basket is empty: add an item first", status=400)

        payment = ctx.awakeable(PaymentReceipt)
        await ctx.run("request payment", self.gateway.request_payment, order_id, payment.id)
        receipt = await payment.or_timeout(PAYMENT_WINDOW)
        if not receipt.success:
            raise TerminalError("payment declined", status=402)

        order = Order(order_id, ctx.key, receipt.transaction_id, items)
        ctx.send(OrderFulfillmentWorkflow.run, order_id, order)
        ctx.clear(self.basket)
        return True


def admit_owner(ctx: ObjectSharedContext) -> None:
    """Refuse a caller who is not the user that the object belongs to."""
    if ctx.identity != ctx.key:
        raise TerminalError("access denied", status=403)


class OrderFulfillmentWorkflow(Workflow):
    """Approve, ship, deliver; or undo what was done, last first."""

    approval = Promise(bool)

    def __init__(self, gateway: PaymentGateway, delivery_time: timedelta = DELIVERY_TIME) -> None:
        self.gateway = gateway
        self.delivery_time = delivery_time

    @handler(name="Run", retention=timedelta(days=7), private=True)
    async def run(self, ctx: WorkflowContext, order: Order) -> Shipment:
        async with Saga() as saga:
            saga.undo(lambda: ctx.run("refund", self.gateway.refund, order.transaction_id))
            if not await ctx.promise(self.approval).or_timeout(APPROVAL_WINDOW):
                raise TerminalError("order rejected", status=400)

            # Before the step it undoes: a booking that failed may still have reached the carrier.
            saga.undo(lambda: ctx.call(ShippingService.cancel_shipment, order.order_id))
            shipment = await ctx.call(ShippingService.initiate_shipment, order)
            await ctx.sleep(self.delivery_time)
            return shipment

    @handler(name="OnApprove")
    async def on_approve(self, ctx: WorkflowSharedContext) -> None:
        await ctx.promise(self.approval).resolve(True)

    @handler(name="OnReject")
    async def on_reject(self, ctx: WorkflowSharedContext) -> None:
        await ctx.promise(self.approval).resolve(False)
