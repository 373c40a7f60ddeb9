"""Combinators and Signals: who wins, whatever waits in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest

from durable import TerminalError
from tests.conformance import interpreter as i
from tests.conformance.doors import Sent
from tests.conformance.interpreter import VirtualObjectCommandInterpreter as Interpreter
from tests.conformance.services import RejectSignal, ResolveSignal, TestUtilsService
from tests.conformance.world import World

NOW = timedelta(0)
SOON = timedelta(milliseconds=100)


async def begin(world: World, key: str, *commands: i.Command) -> Sent:
    return await world.door.send(Interpreter.interpret_commands, key, i.Program(list(commands)))


async def until_awakeable(world: World, key: str, name: str) -> None:
    async def there() -> bool:
        return bool(await world.door.call(Interpreter.has_awakeable, key, name))

    await world.until(there)


async def resolve(world: World, sent: Sent, name: str, value: str) -> None:
    await world.door.call(TestUtilsService.resolve_signal, ResolveSignal(sent.id, name, value))


async def reject(world: World, sent: Sent, name: str, reason: str) -> None:
    await world.door.call(TestUtilsService.reject_signal, RejectSignal(sent.id, name, reason))


def three_signals() -> list[i.Awaitable]:
    return [i.CreateSignal(f"sig{n}") for n in range(3)]


async def test_combinators_awaitable_or_timeout_using_await_any(world: World, key: str) -> None:
    sent = await begin(world, key, i.AwaitAny([i.CreateAwakeable("awk"), i.Sleep(100)]))

    assert await world.result(sent, within=SOON) == "sleep"


async def test_combinators_awakeable_or_timeout_using_awakeable_timeout_command(world: World, key: str) -> None:
    sent = await begin(world, key, i.AwaitAwakeableOrTimeout("awk", 100))

    with pytest.raises(TerminalError, match="await-timeout"):
        await world.result(sent, within=SOON)


async def test_combinators_first_successful_completed_awakeable(world: World, key: str) -> None:
    names = ["awk0", "awk1", "awk2"]
    parts = [part for name in names for part in (i.CreateAwakeable(name), i.RunThrows("no"))]
    sent = await begin(world, key, i.AwaitAnySuccessful(parts))
    await until_awakeable(world, key, "awk2")

    await world.door.call(Interpreter.reject_awakeable, key, i.Rejection("awk2", "rejected"))
    await world.door.call(Interpreter.resolve_awakeable, key, i.Resolution("awk1", "awk1-result"))

    assert await world.result(sent, within=NOW) == "awk1-result"


async def test_combinators_signal_first_successful_or_all_failed(world: World, key: str) -> None:
    sent = await begin(world, key, i.AwaitFirstSucceeded(three_signals()))

    await reject(world, sent, "sig0", "fail0")
    await reject(world, sent, "sig2", "fail2")
    await resolve(world, sent, "sig1", "success1")

    assert await world.result(sent, within=NOW) == "success1"


async def test_combinators_signal_all_successful_or_first_failed(world: World, key: str) -> None:
    sent = await begin(world, key, i.AwaitAllSucceeded(three_signals()))

    for n in (2, 0, 1):
        await resolve(world, sent, f"sig{n}", f"val{n}")

    assert await world.result(sent, within=NOW) == "val0|val1|val2"


async def test_combinators_signal_all_completed(world: World, key: str) -> None:
    sent = await begin(world, key, i.AwaitAllCompleted(three_signals()))

    await resolve(world, sent, "sig0", "val0")
    await reject(world, sent, "sig1", "err1")
    await resolve(world, sent, "sig2", "val2")

    assert await world.result(sent, within=NOW) == "ok:val0|err:err1|ok:val2"


async def test_combinators_signal_first_completed(world: World, key: str) -> None:
    sent = await begin(world, key, i.AwaitFirstCompleted(three_signals()))

    await resolve(world, sent, "sig1", "first")

    assert await world.result(sent, within=NOW) == "first"


async def test_combinators_mixed_run_wins_race_against_signal(world: World, key: str) -> None:
    sent = await begin(world, key, i.AwaitFirstCompleted([i.CreateSignal("never"), i.RunReturns("runval")]))

    assert await world.result(sent, within=NOW) == "runval"


async def test_combinators_mixed_signal_wins_after_run_fails(world: World, key: str) -> None:
    sent = await begin(world, key, i.AwaitFirstSucceeded([i.RunThrows("fail"), i.CreateSignal("sig")]))

    await resolve(world, sent, "sig", "sigval")

    assert await world.result(sent, within=NOW) == "sigval"


async def test_combinators_mixed_all_succeeded_run_and_signal(world: World, key: str) -> None:
    sent = await begin(world, key, i.AwaitAllSucceeded([i.RunReturns("runval"), i.CreateSignal("sig")]))

    await resolve(world, sent, "sig", "sigval")

    assert await world.result(sent, within=NOW) == "runval|sigval"


async def test_combinators_mixed_all_completed_run_signal_and_failed_run(world: World, key: str) -> None:
    parts: list[i.Awaitable] = [i.RunReturns("runval"), i.CreateSignal("sig"), i.RunThrows("fail")]
    sent = await begin(world, key, i.AwaitAllCompleted(parts))

    await resolve(world, sent, "sig", "sigval")

    assert await world.result(sent, within=NOW) == "ok:runval|ok:sigval|err:fail"


async def test_signals_resolve(world: World, key: str) -> None:
    sent = await begin(world, key, i.AwaitOne(i.CreateSignal("sig")))

    await resolve(world, sent, "sig", "my-value")

    assert await world.result(sent, within=NOW) == "my-value"


async def test_signals_reject(world: World, key: str) -> None:
    sent = await begin(world, key, i.AwaitOne(i.CreateSignal("sig")))

    await reject(world, sent, "sig", "my-reason")

    with pytest.raises(TerminalError, match="my-reason") as error:
        await world.result(sent, within=NOW)
    assert error.value.status == 500
