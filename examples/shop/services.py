"""Basket, checkout, approval, shipping: the shop as three durable services. Nothing here touches the network."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from durable import (
    Context,
    InvocationCancelledError,
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
ORDER_RETENTION = timedelta(days=7)
BASKET_IS_EMPTY = "the basket is empty: add an item first"


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

    @handler(name="PlaceOrder", private=True)
    async def place_order(self, ctx: ObjectSharedContext, order_id: str) -> str:
        """Start the order and its checkout, once; return the checkout's id: it may have to wait for its turn."""
        admit_owner(ctx)
        await ctx.call(OrderFulfillmentWorkflow.place, order_id, await ctx.get(self.basket))
        checkout = UserSession.checkout.options(idempotency_key=order_id)
        checkout_id = ctx.send(checkout, ctx.key, order_id).id
        ctx.send(OrderFulfillmentWorkflow.run, order_id, checkout_id)
        return checkout_id

    @handler(name="Checkout", retention=ORDER_RETENTION)
    async def checkout(self, ctx: ObjectContext, order_id: str) -> Order:
        admit_owner(ctx)
        items = await ctx.get(self.basket)
        if not items:
            raise TerminalError(BASKET_IS_EMPTY, status=409)

        payment = ctx.awakeable(PaymentReceipt)
        await ctx.run("request payment", self.gateway.request_payment, order_id, payment.id)
        receipt = await payment.or_timeout(PAYMENT_WINDOW)
        if not receipt.success:
            raise TerminalError("payment declined", status=402)

        ctx.clear(self.basket)
        return Order(order_id, ctx.key, receipt.transaction_id, items)


def admit_owner(ctx: ObjectSharedContext) -> None:
    """Refuse a caller who is not the user that the object belongs to."""
    if ctx.identity != ctx.key:
        raise TerminalError("access denied", status=403)


class OrderFulfillmentWorkflow(Workflow):
    """Approve, ship, deliver; or undo what was done, last first."""

    placed = Promise(bool)
    approval = Promise(bool)

    def __init__(self, gateway: PaymentGateway, delivery_time: timedelta = DELIVERY_TIME) -> None:
        self.gateway = gateway
        self.delivery_time = delivery_time

    @handler(name="Place", private=True)
    async def place(self, ctx: WorkflowSharedContext, items: list[str]) -> None:
        """Know the order before its id is given away: it can be approved while the checkout still waits."""
        if await ctx.promise(self.placed).peek():
            return
        if not items:
            raise TerminalError(BASKET_IS_EMPTY, status=409)
        with suppress(TerminalError):  # by somebody else, just now
            await ctx.promise(self.placed).resolve(True)

    @handler(name="Run", retention=ORDER_RETENTION, private=True)
    async def run(self, ctx: WorkflowContext, checkout_id: str) -> Shipment:
        order = await self.paid_order(ctx, checkout_id)
        async with Saga() as saga:
            saga.undo(lambda: ctx.run("refund", self.gateway.refund, order.transaction_id))
            saga.undo(lambda: ctx.call(OrderFulfillmentWorkflow.close, ctx.key))
            if not await ctx.promise(self.approval).or_timeout(APPROVAL_WINDOW):
                raise TerminalError("order rejected", status=400)

            # Before the step it undoes: a booking that failed may still have reached the carrier.
            saga.undo(lambda: ctx.call(ShippingService.cancel_shipment, order.order_id))
            shipment = await ctx.call(ShippingService.initiate_shipment, order)
            await ctx.sleep(self.delivery_time)
            return shipment

    async def paid_order(self, ctx: WorkflowContext, checkout_id: str) -> Order:
        """The order once it is paid; what ends its checkout, a declined payment say, ends and closes it as well."""
        async with Saga() as saga:
            saga.undo(lambda: ctx.call(OrderFulfillmentWorkflow.close, ctx.key))
            while True:
                try:
                    return await ctx.attach(checkout_id, Order)
                except InvocationCancelledError:
                    # Its customer cannot pay any more. Whoever has, just now, has an order: it can be cancelled again.
                    ctx.cancel(checkout_id)

    @handler(name="OnApprove")
    async def on_approve(self, ctx: WorkflowSharedContext) -> None:
        await self.decide(ctx, approved=True)

    @handler(name="OnReject")
    async def on_reject(self, ctx: WorkflowSharedContext) -> None:
        await self.decide(ctx, approved=False)

    async def decide(self, ctx: WorkflowSharedContext, *, approved: bool) -> None:
        """Decide once; whoever got no answer may say the same again."""
        if not await ctx.promise(self.placed).peek():
            raise TerminalError(f"there is no order {ctx.key!r}", status=404)
        decided = await ctx.promise(self.approval).peek()  # raises if the order is closed
        if decided is None:
            await ctx.promise(self.approval).resolve(approved)
        elif decided != approved:
            raise TerminalError(f"the order is already {'approved' if decided else 'rejected'}", status=409)

    @handler(name="Close", private=True)
    async def close(self, ctx: WorkflowSharedContext) -> None:
        """Nobody has to decide any more: the order was not paid, or nobody decided in time."""
        with suppress(TerminalError):  # decided already
            await ctx.promise(self.approval).reject("the order is closed", status=409)
