"""Both checkers must refuse every marked line, and no other."""

from datetime import timedelta

from durable import (
    Batch,
    Client,
    Context,
    Engine,
    Limit,
    ObjectContext,
    ObjectSharedContext,
    Rate,
    Service,
    TerminalError,
    Timetable,
    VirtualObject,
    Workflow,
    WorkflowContext,
    as_completed,
    first_success,
    generic,
    handler,
    schedule,
    settled,
    wait,
)
from examples.shop.domain import Carrier, Order, Shipment
from examples.shop.services import OrderFulfillmentWorkflow, ShippingService, UserSession


async def wrong(ctx: Context, obj: ObjectContext, shared: ObjectSharedContext, wf: WorkflowContext) -> None:
    await ctx.call(UserSession.add_item, "alice", 123)  # E wrong argument type
    await ctx.call(UserSession.add_item, "alice")  # E missing argument
    await ctx.call(UserSession.add_item, "alice", "laptop", "extra")  # E too many arguments
    await ctx.call(UserSession.add_item, 42, "laptop")  # E key is not a str
    await ctx.call(UserSession.add_item, "laptop")  # E object handler called without key
    await ctx.call(UserSession.show_basket, "alice", "x")  # E takes no input
    x: str = await ctx.call(UserSession.add_item, "alice", "laptop")  # E result is int
    await ctx.call("UserSession.add_item", "alice", "laptop")  # E no string names
    await ctx.call(UserSession.add_itm, "alice", "laptop")  # E typo in the handler
    ctx.send(UserSession.checkout, "alice", 9)  # E wrong argument type
    ctx.send_later(3, UserSession.checkout, "alice", "o-1")  # E delay is a timedelta
    obj.set(UserSession.baskt, ["x"])  # E typo in the state key
    obj.set(UserSession.basket, "laptop")  # E state is a list[str]
    shared.set(UserSession.basket, ["x"])  # E a shared context cannot write
    wf.promise(OrderFulfillmentWorkflow.approval).resolve("yes")  # E promise is bool
    wf.promise(OrderFulfillmentWorkflow.aproval)  # E typo in the promise name
    await ctx.sleep(5)  # E seconds need a unit
    await UserSession.add_item(obj, "laptop")  # E a plain call of a handler is not durable


async def wrong_too(ctx: Context, client: Client, order: Order, carrier: Carrier) -> None:
    await ctx.call(ShippingService.initiate_shipment, "o-1", order)  # E service handler called with key
    await ctx.call(ShippingService.initiate_shipment, "o-1")  # E str is not an Order
    await client.call(UserSession.add_item, "alice", 123)  # E wrong argument type
    await ctx.run("book", carrier.book, 7)  # E wrong argument of the action


async def wrong_combined(ctx: Context, order: Order) -> None:
    count, shipment = ctx.call(UserSession.add_item, "a", "x"), ctx.call(ShippingService.initiate_shipment, order)
    x: str = await first_success(count)  # E result is int
    y: tuple[int, ...] = await settled(count)  # E it may be a TerminalError
    await first_success(order)  # E not a future
    await wait(count, shipment, 2)  # E count is a keyword
    async for call in as_completed(count):
        z: int = call  # E a future, not its result


async def wrong_many(ctx: Context, orders: list[Order], carrier: Carrier) -> None:
    await ctx.map(ShippingService.initiate_shipment, ["o-1"])  # E str is not an Order
    await ctx.map(UserSession.add_item, ["alice"])  # E a key and an item
    await ctx.map(ShippingService.initiate_shipment, orders, tolerated=1)  # E no such option
    a: list[Shipment] = await ctx.map(ShippingService.initiate_shipment, orders, min_successful=1)  # E or an error
    await ctx.map_run("book", carrier.book, [7])  # E wrong argument of the action
    await ctx.wait_until("book", carrier.book, orders[0])  # E how often
    await ctx.wait_until("book", carrier.book, 7, every=timedelta(hours=1))  # E wrong argument of the check


async def wrong_names(ctx: Context, client: Client) -> None:
    await ctx.call(generic("Mail", "send"), "text")  # E bytes go as they are
    await ctx.call(generic("Cart", "add", ObjectContext), b"{}")  # E a key comes first
    found = await client.lookup(OrderFulfillmentWorkflow.run, "o-1")
    n: int = await found.output()  # E it is a shipment


async def wrong_schedules(engine: Engine) -> None:
    nightly = Timetable("0 3 * * *")
    await engine.schedules.create("add", nightly, UserSession.add_item, "alice", 123)  # E wrong argument type
    await engine.schedules.create("add", nightly, UserSession.add_item, "alice")  # E missing argument
    await engine.schedules.create("add", "0 3 * * *", UserSession.add_item, "alice", "tea")  # E text is no timetable
    Timetable("0 3 * * *", overlap="maybe")  # E no such overlap


class Tagged(Service, metadata={"tier": 1}):  # E metadata is text
    @handler(retries=3)  # E no such keyword
    async def ping(self, ctx: Context) -> None: ...

    @schedule(every=5)  # E seconds need a unit
    @handler
    async def pong(self, ctx: Context) -> None: ...


class Odd(Service):
    @handler  # E a service handler cannot take an object context
    async def touch(self, ctx: ObjectContext, item: str) -> None: ...


class Odder(VirtualObject):
    @handler  # E not async
    def sync(self, ctx: ObjectContext, a: str) -> str:
        return a

    @handler  # E an object handler cannot take a workflow context
    async def odd(self, ctx: WorkflowContext, a: str) -> None: ...


class Single(Service):
    @handler(singleton="skp")  # E a typo
    async def work(self, ctx: Context) -> None: ...


async def wrong_limits(engine: Engine) -> None:
    await engine.limits.put("engine")  # E it takes a Limit
    Limit("engine", rate=100)  # E a rate is a Rate
    Rate(100, 60)  # E seconds need a unit
    ShippingService.initiate_shipment.options(priority="high")  # E a number from 0 to 9


class Batched(Service):
    @handler(batch=Batch(100))
    async def check(self, ctx: Context, orders: list[Order]) -> list[str | TerminalError]:
        return []

    @handler(batch=Batch(100))  # E a batch is a list
    async def one(self, ctx: Context, order: Order) -> list[str]:
        return []

    @handler(batch=Batch(100))  # E one result per input
    async def total(self, ctx: Context, numbers: list[int]) -> int:
        return 0

    @handler(batch=Batch(100))  # E a service handler cannot take an object context
    async def keyed(self, ctx: ObjectContext, numbers: list[int]) -> list[int]:
        return numbers

    @handler(batch=100)  # E it needs a Batch
    async def number(self, ctx: Context, numbers: list[int]) -> list[int]:
        return numbers


class Run(Workflow):
    @handler(batch=Batch(100))  # E a workflow has no batches
    async def run(self, ctx: WorkflowContext, numbers: list[int]) -> list[int]:
        return numbers


async def wrong_batches(ctx: Context, client: Client, order: Order) -> None:
    await ctx.call(Batched.check, [order])  # E callers pass one
    await client.call(Batched.check, "order")  # E str is not an Order
    n: int = await client.call(Batched.check, order)  # E the result is text
    await client.call(Batched.check, "alice", order)  # E it has no keys
    await Batched().check(ctx, order)  # E the method takes a list
    Batch(100, within=1)  # E seconds need a unit
