"""UserErrors, RunRetry, RunFlush and NonDeterminismErrors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from durable import Context, Service, TerminalError, handler
from durable.core.entries import Completed
from durable.handlers import Handler
from durable.store.memory import MemoryDisk
from tests.conformance.services import Counter, TestUtilsService
from tests.conformance.troubles import Failing, FailureToPropagate, NonDeterministic
from tests.conformance.world import REMOTE_SUSPENDS, HttpWorld, World, embedded

SOON = timedelta(seconds=5)
FAILURE = FailureToPropagate("my-error")
WITH_METADATA = FailureToPropagate("my-error", {"some": "metadata", "another": "metadata"})


async def test_user_errors_invoke_terminally_failing_call(world: World, key: str) -> None:
    with pytest.raises(TerminalError, match="my-error"):
        await world.door.call(Failing.terminally_failing_call, key, FAILURE)


async def test_user_errors_fail_several_times(world: World, key: str) -> None:
    for _ in range(3):
        with pytest.raises(TerminalError, match="my-error"):
            await world.door.call(Failing.terminally_failing_call, key, FAILURE)


async def test_user_errors_internal_call_failure_propagation(world: World, key: str) -> None:
    with pytest.raises(TerminalError, match="my-error"):
        await world.door.call(Failing.call_terminally_failing_call, key, FAILURE)


async def test_user_errors_side_effect_with_terminal_error(world: World, key: str) -> None:
    with pytest.raises(TerminalError, match="my-error"):
        await world.door.call(Failing.terminally_failing_side_effect, key, FAILURE)


@pytest.mark.parametrize(
    "failing",
    [Failing.terminally_failing_call, Failing.call_terminally_failing_call, Failing.terminally_failing_side_effect],
    ids=["terminal", "internal call", "side effect"],
)
async def test_user_errors_with_metadata(http: HttpWorld, key: str, failing: Handler[..., Any]) -> None:
    answer = await http.door.post(failing, key, WITH_METADATA)

    assert answer.status_code == 500
    assert (answer.json()["message"], answer.json()["metadata"]) == ("my-error", WITH_METADATA.metadata)


async def test_user_errors_fail_several_times_with_metadata(http: HttpWorld, key: str) -> None:
    answers = [await http.door.post(Failing.terminally_failing_call, key, WITH_METADATA) for _ in range(3)]

    assert [answer.json()["metadata"] for answer in answers] == [WITH_METADATA.metadata] * 3


async def test_user_errors_set_state_then_fail_should_persist_state(world: World, key: str) -> None:
    with pytest.raises(TerminalError, match=key):
        await world.door.call(Counter.add_then_fail, key, 1)

    assert await world.door.call(Counter.get, key) == 1


async def test_user_errors_invocation_with_eventual_success(world: World, key: str) -> None:
    sent = await world.door.send(Failing.failing_call_with_eventual_success, key)

    assert await world.result(sent, within=SOON) == 4


async def test_run_retry_with_success(world: World, key: str) -> None:
    sent = await world.door.send(Failing.succeeds_after_given_attempts, key, 3)

    assert await world.result(sent, within=SOON) == 3


@pytest.mark.parametrize("attempts", [1, 3], ids=["executed_only_once", "with_exhausted_attempts"])
async def test_run_retry(world: World, key: str, attempts: int) -> None:
    sent = await world.door.send(Failing.fails_after_given_attempts, key, attempts)

    assert await world.result(sent, within=SOON) == attempts


class Flusher(Service):
    """Each step tells how many results the disk has when it begins."""

    def __init__(self, disk: Callable[[], MemoryDisk]) -> None:
        self.disk = disk

    @handler
    async def flush(self, ctx: Context, steps: int) -> list[int]:
        return [await ctx.run("count", self._results) for _ in range(steps)]

    async def _results(self) -> int:
        disk = self.disk()
        return sum(isinstance(entry, Completed) for n in disk.journals for entry in disk.journal(n))


async def test_run_flush_count(world: World) -> None:
    """A server that suspends starts an attempt for each step; here a step is not waited for from outside."""
    executed = 0 if REMOTE_SUSPENDS else 3

    assert await world.door.call(TestUtilsService.count_executed_side_effects, 3) == executed


@embedded
async def test_run_flush_flush(world: World) -> None:
    await world.restart(Flusher(lambda: world.engine.disk), kill=False)

    assert await world.door.call(Flusher.flush, 3) == [0, 1, 2]


@pytest.mark.parametrize(
    "method",
    [
        NonDeterministic.either_sleep_or_call,
        NonDeterministic.call_different_method,
        NonDeterministic.background_invoke_with_different_targets,
        NonDeterministic.set_different_key,
    ],
    ids=lambda method: method.name,
)
async def test_non_determinism_errors_method(world: World, key: str, method: Handler[..., Any]) -> None:
    await world.door.call(Counter.add, key, 1)
    sent = await world.door.send(method, key)
    await world.replay()

    async def paused() -> bool:
        return await world.door.status(sent) == "paused"

    await world.skip(timedelta(seconds=1))
    await world.until(paused)

    assert await world.door.call(Counter.get, key) == 1
