"""References to handlers whose class is not at hand: by their names, with bytes in and bytes out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import overload

from durable.context import Context, ObjectContext, ObjectSharedContext, WorkflowContext, WorkflowSharedContext
from durable.handlers import Handler, KeyedHandler, ServiceHandler
from durable.settings import HANDLER_NAME, SERVICE_NAME, Declaration, wire_name
from durable.signature import HandlerSignature

KeyedContext = ObjectContext | ObjectSharedContext | WorkflowContext | WorkflowSharedContext


@overload
def generic(service: str, handler: str, /) -> Handler[[bytes], bytes]: ...
@overload
def generic(service: str, handler: str, context: type[KeyedContext], /) -> Handler[[str, bytes], bytes]: ...
def generic(service: str, handler: str, context: type[Context] = Context, /) -> Handler[..., bytes]:
    """A handler by its names on the wire, for every verb that takes a handler; ``context`` is the one that it is given.

    ``await ctx.call(generic("Mail", "send"), b'{"to": "jane"}')``,
    ``await client.call(generic("Cart", "add", ObjectContext), "jane", b'"apples"')``. The bytes go as they are: JSON,
    unless the handler takes bytes. Whether there is such a handler is found out by the call.
    """
    signature = HandlerSignature(_stub(context))
    declared = Declaration(name=wire_name(handler, HANDLER_NAME))
    unbound: Handler[..., bytes]
    if signature.keyed:
        unbound = KeyedHandler[Context, ..., bytes](signature, declared)
    else:
        unbound = ServiceHandler[Context, ..., bytes](signature, declared)
    reference = unbound.of(wire_name(service, SERVICE_NAME), handler, Declaration())
    reference.media_type = "application/json"  # a handler that takes bytes takes them under every name
    return reference


def _stub(context: type[Context]) -> Callable[..., Awaitable[bytes]]:
    async def stub(self: object, ctx: Context, payload: bytes, /) -> bytes:
        raise NotImplementedError

    stub.__annotations__["ctx"] = context
    return stub
