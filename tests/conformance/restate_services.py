"""The services of ``services.py`` and ``features.py``, and with them all others, on Restate's own SDK.

``against_restate`` serves them to a Restate server; nothing else imports this.
"""

from datetime import timedelta

import restate
from restate import InvocationRetryPolicy, Service, TerminalError, VirtualObject, Workflow

from tests.conformance import restate_interpreter, restate_troubles

mended = set()


def counter_named(name, **options):
    counter = VirtualObject(name, **options)

    @counter.handler()
    async def add(ctx, by: int) -> dict:
        old = await ctx.get("count") or 0
        ctx.set("count", old + by)
        return {"oldValue": old, "newValue": old + by}

    @counter.handler(name="addThenFail")
    async def add_then_fail(ctx, by: int) -> None:
        ctx.set("count", (await ctx.get("count") or 0) + by)
        raise TerminalError(ctx.key())

    @counter.handler(kind="shared")
    async def get(ctx) -> int:
        return await ctx.get("count") or 0

    @counter.handler()
    async def reset(ctx) -> None:
        ctx.clear("count")

    return counter


counter = counter_named("Counter")
short_counter = counter_named("ShortCounter", idempotency_retention=timedelta(seconds=3))

# -- ListObject, MapObject

list_object = VirtualObject("ListObject")


@list_object.handler()
async def append(ctx, item: str) -> None:
    ctx.set("items", [*(await ctx.get("items") or []), item])


@list_object.handler(name="get")
async def get_items(ctx) -> list[str]:
    return await ctx.get("items") or []


@list_object.handler()
async def clear(ctx) -> list[str]:
    items = await ctx.get("items") or []
    ctx.clear("items")
    return items


map_object = VirtualObject("MapObject")


@map_object.handler(name="set")
async def set_entry(ctx, entry: dict) -> None:
    ctx.set(entry["key"], entry["value"])


@map_object.handler(name="get")
async def get_entry(ctx, key: str) -> str:
    return await ctx.get(key) or ""


@map_object.handler(name="clearAll")
async def clear_all(ctx) -> list[dict]:
    entries = [{"key": key, "value": await ctx.get(key)} for key in await ctx.state_keys()]
    ctx.clear_all()
    return entries


# -- Proxy

proxy = Service("Proxy")


def proxy_call(ctx, request):
    return ctx.generic_call(
        request["serviceName"],
        request["handlerName"],
        bytes(request["message"]),
        key=request.get("virtualObjectKey"),
        idempotency_key=request.get("idempotencyKey"),
    )


def proxy_send(ctx, request):
    delay = request.get("delayMillis")
    return ctx.generic_send(
        request["serviceName"],
        request["handlerName"],
        bytes(request["message"]),
        key=request.get("virtualObjectKey"),
        send_delay=None if delay is None else timedelta(milliseconds=delay),
        idempotency_key=request.get("idempotencyKey"),
    )


@proxy.handler()
async def call(ctx, request: dict) -> list[int]:
    return list(await proxy_call(ctx, request))


@proxy.handler(name="oneWayCall")
async def one_way_call(ctx, request: dict) -> str:
    return await proxy_send(ctx, request).invocation_id()


@proxy.handler(name="manyCalls")
async def many_calls(ctx, requests: list) -> None:
    awaited = []
    for each in requests:
        if each["oneWayCall"]:
            proxy_send(ctx, each["proxyRequest"])
        else:
            called = proxy_call(ctx, each["proxyRequest"])
            awaited += [called] if each["awaitAtTheEnd"] else []
    for called in awaited:
        await called


# -- AwakeableHolder, BlockAndWaitWorkflow

awakeable_holder = VirtualObject("AwakeableHolder")


@awakeable_holder.handler()
async def hold(ctx, id: str) -> None:
    ctx.set("id", id)


@awakeable_holder.handler(name="hasAwakeable")
async def holds_awakeable(ctx) -> bool:
    return await ctx.get("id") is not None


@awakeable_holder.handler()
async def unlock(ctx, value: str) -> None:
    id = await ctx.get("id")
    if id is None:
        raise TerminalError("no awakeable is held")
    ctx.resolve_awakeable(id, value)
    ctx.clear("id")


