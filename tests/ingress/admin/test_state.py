"""The state of a key: read, and replaced in the key's turn."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest

from durable.testing import TestEngine
from tests.ingress.admin.checks import is_empty, is_refused
from tests.ingress.admin.services import AdminEngine
from tests.runtime.flows import Counter

MINUTES = timedelta(minutes=10)
PATH = "/services/Counter/state"


def replacement(count: bytes, **more: object) -> dict[str, object]:
    return {"object_key": "a/b", "new_state": {"count": list(count)}, **more}


async def test_the_state_of_a_key_is_replaced_as_a_whole(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    await engine.call(Counter.add, "a/b", 3)

    is_empty(await client.post(PATH, json={"object_key": "a/b", "new_state": {"note": [34, 120, 34]}}), 202)

    assert await engine.call(Counter.read, "a/b") == 0
    found = await client.get(PATH, params={"key": "a/b"})
    assert found.json()["state"] == {"note": [34, 120, 34]}


async def test_it_happens_in_the_turn_of_the_key(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    before = await engine.send(Counter.add_slowly, "a/b", 1)
    await client.post(PATH, json=replacement(b"40"))
    after = await engine.send(Counter.add, "a/b", 2)
    assert await engine.call(Counter.read, "a/b") == 0

    await engine.skip(MINUTES)

    assert (await before.output(), await after.output()) == (1, 42)


async def test_it_survives_a_crash(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    await engine.send(Counter.add_slowly, "a/b", 1)
    await client.post(PATH, json=replacement(b"40"))

    async with TestEngine(Counter(), after=engine) as later:
        await later.skip(MINUTES)

        assert await later.call(Counter.read, "a/b") == 40


async def test_only_the_version_that_was_read_is_replaced(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    await engine.call(Counter.add, "a/b", 3)
    version = (await client.get(PATH, params={"key": "a/b"})).json()["version"]
    await engine.call(Counter.add, "a/b", 1)

    late = await client.post(PATH, json=replacement(b"40", version=version))
    await engine.settle()
    unchanged = await engine.call(Counter.read, "a/b")
    version = (await client.get(PATH, params={"key": "a/b"})).json()["version"]
    in_time = await client.post(PATH, json=replacement(b"50", version=version))
    await engine.settle()

    assert (late.status_code, in_time.status_code) == (202, 202)
    assert (unchanged, await engine.call(Counter.read, "a/b")) == (4, 50)
    outcome = await client.get(f"/invocations/{late.headers['x-restate-id']}")
    assert outcome.json()["completion_failure"] == "[409] the state is not of the version that was to be replaced"


async def test_many_replacements_are_one_after_the_other(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    await asyncio.gather(*(client.post(PATH, json=replacement(b"%d" % each)) for each in range(20)))
    await engine.settle()

    assert 0 <= await engine.call(Counter.read, "a/b") < 20


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/services/Nope/state", replacement(b"1"), 404, "The requested service 'Nope' does not exist"),
        ("/services/office/state", replacement(b"1"), 400, "'office' is a Service, which has no state"),
        (
            "/services/Approval/state",
            replacement(b"1"),
            400,
            "The state of 'Approval' is a workflow's, which only its run can change",
        ),
        (PATH, {"object_key": "", "new_state": {}}, 400, "bad object_key: it must not be empty"),
        (
            PATH,
            {"object_key": "k", "new_state": {"x" * 513: [1]}},
            422,
            f"the name of a state has at most 512 bytes, not '{'x' * 100}...'",
        ),
        (
            PATH,
            {"object_key": "k", "new_state": {"count": [1, 256]}},
            422,
            "the new state of 'count' is not an array of bytes: bytes must be in range(0, 256)",
        ),
        (
            PATH,
            {"object_key": "k"},
            422,
            "the body is not what is taken here: Object missing required field `new_state`",
        ),
    ],
)
async def test_what_cannot_be_replaced_is_refused(
    client: httpx.AsyncClient, path: str, body: object, status: int, message: str
) -> None:
    is_refused(await client.post(path, json=body), status, message)


async def test_a_key_must_be_named_to_be_read(client: httpx.AsyncClient) -> None:
    is_refused(await client.get(PATH), 400, "The query parameter 'key' is missing: whose state is meant")


async def test_the_handler_that_replaces_is_nobodys_to_call(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    names = [each["name"] for each in (await client.get("/services/Counter/handlers")).json()["handlers"]]

    assert "state.replace" not in names
    assert "state.replace" not in engine.door.handlers()["Counter"]
