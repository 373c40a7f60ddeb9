"""The services that Restate's conformance suites call, on our API: the same names and the same JSON.

More are in ``troubles.py`` and ``interpreter.py``; ``features.py`` has those of the server's own tests. All are there a
second time in ``restate_services.py``, on Restate's SDK.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from durable import (
    Context,
    DurableFuture,
    ObjectContext,
    ObjectSharedContext,
    Promise,
    Service,
    State,
    TerminalError,
    VirtualObject,
    Workflow,
    WorkflowContext,
    WorkflowSharedContext,
    gather,
    generic,
    handler,
)
from durable.handlers import Handler

SOON = timedelta(milliseconds=100)


class Camel(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """JSON as the suites write it."""


class Counted(Camel):
    old_value: int
    new_value: int


class Counter(VirtualObject):
    count = State(int, default=int)

    @handler
    async def add(self, ctx: ObjectContext, by: int) -> Counted:
        old = await ctx.get(self.count)
        ctx.set(self.count, old + by)
        return Counted(old, old + by)

    @handler(name="addThenFail")
    async def add_then_fail(self, ctx: ObjectContext, by: int) -> None:
        ctx.set(self.count, await ctx.get(self.count) + by)
        raise TerminalError(ctx.key)

    @handler
    async def get(self, ctx: ObjectSharedContext) -> int:
        return await ctx.get(self.count)

    @handler
    async def reset(self, ctx: ObjectContext) -> None:
        ctx.clear(self.count)


class ListObject(VirtualObject):
    items = State(list[str], default=list)

    @handler
    async def append(self, ctx: ObjectContext, item: str) -> None:
        ctx.set(self.items, [*await ctx.get(self.items), item])

    @handler
    async def get(self, ctx: ObjectContext) -> list[str]:
        return await ctx.get(self.items)

    @handler
    async def clear(self, ctx: ObjectContext) -> list[str]:
        items = await ctx.get(self.items)
        ctx.clear(self.items)
        return items


class Entry(Camel):
    key: str
    value: str


class MapObject(VirtualObject):
    """One state per entry."""

    @handler
    async def set(self, ctx: ObjectContext, entry: Entry) -> None:
        ctx.set(State(str, default=str, name=entry.key), entry.value)

    @handler
    async def get(self, ctx: ObjectContext, key: str) -> str:
        return await ctx.get(State(str, default=str, name=key))

    @handler(name="clearAll")
    async def clear_all(self, ctx: ObjectContext) -> list[Entry]:
        entries = [Entry(key, await ctx.get(State(str, default=str, name=key))) for key in await ctx.state_keys()]
        ctx.clear_all()
        return entries


class ProxyRequest(Camel):
    service_name: str
    handler_name: str
    message: list[int]
    """The bytes of the input."""
    virtual_object_key: str | None = None
    delay_millis: int | None = None
    idempotency_key: str | None = None


class ManyCallRequest(Camel):
    proxy_request: ProxyRequest
    one_way_call: bool
    await_at_the_end: bool


class Proxy(Service):
    """Calls others by their names."""

    @handler
    async def call(self, ctx: Context, request: ProxyRequest) -> list[int]:
        return list(await self._call(ctx, request))

    @handler(name="oneWayCall")
    async def one_way_call(self, ctx: Context, request: ProxyRequest) -> str:
        return self._send(ctx, request)

    @handler(name="manyCalls")
    async def many_calls(self, ctx: Context, requests: list[ManyCallRequest]) -> None:
        awaited = list[DurableFuture[Any]]()
        for each in requests:
            if each.one_way_call:
                self._send(ctx, each.proxy_request)
            else:
                call = self._call(ctx, each.proxy_request)
                awaited += [call] if each.await_at_the_end else []
        await gather(*awaited)

    def _call(self, ctx: Context, request: ProxyRequest) -> DurableFuture[bytes]:
        called, arguments = _called(request)
        return ctx.call(called, *arguments)

    def _send(self, ctx: Context, request: ProxyRequest) -> str:
        called, arguments = _called(request)
        if request.delay_millis is None:
            return ctx.send(called, *arguments).id
        return ctx.send_later(timedelta(milliseconds=request.delay_millis), called, *arguments).id


def _called(request: ProxyRequest) -> tuple[Handler[..., bytes], list[Any]]:
    names, message = (request.service_name, request.handler_name), bytes(request.message)
    if request.virtual_object_key is None:
        return generic(*names).options(idempotency_key=request.idempotency_key), [message]
    keyed = generic(*names, ObjectContext)
    return keyed.options(idempotency_key=request.idempotency_key), [request.virtual_object_key, message]


class AwakeableHolder(VirtualObject):
    held = State(str)

    @handler
    async def hold(self, ctx: ObjectContext, id: str) -> None:
        ctx.set(self.held, id)

    @handler(name="hasAwakeable")
    async def has_awakeable(self, ctx: ObjectContext) -> bool:
        return await ctx.get(self.held) is not None

    @handler
    async def unlock(self, ctx: ObjectContext, value: str) -> None:
        id = await ctx.get(self.held)
        if id is None:
            raise TerminalError("no awakeable is held")
        ctx.resolve_awakeable(id, value)
        ctx.clear(self.held)


class BlockAndWaitWorkflow(Workflow):
    said = State(str)
    durable_promise = Promise(str)

    @handler
    async def run(self, ctx: WorkflowContext, said: str) -> str:
        ctx.set(self.said, said)
        promise = ctx.promise(self.durable_promise)
        output = await promise
        if await promise.peek() is None:
            raise TerminalError("the promise is not completed")
        return output

    @handler
    async def unblock(self, ctx: WorkflowSharedContext, output: str) -> None:
        await ctx.promise(self.durable_promise).resolve(output)

    @handler(name="getState")
    async def get_state(self, ctx: WorkflowSharedContext) -> str | None:
        return await ctx.get(self.said)


class ResolveSignal(Camel):
    invocation_id: str
    signal_name: str
    value: str


class RejectSignal(Camel):
    invocation_id: str
    signal_name: str
    reason: str


class TestUtilsService(Service):
    __test__ = False

    @handler
    async def echo(self, ctx: Context, said: str) -> str:
        return said

    @handler(name="uppercaseEcho")
    async def uppercase_echo(self, ctx: Context, said: str) -> str:
        return said.upper()

    @handler(name="echoHeaders")
    async def echo_headers(self, ctx: Context) -> dict[str, str]:
        return dict(ctx.headers)

    @handler(name="rawEcho")
    async def raw_echo(self, ctx: Context, raw: bytes) -> bytes:
        return raw

    @handler(name="countExecutedSideEffects")
    async def count_executed_side_effects(self, ctx: Context, steps: int) -> int:
        executed = 0

        async def count() -> None:
            nonlocal executed
            executed += 1

        for _ in range(steps):
            await ctx.run("count", count)
        return executed

    @handler(name="cancelInvocation")
    async def cancel_invocation(self, ctx: Context, id: str) -> None:
        ctx.cancel(id)

    @handler(name="resolveSignal")
    async def resolve_signal(self, ctx: Context, signal: ResolveSignal) -> None:
        ctx.send_signal(signal.invocation_id, signal.signal_name, signal.value)

    @handler(name="rejectSignal")
    async def reject_signal(self, ctx: Context, signal: RejectSignal) -> None:
        ctx.reject_signal(signal.invocation_id, signal.signal_name, signal.reason)
