"""Reading an outcome without waiting for it, and finding an invocation by its names."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from durable import (
    Context,
    InvocationNotReadyError,
    ObjectContext,
    Options,
    Service,
    TerminalError,
    WorkflowContext,
    generic,
    handler,
)
from durable.core.ids import derived, write_invocation
from durable.errors import InvocationNotFoundError
from durable.testing import TestEngine
from tests.runtime.flows import Approval, Counter

MINUTES = timedelta(minutes=10)


class Reader(Service):
    """Reads the outcome of another invocation twice, with a step and some sleep in between."""

    def __init__(self) -> None:
        self.attempts = 0

    @handler
    async def read(self, ctx: Context, id: str) -> list[str]:
        self.attempts += 1
        first = await self.outcome(ctx, id)
        await ctx.sleep(2 * MINUTES)
        return [first, await self.outcome(ctx, id)]

    async def outcome(self, ctx: Context, id: str) -> str:
        try:
            return f"got {await ctx.output(id, int)}"
        except TerminalError as error:
            return f"{error.status} {error.message}"

    @handler
    async def by_name(self, ctx: Context, by: int) -> list[int]:
        add = generic("Counter", "add", ObjectContext)
        once = [await ctx.call(add.options(idempotency_key="k"), "k", b"%d" % by) for _ in range(2)]
        ctx.send(add, "k", b"1")
        return [int(raw) for raw in once]

    @handler
    async def run(self, ctx: Context, key: str) -> str:
        run = generic("Approval", "run", WorkflowContext)
        call = ctx.call(run, key, b"")
        await ctx.call(generic("Approval", "decide", WorkflowContext), key, b'"yes"')
        return (await call).decode()

    @handler
    async def nowhere(self, ctx: Context) -> None:
        await ctx.call(generic("Nobody", "home"), b"")


@pytest.fixture(params=[None, Options(inactivity=timedelta(0))], ids=["resident", "suspending"])
async def engine(request: pytest.FixtureRequest) -> AsyncGenerator[TestEngine]:
    async with TestEngine(Counter(), Approval(), Reader(), options=request.param) as engine:
        yield engine


async def test_an_output_is_read_once_it_is_there(engine: TestEngine) -> None:
    sent = await engine.send(Counter.add_slowly, "k", 5)

    with pytest.raises(InvocationNotReadyError) as early:
        await sent.output()
    await engine.skip(MINUTES)

    assert early.value.status == 470
    assert await sent.output() == 5


async def test_the_output_of_a_failure_is_its_failure(engine: TestEngine) -> None:
    sent = await engine.send(Counter.fail_after_set, "k")
    await engine.settle()

    with pytest.raises(TerminalError, match="set and gone") as failed:
        await sent.output()

    assert failed.value.status == 409


async def test_the_output_of_nothing_is_not_found(engine: TestEngine) -> None:
    with pytest.raises(InvocationNotFoundError):
        await engine.invocation(write_invocation(derived("x", "y"))).output()


async def test_a_handler_that_reads_an_output_reads_the_same_on_replay(engine: TestEngine) -> None:
    slow = await engine.send(Counter.add_slowly, "k", 5)
    read = await engine.send(Reader.read, slow.id)

    await engine.skip(MINUTES)
    await engine.skip(2 * MINUTES)

    assert await read.result() == ["470 the invocation exists but has not completed yet", "got 5"]


async def test_a_handler_that_reads_the_output_of_nothing_gets_404(engine: TestEngine) -> None:
    read = await engine.send(Reader.read, write_invocation(derived("x", "y")))
    await engine.skip(3 * MINUTES)

    assert await read.result() == ["404 not found"] * 2


async def test_a_workflow_is_found_by_its_key(engine: TestEngine) -> None:
    found = await engine.lookup(Approval.run, "o-1")
    with pytest.raises(InvocationNotFoundError):
        await found.output()

    sent = await engine.send(Approval.run, "o-1")
    await engine.call(Approval.decide, "o-1", "yes")

    assert found.id == sent.id
    assert await found.result() == "yes"


async def test_a_call_is_found_by_its_idempotency_key(engine: TestEngine) -> None:
    once = Counter.add.options(idempotency_key="x", identity="jane")
    await engine.call(once, "k", 7)

    assert await (await engine.lookup(once, "k")).output() == 7
    with pytest.raises(InvocationNotFoundError):
        await (await engine.lookup(Counter.add.options(idempotency_key="x"), "k")).output()


@pytest.mark.parametrize(
    ("handler", "key", "error", "message"),
    [
        (Counter.add, "k", ValueError, r"every call of Counter.add has an id of its own; .*options\(idempotency_key="),
        (Approval.run, None, TypeError, "Approval.run needs a key"),
        (Reader.read.options(idempotency_key="x"), "k", TypeError, "Reader.read has no keys, got 'k'"),
        ("Approval.run", "k", TypeError, "'Approval.run' is not a handler"),
    ],
)
async def test_what_has_no_name_cannot_be_found(engine: TestEngine, handler, key, error, message) -> None:
    with pytest.raises(error, match=message):
        await engine.lookup(handler, key)


async def test_handlers_can_be_called_by_their_names(engine: TestEngine) -> None:
    assert await engine.call(Reader.by_name, 3) == [3, 3]
    await engine.settle()

    assert await engine.call(generic("Counter", "read", ObjectContext), "k", b"") == b"4"
    assert await engine.call(Reader.run, "o-1") == '"yes"'


async def test_a_name_that_nobody_has_is_a_404(engine: TestEngine) -> None:
    with pytest.raises(TerminalError, match="there is no handler Nobody/home") as unknown:
        await engine.call(Reader.nowhere)

    assert unknown.value.status == 404


def test_a_name_that_nobody_can_have_is_refused() -> None:
    with pytest.raises(TypeError, match=r"'state.replace' cannot be a name on the wire"):
        generic("Counter", "state.replace", ObjectContext)


async def test_outcomes_by_idempotency_key_can_be_kept_for_another_time() -> None:
    class Short(Counter, retention=timedelta(days=3), idempotency_retention=timedelta(hours=2)): ...

    async with TestEngine(Short()) as engine:
        kept = await engine.send(Short.add, "k", 1)
        forgotten = await engine.send(Short.add.options(idempotency_key="x"), "k", 1)
        await engine.skip(timedelta(hours=4))

        assert await kept.output() == 1
        with pytest.raises(InvocationNotFoundError):
            await forgotten.output()
