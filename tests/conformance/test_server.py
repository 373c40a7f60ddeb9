"""The tests of the server's own features: ingress, pause and resume, restart, retention, upgrades."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from openapi_spec_validator import validate

from durable import Context, Service, TerminalError, handler
from durable.core.entries import Completed, Sleep
from durable.core.ids import read_invocation
from durable.service import AnyService
from tests.conformance.features import (
    SHORT,
    AwakeableGreeter,
    PrivateService,
    RestartGreeter,
    RetryableGreeter,
    ShortCounter,
    Sleeper,
)
from tests.conformance.services import SOON, Counted, Counter, Proxy
from tests.conformance.test_calls import through_proxy
from tests.conformance.world import REMOTE, HttpWorld, World, embedded

SECOND = timedelta(seconds=1)


async def awakeable_of(world: World, key: str) -> str:
    async def there() -> bool:
        return bool(await world.door.call(AwakeableGreeter.id, key))

    await world.until(there)
    return str(await world.door.call(AwakeableGreeter.id, key))


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
async def test_awakeable_ingress_endpoint_complete_with_success(
    http: HttpWorld, key: str, content_type: str | None
) -> None:
    sent = await http.door.send(AwakeableGreeter.run, key)
    awakeable = await awakeable_of(http, key)
    headers = {} if content_type is None else {"content-type": content_type}

    answer = await http.door.ingress.post(
        f"/restate/awakeables/{awakeable}/resolve", content=b'"world"', headers=headers
    )

    assert answer.status_code == 202
    assert await http.result(sent, within=timedelta(0)) == "hello world"


async def test_awakeable_ingress_endpoint_complete_with_failure(world: World, key: str) -> None:
    sent = await world.door.send(AwakeableGreeter.run, key)

    await world.door.reject(await awakeable_of(world, key), "my reason")

    with pytest.raises(TerminalError, match="my reason"):
        await world.result(sent, within=timedelta(0))


async def test_ingress_idempotent_invoke_virtual_object(world: World, key: str) -> None:
    once = ShortCounter.add.options(idempotency_key=key)
    assert [await world.door.call(once, key, 2) for _ in range(2)] == [Counted(0, 2)] * 2

    await world.skip(SHORT + 2 * SECOND)

    assert await world.door.call(once, key, 2) == Counted(2, 4)
    assert await world.door.call(ShortCounter.get, key) == 4


async def test_ingress_idempotent_invoke_service(world: World, key: str) -> None:
    once = Proxy.call.options(idempotency_key=key)

    for _ in range(2):
        await world.door.call(once, through_proxy(Counter.add, key, 2))

    assert await world.door.call(Counter.get, key) == 2


async def test_ingress_idempotent_invoke_send(http: HttpWorld, key: str) -> None:
    once = Counter.add.options(idempotency_key=key)

    first, again = [(await http.door.post(once, key, 2, verb="/send")).json() for _ in range(2)]

    assert (first["status"], again["status"]) == ("Accepted", "PreviouslyAccepted")
    assert first["invocationId"] == again["invocationId"]
    assert await http.door.call(Counter.add, key, 0) == Counted(2, 2)


async def test_ingress_idempotent_send_then_attach_with_idempotency_key(http: HttpWorld, key: str) -> None:
    path = f"/restate/invocation/AwakeableGreeter/{key}/run/{key}"
    await http.door.send(AwakeableGreeter.run.options(idempotency_key=key), key)
    awakeable = await awakeable_of(http, key)
    early = await http.door.ingress.get(f"{path}/output")
    attached = asyncio.create_task(http.door.ingress.get(f"{path}/attach"))
    await http.settle()
    assert (early.status_code, attached.done()) == (470, False)

    await http.door.resolve(awakeable, "world")

    assert (await attached).json() == "hello world"
    assert (await http.door.ingress.get(f"{path}/output")).json() == "hello world"


async def test_ingress_private_service(http: HttpWorld) -> None:
    answer = await http.door.post(PrivateService.greet, "Ann")
    proxied = await http.door.call(Proxy.call, through_proxy(PrivateService.greet, None, "Ann"))

    assert (answer.status_code, answer.json()["message"]) == (400, "the invoked service is not public")
    assert bytes(proxied) == b'"hello Ann"'


@embedded
async def test_journal_retention(world: World) -> None:
    sent = await world.door.send(Sleeper.nap)
    await world.result(sent, within=SOON)

    disk = world.engine.disk
    journal = disk.journal(disk.numbers[read_invocation(sent.id)])

    # The input and the output are in the invocation's row.
    assert [type(entry) for entry in journal] == [Sleep, Completed]


@pytest.mark.xfail(REMOTE, reason="Restate 1.7.12 writes null where OpenAPI has a string, if nothing is documented")
async def test_openapi(http: HttpWorld) -> None:
    for service in ("Counter", "Proxy", "BlockAndWaitWorkflow", "VirtualObjectCommandInterpreter"):
        answer = await http.door.admin.get(f"/services/{service}/openapi")

        assert answer.status_code == 200
        validate(answer.json())


async def test_pause_resume(world: World, key: str) -> None:
    sent = await world.door.send(RetryableGreeter.greet, key, "Ann")

    async def paused() -> bool:
        return await world.door.status(sent) == "paused"

    await world.skip(SECOND)
    await world.until(paused)
    await world.door.call(RetryableGreeter.mend, key)
    await world.door.control("resume", sent)

    assert await world.result(sent, within=timedelta(0)) == "Ann"
    assert await world.door.status(sent) == "completed"


@pytest.mark.parametrize(("from_entry", "greeted"), [(0, "Ann from new"), (1, "Ann from old")])
async def test_restart_as_new_invocation(world: World, key: str, from_entry: int, greeted: str) -> None:
    sent = await world.door.send(RestartGreeter.greet, key, "Ann")
    with pytest.raises(TerminalError, match="not yet"):
        await world.result(sent, within=timedelta(0))
    await world.door.call(RestartGreeter.mend, key)

    again = await world.door.restart(sent, from_entry)

    assert again.id != sent.id
    assert await world.result(again, within=timedelta(0)) == greeted
    assert await world.door.status(again) == "completed"


# -- two versions of one service


def version(number: int) -> AnyService:
    class Versioned(Service, retry=RetryableGreeter.greet.retry):
        @handler
        async def greet(self, ctx: Context) -> str:
            return f"v{number}"

        @handler
        async def fail_in_the_first(self, ctx: Context) -> str:
            if number == 1:
                raise ValueError("old version")
            return "Success in new version!"

        @handler
        async def count(self, ctx: Context) -> list[str]:
            async def which() -> str:
                return f"v{number}"

            first = await ctx.run("which", which)
            await ctx.sleep(SECOND)
            return [first, await ctx.run("which", which)]

    return Versioned()


@embedded
async def test_pause_resume_changing_deployment(world: World) -> None:
    one, two = version(1), version(2)
    await world.restart(one, kill=False)
    sent = await world.door.send(type(one).fail_in_the_first)
    await world.skip(SECOND)
    assert await world.door.status(sent) == "paused"

    await world.restart(two, kill=False)
    await world.door.control("resume", sent)

    assert await world.result(sent, within=timedelta(0)) == "Success in new version!"


@embedded
async def test_upgrade_with_new_invocation(world: World) -> None:
    greetings = []
    for each in (version(1), version(2)):
        await world.restart(each, kill=False)
        greetings.append(await world.door.call(type(each).greet))

    assert greetings == ["v1", "v2"]


@embedded
async def test_upgrade_with_in_flight_invocation(world: World) -> None:
    """What was recorded stays; the rest is the new code's, for one process has only that."""
    one, two = version(1), version(2)
    await world.restart(one, kill=False)
    sent = await world.door.send(type(one).count)
    await world.settle()

    await world.restart(two, kill=False)

    assert await world.result(sent, within=SECOND) == ["v1", "v2"]


@embedded
async def test_awakeable_leader_transfer(world: World, key: str) -> None:
    """What was accepted by one engine is there in the next."""
    sent = [await world.door.send(AwakeableGreeter.run, f"{key}-{n}") for n in range(10)]
    for n in range(10):
        await world.door.resolve(await awakeable_of(world, f"{key}-{n}"), str(n))

    await world.restart(kill=True)
    await world.settle()

    assert [await world.door.result(each) for each in sent] == [f"hello {n}" for n in range(10)]


async def test_state_patching(http: HttpWorld, key: str) -> None:
    await http.door.call(Counter.add, key, 1)
    body = {"object_key": key, "new_state": {"count": list(b"42")}}

    answer = await http.door.admin.post("/services/Counter/state", json=body)

    async def patched() -> bool:
        return bool(await http.door.call(Counter.get, key) == 42)

    assert answer.status_code == 202
    await http.until(patched)
