"""A client: it does one operation after the other, and asks again until it knows, where asking again is harmless."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from durable import DurableError, TerminalError
from durable.core.entries import Target
from durable.core.ids import write_invocation
from durable.core.invocation import workflow_id
from durable.core.outcome import Failure
from durable.engine import Engine as Client
from durable.replacement import REPLACE_STATE, Replacement, version_of
from durable.runtime.requests import Submission
from tests.simulation.control import Control, id_of, is_forgotten
from tests.simulation.linear import Done
from tests.simulation.scenario import ABOUT, Operation
from tests.simulation.services import Decision, Job, Plain, Register, Shelf, called, milliseconds

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
        except TerminalError as error:
            if error.status == 429:
                raise LostError from error  # too many wait: it sends it again later
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
            elif kind[0] in ABOUT and kind[0] != "again":
                await Control(self, operation).do(kind[0])
            else:
                await self._request(kind[-1], operation)

    async def answer(self, what: str) -> None:
        """An awakeable, twice, or a signal: a second one might find whoever has the id then."""
        await asyncio.sleep(self.world.chance(f"answer {what}").choice((0, 0.01, 1, 4)))
        id, _, name = what.partition(" ")
        for value in ("first",) if name else ("first", "second"):

            async def complete(engine: Client, value: str = value) -> None:
                if name:
                    await engine.invocation(id).signal(name, value)
                else:
                    await engine.awakeable(id).resolve(value)

            try:
                await self.insist(complete)
            except TerminalError:
                return  # the invocation was cancelled, and is forgotten

    # -- how

    async def resume(self, id: str) -> None:
        async def resume(engine: Client) -> None:
            with suppress(TerminalError):  # somebody killed it
                await engine.invocation(id).resume()

        await self.insist(resume)

    async def _request(self, kind: str, operation: Operation) -> None:
        handler: Any = Plain.work if kind == "plain" else Shelf.work
        handler = called(handler, operation.tag, idempotency_key=operation.tag)
        arguments = ([] if kind == "plain" else [operation.key]) + [Job(operation.tag, operation.program)]
        id = id_of(operation)
        if kind in ("send", "later"):
            delay = milliseconds(operation.delay_ms if kind == "later" else 0)
            await self.insist(lambda engine: engine.send_later(delay, handler, *arguments), operation.timeout_ms)
            return self.world.accepted(operation.tag, id)
        result = await self.result(lambda engine: engine.call(handler, *arguments), operation.timeout_ms)
        return self.told(operation.tag, id, result)

    async def result(self, ask: Ask[Any], timeout_ms: int | None = None) -> object:
        try:
            return await self.insist(ask, timeout_ms)
        except TerminalError as error:
            return f"{error.status}"

    def told(self, tag: str, id: str, result: object) -> None:
        if result != "409" and result != "404":  # what was cancelled before it began has no record
            self.world.accepted(tag, id)
            self.world.answered(tag, id, result)

    async def _decision(self, operation: Operation) -> None:
        for round in range(operation.times):
            await self._decide(operation, round)
            if round + 1 < operation.times:
                await self._purge_decision(operation)

    async def _decide(self, operation: Operation, round: int) -> None:
        tag, id = operation.tag, workflow(operation)
        run = called(Decision.run, tag, attach=True)
        await self.insist(lambda engine: engine.send(run, tag, Job(tag, operation.program)), operation.timeout_ms)
        self.world.accepted(tag, id)
        for value in ("first", "second"):
            key = Decision.decide.options(idempotency_key=f"{tag} {round} {value}")
            refused = await self.result(lambda engine, key=key, value=value: engine.call(key, tag, value))
            if (refused is not None) != (value == "second"):
                self.world.violated(f"promise {tag} was completed with {value}: {refused}")
        result = await self.result(lambda engine: engine.invocation(id).result())
        self.told(tag, id, result)

    async def _purge_decision(self, operation: Operation) -> None:
        id = workflow(operation)
        told = await self.result(lambda engine: engine.invocation(id).purge())
        if told not in (None, "404"):
            self.world.violated(f"the purge of {operation.tag} was answered {told}")
        self.world.forgotten(operation.tag, id)
        await is_forgotten(self, operation)

    async def _register(self, operation: Operation) -> None:
        name, *arguments = operation.asked
        if operation.kind == "read":
            name, arguments = "get", []
        key, state = operation.key, Registers(operation.key)
        if name == "swap":
            seen = await self._recorded(operation, ("get",), state.read)
            if seen is None or state.version is None:
                return  # there is no state yet, or nobody knows
            arguments.insert(0, seen)
            await asyncio.sleep(self.world.chance(self.name).choice((0, 0.002, 0.05)))
        asks: dict[str, Ask[Any]] = {
            "cas": lambda engine: engine.call(Register.cas, key, (arguments[0], arguments[1])),
            "replace": lambda engine: state.replace(engine, arguments[0]),
            "swap": lambda engine: state.replace(engine, arguments[1]),
        }
        plain: Ask[Any] = lambda engine: engine.call(getattr(Register, name), key, *arguments)  # noqa: E731
        await self._recorded(operation, (name, *arguments), asks.get(name, plain))

    async def _recorded(self, operation: Operation, asked: tuple[Any, ...], ask: Ask[Any]) -> Any:
        called, result, returned = self.world.event(), None, None
        try:
            result = await self.ask(ask, operation.timeout_ms)
            returned = self.world.event()
        except LostError:
            self.world.counts["unknown"] += 1
        self.world.registers.setdefault(operation.key, []).append(Done(called, returned, asked, result))
        return result


class Registers:
    """The state of one key, as an operator reads and replaces it."""

    def __init__(self, key: str) -> None:
        self._key = key
        self.version: str | None = None
        """Of what was read, if there was anything; then nothing else is replaced."""

    async def read(self, engine: Client) -> int:
        state = await engine.door.state("Register", self._key)
        self.version = version_of(state) if state else None
        return int(state.get("value", b"0"))

    async def replace(self, engine: Client, value: int) -> bool | None:
        """Whether it was replaced, if a version was asked for."""
        wanted = Replacement({"value": str(value).encode()}, self.version)
        target = Target("Register", REPLACE_STATE, self._key)
        called = await engine.door.call(Submission(target=target, payload=wanted.encode()))
        refused = isinstance(called.outcome, Failure)
        return None if self.version is None else not refused


async def _awaited(ask: Ask[T], engine: Client) -> T:
    return await ask(engine)


def workflow(operation: Operation) -> str:
    return write_invocation(workflow_id("Decision", operation.key))
