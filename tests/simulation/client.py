"""A client: it does one operation after the other, and asks again until it knows, where asking again is harmless."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from durable import Client, DurableError, Invocation, TerminalError
from durable.core.entries import Target
from durable.core.ids import write_invocation
from durable.core.invocation import idempotent_id, workflow_id
from tests.simulation.linear import Done
from tests.simulation.scenario import Operation
from tests.simulation.services import Decision, Job, Plain, Register, Shelf, milliseconds

if TYPE_CHECKING:
    from tests.simulation.host import Host

T = TypeVar("T")
Ask = Callable[[Client], Awaitable[T]]


class LostError(Exception):
    """The client does not know what became of its request."""


class Customer:
    def __init__(self, host: Host, name: str) -> None:
        self.host, self.world, self.name = host, host.world, name

    async def ask(self, ask: Ask[T], timeout_ms: int | None = None) -> T:
        """Once: it may be answered, refused by the handler (``TerminalError``), or lost."""
        process, engine = await self.host.running()
        task = process.begin(_awaited(ask, engine))
        timeout = None if timeout_ms is None else timeout_ms / 1000
        await asyncio.wait({task, process.death}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if process.dead or not task.done():
            task.cancel()
            raise LostError
        try:
            return task.result()
        except TerminalError:
            raise
        except (DurableError, asyncio.CancelledError) as error:
            self.world.note(self.name, "was told", type(error).__name__)
            raise LostError from error

    async def insist(self, ask: Ask[T], timeout_ms: int | None = None) -> T:
        while True:
            try:
                return await self.ask(ask, timeout_ms)
            except LostError:
                timeout_ms = None  # it hangs up once
                await asyncio.sleep(self.world.chance(self.name).uniform(0.001, 0.5))

    async def work(self, operations: list[Operation]) -> None:
        for operation in operations:
            await asyncio.sleep(operation.pause_ms / 1000)
            self.world.note(self.name, operation.kind, operation.tag)
            self.world.counts["operations"] += 1
            kind = operation.kind.split()
            if kind[0] in ("register", "read"):
                await self._register(operation)
            elif kind[0] == "run":
                await self._decision(operation)
            elif kind[0] in ("cancel", "kill", "pause", "attach"):
                await self._about(kind[0], operation)
            else:
                await self._request(kind[-1], operation)

    async def answer_awakeable(self, id: str) -> None:
        await asyncio.sleep(self.world.chance(f"answer {id}").choice((0, 0.01, 1, 4)))
        for value in ("first", "second"):
            try:
                await self.insist(lambda engine, value=value: engine.awakeable(id).resolve(value))
            except TerminalError:
                return  # the invocation was cancelled, and is forgotten

    # -- how

    async def _request(self, kind: str, operation: Operation) -> None:
        handler: Any = Plain.work if kind == "plain" else Shelf.work
        handler = handler.options(idempotency_key=operation.tag)
        arguments = ([] if kind == "plain" else [operation.key]) + [Job(operation.tag, operation.program)]
        id = id_of(operation)
        if kind in ("send", "later"):
            delay = milliseconds(operation.delay_ms if kind == "later" else 0)
            await self.insist(lambda engine: engine.send_later(delay, handler, *arguments), operation.timeout_ms)
            return self.world.accepted(operation.tag, id)
        result = await self._result(lambda engine: engine.call(handler, *arguments), operation.timeout_ms)
        return self._told(operation.tag, id, result)

    async def _result(self, ask: Ask[Any], timeout_ms: int | None = None) -> object:
        try:
            return await self.insist(ask, timeout_ms)
        except TerminalError as error:
            return f"{error.status}"

    def _told(self, tag: str, id: str, result: object) -> None:
        if result != "409" and result != "404":  # what was cancelled before it began has no record
            self.world.accepted(tag, id)
            self.world.answered(tag, id, result)

    async def _decision(self, operation: Operation) -> None:
        tag, id = operation.tag, write_invocation(workflow_id("Decision", operation.key))
        run = Decision.run.options(attach=True)
        await self.insist(lambda engine: engine.send(run, tag, Job(tag, operation.program)), operation.timeout_ms)
        self.world.accepted(tag, id)
        for value in ("first", "second"):
            key = Decision.decide.options(idempotency_key=f"{tag} {value}")
            refused = await self._result(lambda engine, key=key, value=value: engine.call(key, tag, value))
            if (refused is not None) != (value == "second"):
                self.world.violated(f"promise {tag} was completed with {value}: {refused}")
        result = await self._result(lambda engine: engine.invocation(id).result())
        self._told(tag, id, result)

    async def _about(self, verb: str, operation: Operation) -> None:
        handle = lambda engine: engine.invocation(id_of(operation))  # noqa: E731
        verbs: dict[str, Ask[Any]] = {
            "cancel": lambda engine: handle(engine).cancel(),
            "kill": lambda engine: handle(engine).kill(),
            "attach": lambda engine: handle(engine).result(),
            "pause": lambda engine: pause_and_resume(handle(engine)),
        }
        result = await self._result(verbs[verb])
        if verb == "pause":
            await self._result(lambda engine: handle(engine).resume())
        if verb == "attach":
            self._told(operation.tag, id_of(operation), result)

    async def _register(self, operation: Operation) -> None:
        name, *arguments = operation.asked
        if operation.kind == "read":
            name, arguments = "get", []
        given = [tuple(arguments)] if name == "cas" else arguments
        called, result, returned = self.world.event(), None, None
        try:
            ask: Ask[Any] = lambda engine: engine.call(getattr(Register, name), operation.key, *given)  # noqa: E731
            result = await self.ask(ask, operation.timeout_ms)
            returned = self.world.event()
        except LostError:
            self.world.counts["unknown"] += 1
        history = self.world.registers.setdefault(operation.key, [])
        history.append(Done(called, returned, (name, *arguments), result))


async def _awaited(ask: Ask[T], engine: Client) -> T:
    return await ask(engine)


async def pause_and_resume(invocation: Invocation[object]) -> None:
    await invocation.pause()
    await asyncio.sleep(0.2)
    await invocation.resume()


def id_of(operation: Operation) -> str:
    plain = operation.kind.endswith("plain")
    target = Target("Plain", "work") if plain else Target("Shelf", "work", operation.key)
    return write_invocation(idempotent_id(target, operation.tag, None))
