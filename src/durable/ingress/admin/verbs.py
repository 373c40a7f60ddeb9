"""What can be done to one invocation, with Restate's statuses and words; for one request, or for each of a batch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, NamedTuple

from durable.core.entries import Verb
from durable.core.invocation import Status
from durable.errors import BadIdError, DamagedError, InvocationNotFoundError, InvocationStateError, TerminalError
from durable.ingress.admin.door import AdminDoor
from durable.ingress.refusal import Refusal

Name = Literal["cancel", "kill", "pause", "resume", "restart-as-new", "purge", "purge-journal"]


class Order(NamedTuple):
    """One verb on one invocation; ``from_entry`` is for a restart."""

    id: str
    from_entry: int = 0


class Done(NamedTuple):
    id: str
    """Of the invocation; of the new one, if that was a restart."""
    status: int = 200
    """202: it has begun, and the handler has the next word."""


async def carry_out(door: AdminDoor, name: Name, order: Order) -> Done:
    """Do it; what cannot be done is a :class:`Refusal`."""
    try:
        return await VERBS[name](door, order)
    except BadIdError as error:
        raise invalid("invocation_id", error.why) from error
    except InvocationNotFoundError as error:
        raise unknown(order.id) from error
    except TerminalError as error:
        raise Refusal(error.status, error.message) from error
    except DamagedError as error:
        raise Refusal(500, str(error)) from error


def invalid(field: str, why: str) -> Refusal:
    return Refusal(400, f"The request field '{field}' is invalid. Reason: {why}")


def unknown(id: str) -> Refusal:
    return Refusal(404, f"The requested invocation '{id}' does not exist")


async def _cancel(door: AdminDoor, order: Order) -> Done:
    before = (await door.look(order.id)).status
    if before is Status.COMPLETED:
        raise InvocationStateError(f"The invocation '{order.id}' was already completed.")
    await door.cancel(order.id)
    if before not in (Status.SCHEDULED, Status.PENDING, Status.READY):
        return Done(order.id, 202)
    # It may have started in between: then it was the handler that was told.
    after = await door.peek(order.id)
    return Done(order.id, 200 if after is None or after.outcome is not None else 202)


async def _pause(door: AdminDoor, order: Order) -> Done:
    before = (await door.look(order.id)).status
    await door.control("pause", order.id)
    return Done(order.id, 200 if before is Status.PAUSED else 202)


async def _restart(door: AdminDoor, order: Order) -> Done:
    return Done(await door.control("restart", order.id, order.from_entry))


def _plain(verb: Verb) -> Callable[[AdminDoor, Order], Awaitable[Done]]:
    async def do(door: AdminDoor, order: Order) -> Done:
        return Done(await door.control(verb, order.id))

    return do


VERBS: Mapping[Name, Callable[[AdminDoor, Order], Awaitable[Done]]] = {
    "cancel": _cancel,
    "kill": _plain("kill"),
    "pause": _pause,
    "resume": _plain("resume"),
    "restart-as-new": _restart,
    "purge": _plain("purge"),
    "purge-journal": _plain("purge-journal"),
}
