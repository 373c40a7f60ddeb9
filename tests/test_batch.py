"""What a batch may be, and which methods may be given one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from durable import (
    Batch,
    Context,
    Debounce,
    Limit,
    ObjectContext,
    Options,
    QueueFullError,
    Service,
    TerminalError,
    Workflow,
    WorkflowContext,
    WorkflowSharedContext,
    handler,
)
from durable.batch import Member, parts
from durable.openapi import openapi
from durable.service import handlers_of
from durable.sizes import LARGEST
from durable.testing import TestEngine
from tests.fakes import FakeMachine
from tests.runtime.batches import SECOND, Account, Mailer

# What the type checkers would refuse.
unchecked: Any = handler


@pytest.mark.parametrize("size", [0, -1, 10_001, 2.5, True, "10"])
def test_a_size_is_a_number_within_reason(size: Any) -> None:
    with pytest.raises(ValueError, match=r"the size of a batch is a number from 1 to 10,000, got"):
        Batch(size)


def test_a_time_is_a_timedelta() -> None:
    within: Any = 5

    with pytest.raises(TypeError, match="the time that a batch waits is a timedelta, got 5"):
        Batch(10, within=within)
    with pytest.raises(ValueError, match="between zero and ten years"):
        Batch(10, within=timedelta(seconds=-1))


def test_what_is_no_batch_is_refused() -> None:
    with pytest.raises(TypeError, match=r"batch is a Batch, got 100; write batch=Batch\(100"):
        unchecked(batch=100)


@pytest.mark.parametrize("context", [WorkflowContext, WorkflowSharedContext])
def test_a_workflow_has_no_batches(context: Any) -> None:
    async def run(self: Any, ctx: Any, inputs: list[int]) -> None: ...

    run.__annotations__["ctx"] = context
    with pytest.raises(TypeError, match="is a workflow's handler; only services and virtual objects have batches"):
        unchecked(batch=Batch(10))(run)


@pytest.mark.parametrize(
    "line", [{"singleton": "skip"}, {"singleton": "queue"}, {"singleton": "cancel"}, {"debounce": Debounce(SECOND)}]
)
def test_the_calls_of_a_batch_handler_stand_in_no_line(line: Any) -> None:
    async def send(self: Any, ctx: Context, inputs: list[int]) -> None: ...

    with pytest.raises(TypeError, match=r"send is given a batch: .* singleton and debounce are for handlers without"):
        unchecked(batch=Batch(10), **line)(send)


def test_no_queue_of_batches_refuses_anybody() -> None:
    async def send(self: Any, ctx: Context, inputs: list[int]) -> None: ...

    with pytest.raises(TypeError, match=r"send is given a batch: .* are never refused; bound the calls that wait with"):
        unchecked(batch=Batch(10), concurrency=1, queue=5)(send)


async def test_a_limit_of_the_handler_counts_the_calls_and_its_keywords_the_batches() -> None:
    class Slow(Service):
        @handler(batch=Batch(2, within=SECOND), concurrency=1, hold=True)
        async def take(self, ctx: Context, inputs: list[int]) -> list[int]:
            await ctx.sleep(SECOND)
            return inputs

    calls = Limit("handler/Slow/take", concurrency=4, queue=1, hold=True)
    async with TestEngine(Slow(), options=Options(limits=(calls,))) as engine:
        for each in range(5):
            await engine.send(Slow.take, each)
        await engine.settle()
        usage = {use.path: (use.running, use.waiting) for use in engine.limits.usage()}
        with pytest.raises(QueueFullError, match="handler/Slow/take lets 1 wait"):
            await engine.send(Slow.take, 5)

    assert usage == {"handler/Slow/take": (4, 1), "handler/Slow/take.batch": (1, 1)}


def test_a_batch_handler_takes_its_inputs_and_has_no_default() -> None:
    async def none(self: Any, ctx: Context) -> None: ...
    async def default(self: Any, ctx: Context, inputs: list[int] = []) -> None: ...  # noqa: B006

    for function in (none, default):
        with pytest.raises(TypeError, match=r"is given a batch; write `inputs: list\[\.\.\.\]` after its context"):
            unchecked(batch=Batch(10))(function)


def test_a_batch_handler_takes_and_returns_lists() -> None:
    class One(Service):
        @unchecked(batch=Batch(10))
        async def take(self, ctx: Context, inputs: int) -> list[int]: ...

    class Total(Service):
        @unchecked(batch=Batch(10))
        async def total(self, ctx: Context, inputs: list[int]) -> int: ...

    with pytest.raises(TypeError, match=r"One.take is given a batch; declare its input as list\[\.\.\.\]"):
        TestEngine(One())
    with pytest.raises(TypeError, match=r"Total.total is given a batch; declare that it returns list"):
        TestEngine(Total())


def test_to_a_caller_it_takes_one_and_returns_one() -> None:
    class Typed(Service):
        @handler(batch=Batch(10))
        async def plain(self, ctx: Context, inputs: list[int]) -> list[str]: ...

        @handler(batch=Batch(10))
        async def failing(self, ctx: Context, inputs: Sequence[int | None]) -> list[str | TerminalError | None]: ...

        @handler(batch=Batch(10))
        async def nothing(self, ctx: Context, inputs: list[dict[str, int]]) -> None: ...

        @unchecked(batch=Batch(10))
        async def untyped(self, ctx: Context, inputs): ...

    types = {name: (each.input_type, each.output_type) for name, each in handlers_of(Typed).items()}
    assert types == {
        "plain": (int, str),
        "failing": (int | None, str | None),
        "nothing": (dict[str, int], type(None)),
        "untyped": (object, object),
    }


def test_the_document_shows_the_single_input() -> None:
    paths: Any = openapi(Mailer, handlers_of(Mailer))["paths"]
    post = paths["/Mailer/send"]["post"]

    assert post["requestBody"]["content"] == {"application/json": {"schema": {"type": "string"}}}
    assert post["responses"]["200"]["content"] == {"application/json": {"schema": {"type": "integer"}}}
    assert "/Account/{key}/add" in openapi(Account, handlers_of(Account))["paths"]
    assert not [path for path in paths if "batch" in path or ":" in path]


async def test_the_method_is_called_plainly_in_a_unit_test() -> None:
    results = await Mailer().send(Context(FakeMachine()), ["a", "bb"])

    assert results == [1, 2]


def test_a_subclass_has_the_batches_of_its_base() -> None:
    class Other(Mailer): ...

    assert Other.send.batch == Mailer.send.batch
    assert str(Other.send) == "Other.send"


def test_members_that_one_payload_cannot_hold_are_parted_in_order() -> None:
    members = [Member(str(n), bytes(size)) for n, size in enumerate((LARGEST, 1, LARGEST - 1, 1, 2))]

    assert [[member.invocation for member in part] for part in parts(members)] == [["0"], ["1", "2"], ["3", "4"]]
    assert list(parts([])) == []


async def test_an_object_context_does_not_fit_a_service() -> None:
    with pytest.raises(TypeError, match="takes ObjectContext; a handler of a Service takes Context"):

        class Wrong(Service):
            @unchecked(batch=Batch(10))
            async def keyed(self, ctx: ObjectContext, inputs: list[int]) -> list[int]: ...


def test_workflow_is_refused_when_its_class_is_defined() -> None:
    with pytest.raises(TypeError, match="is a workflow's handler"):

        class Wrong(Workflow):
            @unchecked(batch=Batch(10))
            async def run(self, ctx: WorkflowContext, inputs: list[int]) -> list[int]: ...
