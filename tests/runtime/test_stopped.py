"""An engine that stopped says so to everybody, and what to do next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from durable import EngineStoppedError
from durable.core.ids import write_invocation
from durable.testing import TestEngine
from tests.core.bench import id_of
from tests.runtime.flows import Counter

Ask = Callable[[TestEngine, str], Awaitable[object]]

# Of an invocation that is not in memory: the store must not be asked any more.
ID = write_invocation(id_of(9))

ASKED: list[tuple[Ask, str]] = [
    (lambda engine, id: engine.call(Counter.add, "other", 1), "the request was not accepted: open the engine again"),
    (lambda engine, id: engine.send(Counter.add, "other", 1), "the request was not accepted: open the engine again"),
    (lambda engine, id: engine.invocation(id).cancel(), "nothing was done: open the engine again, and ask again"),
    (lambda engine, id: engine.invocation(id).kill(), "nothing was done: open the engine again, and ask again"),
    (lambda engine, id: engine.invocation(id).status(), "open the engine again, and ask again"),
    (lambda engine, id: engine.invocation(id).result(), "open the engine again, and ask again"),
    (lambda engine, id: engine.door.why(id), "open the engine again, and ask again"),
    (lambda engine, id: engine.door.state("Counter", "other"), "open the engine again, and ask again"),
]


@pytest.mark.parametrize(("ask", "what"), ASKED)
async def test_whoever_asks_later_is_told_why_and_what_to_do(ask: Ask, what: str) -> None:
    async with TestEngine(Counter(), crash_at=1) as engine:
        with pytest.raises(EngineStoppedError):
            await engine.send(Counter.add, "k", 1)

        with pytest.raises(
            EngineStoppedError, match=f"the engine is not running: crash before commit 1; {what}"
        ) as told:
            await ask(engine, ID)

    assert "crash before commit 1" in str(told.value.__cause__)


async def test_whoever_waits_for_a_commit_is_told_what_to_do() -> None:
    async with TestEngine(Counter(), crash_at=1) as engine:
        with pytest.raises(
            EngineStoppedError,
            match="stopped before it knew the outcome: crash before commit 1; "
            "open it again, and send the request again with the same idempotency key",
        ):
            await engine.send(Counter.add, "k", 1)


async def test_whoever_waits_for_an_outcome_is_told_what_to_do() -> None:
    async with TestEngine(Counter()) as engine:
        sent = await engine.send(Counter.add_slowly, "k", 1)
        waiting = asyncio.create_task(sent.result())
        await engine.settle()

    with pytest.raises(EngineStoppedError, match="it was closed; the outcome is not known: open the engine again"):
        await waiting


async def test_one_that_stopped_by_itself_does_not_settle() -> None:
    """A test must not pass because nothing moves any more."""
    async with TestEngine(Counter()) as engine:
        engine._open.kernel.writer.fail(OSError("a defect"))
        with pytest.raises(EngineStoppedError, match="a defect"):
            await engine.settle()