block_and_wait_workflow = Workflow("BlockAndWaitWorkflow")


@block_and_wait_workflow.main()
async def run(ctx, said: str) -> str:
    ctx.set("my-state", said)
    output = await ctx.promise("durable-promise").value()
    if await ctx.promise("durable-promise").peek() is None:
        raise TerminalError("the promise is not completed")
    return output


@block_and_wait_workflow.handler()
async def unblock(ctx, output: str) -> None:
    await ctx.promise("durable-promise").resolve(output)


@block_and_wait_workflow.handler(name="getState")
async def get_state(ctx) -> str | None:
    return await ctx.get("my-state")


# -- TestUtilsService

test_utils = Service("TestUtilsService")


@test_utils.handler()
async def echo(ctx, said: str) -> str:
    return said


@test_utils.handler(name="uppercaseEcho")
async def uppercase_echo(ctx, said: str) -> str:
    return said.upper()


@test_utils.handler(name="echoHeaders")
async def echo_headers(ctx) -> dict:
    return ctx.request().headers


@test_utils.handler(
    name="rawEcho",
    accept="*/*",
    content_type="application/octet-stream",
    input_serde=restate.serde.BytesSerde(),
    output_serde=restate.serde.BytesSerde(),
)
async def raw_echo(ctx, raw: bytes) -> bytes:
    return raw


@test_utils.handler(name="countExecutedSideEffects")
async def count_executed_side_effects(ctx, steps: int) -> int:
    executed = 0

    async def count():
        nonlocal executed
        executed += 1

    for _ in range(steps):
        await ctx.run_typed("count", count)
    return executed


@test_utils.handler(name="cancelInvocation")
async def cancel_invocation(ctx, id: str) -> None:
    ctx.cancel_invocation(id)


@test_utils.handler(name="resolveSignal")
async def resolve_signal(ctx, signal: dict) -> None:
    ctx.resolve_signal(signal["invocationId"], signal["signalName"], signal["value"])


@test_utils.handler(name="rejectSignal")
async def reject_signal(ctx, signal: dict) -> None:
    ctx.reject_signal(signal["invocationId"], signal["signalName"], signal["reason"])


# -- of the server's own features

private_service = Service("PrivateService", ingress_private=True)


@private_service.handler(name="greet")
async def greet_privately(ctx, name: str) -> str:
    return f"hello {name}"


awakeable_greeter = VirtualObject("AwakeableGreeter")


@awakeable_greeter.handler(name="run")
async def run_greeter(ctx) -> str:
    id, future = ctx.awakeable()
    ctx.set("awakeable", id)
    return f"hello {await future}"


@awakeable_greeter.handler(name="id", kind="shared")
async def id_of_awakeable(ctx) -> str | None:
    return await ctx.get("awakeable")


retryable_greeter = VirtualObject(
    "RetryableGreeter",
    invocation_retry_policy=InvocationRetryPolicy(
        initial_interval=timedelta(milliseconds=10), exponentiation_factor=1.0, max_attempts=10, on_max_attempts="pause"
    ),
)
restart_greeter = VirtualObject("RestartGreeter")


@retryable_greeter.handler(name="greet")
async def greet_once_mended(ctx, name: str) -> str:
    if ctx.key() not in mended:
        raise ValueError("not yet")
    return name


@restart_greeter.handler(name="greet")
async def greet_from_old_or_new(ctx, name: str) -> str:
    def greeting():
        return f"{name} from {'new' if ctx.key() in mended else 'old'}"

    greeted = await ctx.run_typed("greeting", greeting)
    if ctx.key() not in mended:
        raise TerminalError("not yet")
    return greeted


@retryable_greeter.handler(name="mend", kind="shared")
async def mend_retryable(ctx) -> None:
    mended.add(ctx.key())


@restart_greeter.handler(name="mend", kind="shared")
async def mend_restart(ctx) -> None:
    mended.add(ctx.key())


app = restate.app(
    services=[
        counter,
        short_counter,
        list_object,
        map_object,
        proxy,
        awakeable_holder,
        block_and_wait_workflow,
        test_utils,
        restate_interpreter.interpreter,
        private_service,
        awakeable_greeter,
        retryable_greeter,
        restart_greeter,
        *restate_troubles.services,
    ]
)
