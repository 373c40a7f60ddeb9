"""Undo steps run last first, when a terminal error leaves the block, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from durable import Context, DurableTimeoutError, InvocationCancelledError, Saga, TerminalError
from durable.errors import Suspended
from tests.fakes import FakeMachine


class Undone:
    """Undo steps that note their names."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def step(self, name: str, error: BaseException | None = None) -> Callable[[], Awaitable[None]]:
        async def undo() -> None:
            self.names.append(name)
            if error is not None:
                raise error

        return undo


async def run(undone: Undone, error: BaseException | None) -> None:
    async with Saga() as saga:
        saga.undo(undone.step("first"))
        saga.undo(undone.step("second"))
        if error is not None:
            raise error


@pytest.mark.parametrize(
    "error", [TerminalError("no"), InvocationCancelledError(), DurableTimeoutError("late")], ids=repr
)
async def test_a_terminal_error_undoes_last_first_and_goes_on(error):
    undone = Undone()

    with pytest.raises(TerminalError) as got:
        await run(undone, error)

    assert got.value is error
    assert undone.names == ["second", "first"]


@pytest.mark.parametrize("error", [ValueError("bug"), Suspended(), asyncio.CancelledError()], ids=repr)
async def test_whatever_will_be_repeated_undoes_nothing(error):
    undone = Undone()

    with pytest.raises(type(error)):
        await run(undone, error)

    assert undone.names == []


async def test_success_undoes_nothing():
    undone = Undone()

    await run(undone, None)

    assert undone.names == []


async def test_a_failing_undo_step_does_not_stop_the_others_and_is_told():
    undone, declined, stuck = Undone(), TerminalError("declined", status=402), TerminalError("stuck")

    async def saga() -> None:
        async with Saga() as saga:
            saga.undo(undone.step("first"))
            saga.undo(undone.step("second", stuck))
            raise declined

    with pytest.raises(TerminalError, match=r"^declined; and 1 of 2 undo steps failed: stuck$") as got:
        await saga()
    assert undone.names == ["second", "first"]
    assert got.value.status == 402
    assert isinstance(got.value.__cause__, ExceptionGroup)
    assert got.value.__cause__.exceptions == (declined, stuck)


async def test_an_undo_step_that_fails_on_the_way_is_repeated_with_the_attempt():
    undone = Undone()

    async def saga() -> None:
        async with Saga() as saga:
            saga.undo(undone.step("first"))
            saga.undo(undone.step("second", ConnectionError("down")))
            raise TerminalError("no")

    with pytest.raises(ConnectionError):
        await saga()
    assert undone.names == ["second"]


async def test_a_second_cancellation_does_not_leave_an_undo_step_half_way():
    machine = FakeMachine()
    ctx = Context(machine)

    async def saga() -> None:
        async with Saga() as saga:
            saga.undo(lambda: ctx.sleep(timedelta(1)))
            raise TerminalError("no")

    undoing = asyncio.ensure_future(saga())
    await asyncio.sleep(0)
    machine.request_cancel()
    await asyncio.sleep(0)
    machine.answer(1)

    with pytest.raises(TerminalError, match=r"^no$"):
        await undoing
    assert machine.issued == [("sleep", timedelta(1))]
