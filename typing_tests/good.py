"""Both checkers must agree with every line."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol, assert_type

from durable import (
    Batch,
    CallFuture,
    Client,
    Context,
    Debounce,
    Engine,
    Limit,
    ObjectContext,
    ObjectSharedContext,
    Rate,
    RetryPolicy,
    Service,
    State,
    TerminalError,
    Timetable,
    VirtualObject,
    WorkflowContext,
    as_completed,
    first_success,
    gather,
    generic,
    handler,
    schedule,
    select,
    settled,
    wait,
)
from examples.shop.domain import Order, PaymentGateway, PaymentReceipt, Shipment
from examples.shop.services import OrderFulfillmentWorkflow, ShippingService, UserSession


async def good(
    ctx: Context, obj: ObjectContext, wf: WorkflowContext, client: Client, order: Order, gateway: PaymentGateway
) -> None:
    assert_type(await ctx.call(UserSession.add_item, "alice", "laptop"), int)
    assert_type(await ctx.call(UserSession.add_item, "alice", item="laptop"), int)
    assert_type(await ctx.call(UserSession.show_basket, "alice"), list[str])
    assert_type(await ctx.call(ShippingService.initiate_shipment, order), Shipment)
    assert_type(await ctx.call(OrderFulfillmentWorkflow.run.options(idempotency_key="k"), "o-1", "inv_1"), Shipment)
    assert_type(await client.call(OrderFulfillmentWorkflow.run, "o-1", "inv_1"), Shipment)
    accepted = await client.send_later(timedelta(days=1), OrderFulfillmentWorkflow.run, "o-1", "inv_1")
    assert_type(await accepted.result(), Shipment)
    count, shipment = await gather(
        ctx.call(UserSession.add_item, "alice", "x"), ctx.call(ShippingService.initiate_shipment, order)
    )
    assert_type(count, int)
    assert_type(shipment, Shipment)
    counts = await gather(*[ctx.call(UserSession.add_item, user, "x") for user in ("a", "b")])
    assert_type(counts, tuple[int, ...])
    winner, value = await select(
        approved=wf.promise(OrderFulfillmentWorkflow.approval), late=wf.promise(OrderFulfillmentWorkflow.placed)
    )
    assert_type(winner, str)
    assert_type(value, bool)
    assert_type(await obj.get(UserSession.basket), list[str])
    assert_type(await wf.promise(OrderFulfillmentWorkflow.approval), bool)
    assert_type(await ctx.awakeable(PaymentReceipt).or_timeout(timedelta(minutes=1)), PaymentReceipt)
    assert_type(await ctx.run("refund", gateway.refund, "tx-1"), None)
    assert_type(await ctx.run("length", len, "abc"), int)
    assert_type(await ctx.run("price", lambda: 3.5), float)
    assert_type(await ctx.now(), datetime)
    assert_type(await UserSession(gateway).add_item(obj, "laptop"), int)  # in a unit test: the plain method
    print(await obj.get(UserSession.basket), f"{await wf.promise(OrderFulfillmentWorkflow.approval)}")


async def combined(ctx: Context, order: Order) -> None:
    counts = [ctx.call(UserSession.add_item, user, "x") for user in ("a", "b")]
    shipping = ctx.call(ShippingService.initiate_shipment, order)
    assert_type(await first_success(*counts), int)
    assert_type(await settled(*counts), tuple[int | TerminalError, ...])
    assert_type(await settled(counts[0], shipping), tuple[int | TerminalError, Shipment | TerminalError])
    done, pending = await wait(*counts, count=2)
    assert_type(done, tuple[CallFuture[int], ...])
    for call in pending:
        call.cancel()
    async for call in as_completed(*counts):
        assert_type(await call, int)
    assert_type(await gather(first_success(*counts), shipping.or_timeout(timedelta(minutes=1))), tuple[int, Shipment])
    mixed, _ = await wait(counts[0], shipping)
    print(await mixed[0])


async def by_name(ctx: Context, obj: ObjectContext, client: Client) -> None:
    found = await client.lookup(OrderFulfillmentWorkflow.run, "o-1")
    assert_type(await found.output(), Shipment)
    assert_type(await client.call(generic("Mail", "send"), b"{}"), bytes)
    assert_type(await ctx.call(generic("Cart", "add", ObjectContext), "jane", b"{}"), bytes)
    assert_type(await ctx.output(found.id, Shipment), Shipment)
    assert_type(await obj.get(State(int, default=int, name="visits")), int)
    assert_type(await obj.get(State(int, name="visits")), int | None)


async def scheduled(engine: Engine, order: Order) -> None:
    nightly = Timetable("0 3 * * *", tz="Europe/Paris", overlap="queue", catch_up="all", window=timedelta(days=1))
    await engine.schedules.create("ship", nightly, ShippingService.initiate_shipment, order)
    await engine.schedules.put("add", Timetable(every=timedelta(hours=1)), UserSession.add_item, "alice", item="laptop")
    assert_type((await engine.schedules.get("ship")).next_at, datetime | None)
    assert_type((await engine.schedules.give_up("ship")).limit_key, str | None)
    assert_type(await engine.call(Tagged.order), str)


async def limited(engine: Engine, client: Client) -> None:
    each = Limit("limit/tenant/*", concurrency=2, rate=Rate(100, timedelta(minutes=1), burst=10), queue=500, hold=True)
    await engine.limits.put(each, Limit("engine", concurrency=50))
    assert_type([use.next_start for use in engine.limits.usage()], list[datetime | None])
    assert_type(await client.call(Indexed.rebuild.options(singleton_key="de", priority=3), "de"), int)
    assert_type(await client.call(Indexed.report.options(limit_key="acme/eu")), None)


class Indexed(Service, limit="tenant"):
    @handler(singleton="skip", concurrency=1)
    async def rebuild(self, ctx: Context, language: str) -> int:
        assert_type(await ctx.map(Indexed.page, ["a"], tolerated_failures=1), list[int | TerminalError])
        return sum(await ctx.map(Indexed.page, ["a", "b"], concurrency=5))

    @handler(debounce=Debounce(timedelta(seconds=5), longest=timedelta(minutes=1)))
    async def report(self, ctx: Context) -> None: ...

    @handler(rate=Rate(5, timedelta(seconds=1)), queue=10)
    async def page(self, ctx: Context, name: str) -> int:
        return await ctx.wait_until("size", len, name, every=timedelta(seconds=1), timeout=timedelta(minutes=1))


class Tagged(Service, name="tagged", retry=RetryPolicy(jitter=0.5), private=True, metadata={"team": "shop"}):
    @handler(journal_retention=None, strict_idempotency=False)
    async def ping(self, ctx: Context) -> None:
        await ctx.call(OrderFulfillmentWorkflow.run.options(attach=True), "o-1", await ctx.call(Tagged.order))

    @schedule("*/5 * * * *", tz="Europe/Paris")
    @handler(metadata={"tier": "1"})
    async def order(self, ctx: Context) -> str:
        raise TerminalError("none", status=404)


class Bank(Protocol):
    def receipt(self, order: str) -> PaymentReceipt | None: ...
    async def paid(self, order: str) -> bool: ...


async def many(ctx: Context, orders: list[Order], gateway: PaymentGateway, bank: Bank) -> None:
    assert_type(await ctx.map(ShippingService.initiate_shipment, orders), list[Shipment])
    assert_type(await ctx.map(ShippingService.initiate_shipment, iter(orders), concurrency=5), list[Shipment])
    assert_type(await ctx.map(UserSession.add_item, [("alice", "laptop")]), list[int])
    assert_type(await ctx.map(UserSession.show_basket, ("alice", "bob")), list[list[str]])
    shipped = await ctx.map(ShippingService.initiate_shipment, orders, min_successful=3, tolerated_failures=1)
    assert_type(shipped, list[Shipment | TerminalError])
    added = await ctx.map(UserSession.add_item, [("alice", "laptop")], tolerated_fraction=0.1)
    assert_type(added, list[int | TerminalError])
    shipments, counts = await gather(
        ctx.map(ShippingService.initiate_shipment, orders), ctx.map(UserSession.add_item, [("alice", "x")])
    )
    assert_type(shipments, list[Shipment])
    assert_type(counts, list[int])
    assert_type(await ctx.map_run("refund", gateway.refund, ["tx-1"]), list[None])
    assert_type(await ctx.map_run("length", len, ["abc"], concurrency=3), list[int])
    lengths = await ctx.map_run("length", len, ["abc"], retry=RetryPolicy(), tolerated_failures=1)
    assert_type(lengths, list[int | TerminalError])
    hour = timedelta(hours=1)
    assert_type(await ctx.wait_until("receipt", bank.receipt, "o-1", every=hour), PaymentReceipt)
    assert_type(await ctx.wait_until("paid", bank.paid, "o-1", every=hour, backoff=2, timeout=hour), bool)


class Mailer(Service):
    @handler(batch=Batch(100, within=timedelta(seconds=1)), retry=RetryPolicy(max_attempts=3))
    async def send(self, ctx: Context, orders: list[Order]) -> list[Shipment]:
        return []

    @handler(batch=Batch(100))
    async def check(self, ctx: Context, orders: Sequence[Order]) -> list[str | TerminalError]:
        return ["fine" if order.order_id else TerminalError("it has no id", status=400) for order in orders]

    @handler(batch=Batch(100))
    async def log(self, ctx: Context, lines: list[str]) -> None: ...


class Counter(VirtualObject):
    @handler(batch=Batch(100))
    async def add(self, ctx: ObjectContext, numbers: list[int]) -> list[int]:
        return numbers

    @handler(batch=Batch(100))
    async def look(self, ctx: ObjectSharedContext, words: list[str]) -> list[int | None]:
        return [None for _ in words]


async def batched(ctx: Context, obj: ObjectContext, client: Client, order: Order) -> None:
    assert_type(await ctx.call(Mailer.send, order), Shipment)
    assert_type(await client.call(Mailer.send.options(idempotency_key="k"), order), Shipment)
    assert_type(await client.call(Mailer.check, order), str)
    assert_type(await client.call(Mailer.log, "line"), None)
    assert_type(await client.call(Counter.add, "alice", 3), int)
    assert_type(await client.call(Counter.look, "alice", "word"), int | None)
    assert_type(await gather(*[ctx.call(Mailer.send, order) for _ in range(3)]), tuple[Shipment, ...])
    assert_type(await (await client.send(Mailer.check, order)).result(), str)
    assert_type(await Mailer().send(ctx, [order]), Sequence[Shipment | TerminalError])  # in a unit test
    assert_type(await Mailer().log(ctx, ["line"]), None)
    assert_type(await Counter().add(obj, [1, 2]), Sequence[int | TerminalError])
