"""What a client does to an invocation that it began before, and what it must be told then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from durable import Client, Invocation
from durable.core.entries import Target
from durable.core.ids import write_invocation
from durable.core.invocation import idempotent_id
from tests.simulation.scenario import Operation
from tests.simulation.services import Decision, Plain, Shelf

if TYPE_CHECKING:
    from tests.simulation.client import Customer

NEVER_BEGAN = ("404",)
"""What was cancelled or killed before it began has no record."""


class Control:
    def __init__(self, customer: Customer, operation: Operation) -> None:
        self._customer, self._world, self._operation = customer, customer.world, operation
        self._id = id_of(operation)

    async def do(self, verb: str) -> None:
        verbs: dict[str, Callable[[], Awaitable[object]]] = {
            "cancel": lambda: self._ask(lambda it: it.cancel()),
            "kill": self._kill,
            "resume": lambda: self._ask(lambda it: it.resume()),
            "pause": self._pause,
            "attach": self._attach,
            "purge": self._purge,
            "forget": self._forget,
            "restart": self._restart,
        }
        await verbs[verb]()

    async def _kill(self) -> None:
        self._world.turnstile.disturbed.add(self._operation.tag)
        await self._ask(lambda it: it.kill())

    async def _pause(self) -> None:
        self._world.turnstile.disturbed.add(self._operation.tag)
        await self._ask(lambda it: it.pause())
        await asyncio.sleep(0.2)
        await self._ask(lambda it: it.resume())

    async def _attach(self) -> object:
        result = await self._ask(lambda it: it.result())
        self._customer.told(self._operation.tag, self._id, result)
        return result

    async def _purge(self) -> None:
        await self._attach()
        self._expect("the purge", await self._ask(lambda it: it.purge()), (None, *NEVER_BEGAN))
        self._world.forgotten(self._operation.tag, self._id)
        await is_forgotten(self._customer, self._operation)

    async def _forget(self) -> None:
        before = await self._attach()
        self._expect("the purge", await self._ask(lambda it: it.purge_journal()), (None, *NEVER_BEGAN))
        self._world.counts["journals"] += 1
        self._expect("a restart without a journal", await self._ask(_restarted), ("410", *NEVER_BEGAN))
        if (after := await self._attach()) != before:
            self._world.violated(f"{self._operation.tag} ended with {before}, and without its journal with {after}")

    async def _restart(self) -> None:
        """Each one that is asked for may happen, also if nobody heard of it."""
        operation, world = self._operation, self._world
        await self._attach()

        def ask(it: Invocation[object]) -> Awaitable[str]:
            world.runs[operation.tag] += 1
            return _restarted(it, operation.entries)

        restarted = await self._ask(ask)
        if not isinstance(restarted, str) or not restarted.startswith("inv_"):
            too_many = ("400",) if operation.entries else ()
            return self._expect("a restart", restarted, ("410", *too_many, *NEVER_BEGAN))
        world.counts["reruns"] += 1
        world.accepted(operation.tag, restarted)
        result = await self._customer.result(lambda engine: engine.invocation(restarted).result())
        self._customer.told(operation.tag, restarted, result)
        return None

    async def _ask(self, ask: Callable[[Invocation[object]], Awaitable[Any]]) -> object:
        return await self._customer.result(lambda engine: ask(engine.invocation(self._id)))

    def _expect(self, what: str, told: object, wanted: tuple[object, ...]) -> None:
        if told not in wanted:
            self._world.violated(f"{what} of {self._operation.tag} was answered {told}, not one of {wanted}")


async def _restarted(it: Invocation[object], entries: int = 0) -> str:
    return (await it.restart(from_entry=entries)).id


async def is_forgotten(customer: Customer, operation: Operation) -> None:
    """Nobody finds by its name what was purged, and what is asked for again is of a later time."""
    await asyncio.sleep(0.002)

    async def look(engine: Client) -> object:
        if operation.kind == "run":
            return await (await engine.lookup(Decision.run, operation.key)).output()
        if operation.kind.endswith("plain"):
            return await (await engine.lookup(Plain.work.options(idempotency_key=operation.tag))).output()
        return await (await engine.lookup(Shelf.work.options(idempotency_key=operation.tag), operation.key)).output()

    told = await customer.result(look)
    if told != "404":
        customer.world.violated(f"{operation.tag} was purged, and looked up it is {told}")


def id_of(operation: Operation) -> str:
    plain = operation.kind.endswith("plain")
    target = Target("Plain", "work") if plain else Target("Shelf", "work", operation.key)
    return write_invocation(idempotent_id(target, operation.tag, None))
