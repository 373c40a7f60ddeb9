"""What is too large is the failure of whoever made it: on a real file, and the engine goes on."""

from __future__ import annotations

from asyncio import Queue
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from durable import (
    Engine,
    ObjectContext,
    PayloadError,
    Promise,
    RetryPolicy,
    State,
    TerminalError,
    VirtualObject,
    Workflow,
    WorkflowContext,
    handler,
)

LARGEST = 64 * 1024
LARGE, TOO_LARGE = b"x" * LARGEST, b"x" * (LARGEST + 1)
ONCE = RetryPolicy(max_attempts=1, exhausted="fail")
WITH_ALL = {f"header-{n}": "x" * 1_000 for n in range(60)}
Program = Callable[[Any], Awaitable[object]]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds of 32 MiB holds of 64 KiB, and is quicker to test."""
    for module in ("durable.sizes", "durable.store.rows", "durable.store.connection"):
        monkeypatch.setattr(f"{module}.LARGEST", LARGEST)


class Any_(Workflow, retry=ONCE):
    state = State(bytes)
    promise = Promise(bytes)

    def __init__(self, program: Program) -> None:
        self.program = program

    @handler
    async def run(self, ctx: WorkflowContext) -> bytes:
        return str(await self.program(ctx)).encode()


class Depot(VirtualObject, retry=ONCE):
    held = State(bytes)

    def __init__(self) -> None:
        self.awakeables: Queue[str] = Queue()

    @handler
    async def swap(self, ctx: ObjectContext, parcel: bytes) -> bytes:
        held = await ctx.get(self.held) or b""
        ctx.set(self.held, parcel)
        return held or parcel

    @handler
    async def fail(self, ctx: ObjectContext, message: str) -> None:
        metadata = {str(n): message for n in range(1_000)}
        raise TerminalError(message, metadata=metadata)

    @handler
    async def wait(self, ctx: ObjectContext) -> bytes:
        awakeable = ctx.awakeable(bytes)
        self.awakeables.put_nowait(awakeable.id)
        return await awakeable


async def large(size: int) -> bytes:
    return b"x" * size


async def in_a_step(ctx: Any) -> object:
    return await ctx.run("large", large, LARGEST + 1)


async def in_a_state(ctx: Any) -> object:
    return ctx.set(Any_.state, TOO_LARGE)


async def in_a_promise(ctx: Any) -> object:
    return await ctx.promise(Any_.promise).resolve(TOO_LARGE)


async def in_an_awakeable(ctx: Any) -> object:
    return ctx.resolve_awakeable(ctx.awakeable(bytes).id, TOO_LARGE)


async def in_a_signal(ctx: Any) -> object:
    return ctx.send_signal(ctx.invocation_id, "go", TOO_LARGE)


async def in_a_call(ctx: Any) -> object:
    return await ctx.call(Depot.swap, "other", TOO_LARGE)


async def in_a_send(ctx: Any) -> object:
    return ctx.send(Depot.swap, "other", TOO_LARGE)


async def as_output(ctx: Any) -> object:
    return "x" * (LARGEST + 1)


@pytest.mark.parametrize(
    ("program", "what"),
    [
        (in_a_step, "the result of step 'large' in Any_.run"),
        (in_a_state, "state Any_.state in Any_.run"),
        (in_a_promise, "promise Any_.promise in Any_.run"),
        (in_an_awakeable, "the value that Any_.run has for an awakeable"),
        (in_a_signal, "signal 'go', sent by Any_.run,"),
        (in_a_call, "the input of Depot.swap"),
        (in_a_send, "the input of Depot.swap"),
        (as_output, "the output of Any_.run"),
    ],
)
async def test_a_handler_that_makes_too_much_fails_alone(tmp_path: Path, program: Program, what: str) -> None:
    async with Engine(tmp_path / "large.db", Any_(program), Depot()) as engine:
        with pytest.raises(TerminalError, match=f"^{what} has 65,537 bytes; at most 65,536 are kept"):
            await engine.call(Any_.run, "k")

        assert await engine.call(Depot.swap, "k", b"small") == b"small"


async def test_what_is_just_small_enough_is_kept_everywhere(tmp_path: Path) -> None:
    async def program(ctx: Any) -> object:
        ctx.set(Any_.state, LARGE)
        await ctx.promise(Any_.promise).resolve(LARGE)
        await ctx.run("large", large, LARGEST)
        assert await ctx.call(Depot.swap.options(headers=WITH_ALL), "k", LARGE) == LARGE
        return len(await ctx.get(Any_.state)) + len(await ctx.promise(Any_.promise))

    async with Engine(tmp_path / "large.db", Any_(program), Depot()) as engine:
        assert await engine.call(Any_.run, "k") == b"131072"


async def test_an_invocation_may_have_the_largest_input_and_the_largest_output(tmp_path: Path) -> None:
    reference = Depot.swap.options(headers=WITH_ALL, idempotency_key="i" * 1024, identity="w" * 1024)
    async with Engine(tmp_path / "large.db", Depot()) as engine:
        assert await engine.call(reference, "k" * 1024, LARGE) == LARGE

    async with Engine(tmp_path / "large.db", Depot()) as engine:
        assert await engine.call(reference, "k" * 1024, LARGE) == LARGE


async def test_an_error_that_says_too_much_is_cut(tmp_path: Path) -> None:
    async with Engine(tmp_path / "large.db", Depot()) as engine:
        with pytest.raises(TerminalError) as error:
            await engine.call(Depot.fail, "k", "y" * 60_000)

        assert error.value.message == "y" * 60_000
        assert error.value.metadata == {"0": "y" * 60_000}
        assert await engine.call(Depot.swap, "k", b"small") == b"small"


async def test_an_awakeable_takes_no_more_from_outside(tmp_path: Path) -> None:
    depot = Depot()
    async with Engine(tmp_path / "large.db", depot) as engine:
        sent = await engine.send(Depot.wait, "k")
        id = await depot.awakeables.get()

        with pytest.raises(PayloadError, match="the value of an awakeable has 65,537 bytes"):
            await engine.awakeable(id).resolve(TOO_LARGE)
        await engine.awakeable(id).resolve(LARGE)

        assert await sent.result() == LARGE


async def test_an_input_from_outside_is_refused(tmp_path: Path) -> None:
    async with Engine(tmp_path / "large.db", Depot()) as engine:
        with pytest.raises(PayloadError, match=r"the input of Depot\.swap has 65,537 bytes"):
            await engine.call(Depot.swap, "k", TOO_LARGE)

        assert await engine.call(Depot.swap, "k", b"small") == b"small"
