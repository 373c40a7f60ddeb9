"""Sleep, SleepWithFailures, KillRuntime and StopRuntime."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.conformance import interpreter as i
from tests.conformance.interpreter import VirtualObjectCommandInterpreter as Interpreter
from tests.conformance.services import Counted, Counter
from tests.conformance.world import World, embedded

END = [pytest.param(True, id="kill"), pytest.param(False, id="stop")]


def sleeping(*durations_ms: int) -> i.Program:
    return i.Program([i.AwaitOne(i.Sleep(each)) for each in durations_ms])


async def test_sleep_sleep(world: World, key: str) -> None:
    sent = await world.door.send(Interpreter.interpret_commands, key, sleeping(500))
    await world.skip(timedelta(milliseconds=400))
    assert await world.door.status(sent) != "completed"

    assert await world.result(sent, within=timedelta(milliseconds=100)) == "sleep"


async def test_sleep_many_sleeps(world: World, key: str) -> None:
    programs = {f"{key}-{n}": sleeping(*((7 * n + 13 * each) % 50 for each in range(20))) for n in range(25)}
    begun = [world.door.send(Interpreter.interpret_commands, *program) for program in programs.items()]
    sent = await asyncio.gather(*begun)

    await world.skip(timedelta(seconds=1))

    assert await asyncio.gather(*map(world.door.result, sent)) == ["sleep"] * 25


@embedded
@pytest.mark.parametrize("kill", END)
async def test_sleep_with_failures_sleep_and_end_service_endpoint(world: World, key: str, kill: bool) -> None:
    sent = await world.door.send(Interpreter.interpret_commands, key, sleeping(4000))
    await world.skip(timedelta(seconds=2))

    await world.restart(kill=kill)
    await world.skip(timedelta(seconds=1.9))

    assert await world.door.status(sent) != "completed"
    assert await world.result(sent, within=timedelta(seconds=0.1)) == "sleep"


@embedded
@pytest.mark.parametrize("kill", END)
async def test_kill_and_stop_runtime_retains_the_state(world: World, key: str, kill: bool) -> None:
    await world.door.call(Counter.add, key, 1)

    await world.restart(kill=kill)

    assert await world.door.call(Counter.add, key, 1) == Counted(1, 2)
