"""Cancellation and KillInvocation: a chain of calls that is blocked, and must let go of its keys."""

from __future__ import annotations

import pytest

from tests.conformance.doors import Sent
from tests.conformance.services import AwakeableHolder, TestUtilsService
from tests.conformance.troubles import (
    CancelTestBlockingService,
    CancelTestRunner,
    KillTestRunner,
    KillTestSingleton,
)
from tests.conformance.world import World

OPERATIONS = ["CALL", "SLEEP", "AWAKEABLE"]


async def until_held(world: World, key: str) -> None:
    async def held() -> bool:
        return bool(await world.door.call(AwakeableHolder.has_awakeable, key))

    await world.until(held)


async def blocked(world: World, key: str, operation: str) -> Sent:
    """A runner whose callee waits in ``operation``."""
    runner = await world.door.send(CancelTestRunner.start_test, key, operation)
    await until_held(world, key)
    await world.door.call(AwakeableHolder.unlock, key, "go")
    await world.settle()
    return runner


async def until_cancelled(world: World, key: str) -> None:
    async def cancelled() -> bool:
        return bool(await world.door.call(CancelTestRunner.verify_test, key))

    await world.until(cancelled)
    await world.door.call(CancelTestBlockingService.is_unlocked, key)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_cancellation_cancel_from_admin_api(world: World, key: str, operation: str) -> None:
    runner = await blocked(world, key, operation)

    await world.door.control("cancel", runner)

    await until_cancelled(world, key)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_cancellation_cancel_from_context(world: World, key: str, operation: str) -> None:
    runner = await blocked(world, key, operation)

    await world.door.call(TestUtilsService.cancel_invocation, runner.id)

    await until_cancelled(world, key)


async def test_kill_invocation_kill(world: World, key: str) -> None:
    runner = await world.door.send(KillTestRunner.start_call_tree, key)
    await until_held(world, key)

    await world.door.control("kill", runner)

    await world.door.call(KillTestSingleton.is_unlocked, key)
    assert await world.door.status(runner) == "completed"
