"""One verb on many invocations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.types import Message

from durable.ingress.admin import admin
from tests.ingress.admin.checks import is_refused
from tests.ingress.admin.services import UNKNOWN, AdminEngine, Office
from tests.runtime.flows import Counter

BATCH = "/internal/invocations_batch_operations"
JSON = {"content-type": "application/json"}
VERBS = ["cancel", "kill", "pause", "resume", "restart-as-new", "purge", "purge-journal"]


async def post(client: httpx.AsyncClient, verb: str, *ids: str) -> dict[str, list[Any]]:
    reply = await client.post(f"{BATCH}/{verb}", json={"invocation_ids": ids})
    assert reply.status_code == 200
    result: dict[str, list[Any]] = reply.json()
    return result


@pytest.mark.parametrize(
    ("verb", "good", "bad", "error"),
    [
        ("cancel", "running", "completed", "was already completed"),
        ("kill", "paused", "completed", "was already completed"),
        ("pause", "running", "scheduled", "is not running, cannot be paused"),
        ("resume", "backing-off", "completed", "is completed, cannot be resumed"),
        ("purge", "completed", "backing-off", "is not yet completed"),
        ("purge-journal", "completed", "backing-off", "is not yet completed"),
    ],
)
async def test_each_is_done_for_itself(
    client: httpx.AsyncClient, engine: AdminEngine, verb: str, good: str, bad: str, error: str
) -> None:
    ids = [(await engine.begin(status)).id for status in sorted([good, bad])]
    done, not_done = ids if good < bad else ids[::-1]

    result = await post(client, verb, not_done, UNKNOWN, done)

    assert result == {
        "succeeded": [done],
        "failed": [
            {"invocation_id": not_done, "error": f"Invocation '{not_done}' {error}"},
            {"invocation_id": UNKNOWN, "error": f"Invocation '{UNKNOWN}' not found"},
        ],
    }


async def test_a_restart_names_old_and_new(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    old = await engine.begin("completed")

    result = await post(client, "restart-as-new", old.id)

    assert result["failed"] == []
    assert [(each["old_invocation_id"], set(each)) for each in result["succeeded"]] == [
        (old.id, {"old_invocation_id", "new_invocation_id"})
    ]
    assert await engine.invocation(result["succeeded"][0]["new_invocation_id"]).result() == 2


async def test_only_the_first_sentence_of_an_error_is_told(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("completed")
    await invocation.purge_journal()

    result = await post(client, "restart-as-new", invocation.id)

    error = f"Invocation '{invocation.id}' cannot be restarted because the input is not available"
    assert result["failed"] == [{"invocation_id": invocation.id, "error": error}]


async def test_what_is_damaged_does_not_keep_the_others(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    damaged, running = await engine.begin("completed"), await engine.begin("running")
    engine.damage(damaged, "it is not what was written")

    result = await post(client, "kill", damaged.id, running.id)
    page = await client.get(f"/invocations/{damaged.id}/why")

    assert result["succeeded"] == [running.id]
    assert result["failed"] == [{"invocation_id": damaged.id, "error": "it is not what was written"}]
    assert (page.status_code, page.json()["message"]) == (500, "it is not what was written")


async def test_the_same_id_twice_is_done_once(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("running")

    result = await post(client, "kill", invocation.id, invocation.id)

    assert result["succeeded"] == [invocation.id]
    assert [each["error"] for each in result["failed"]] == [f"Invocation '{invocation.id}' was already completed"]


async def test_a_batch_may_be_of_a_thousand(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    ids = [(await engine.send(Counter.add_slowly, f"k{number}", 1)).id for number in range(1000)]
    before = engine.commits

    result = await post(client, "kill", *ids)

    assert result == {"succeeded": ids, "failed": []}
    assert engine.commits - before < 100  # they share commits


async def test_of_more_than_a_thousand_none_is_done(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("running")

    reply = await client.post(f"{BATCH}/kill", json={"invocation_ids": [invocation.id] * 1001})

    is_refused(reply, 400, "Batch size 1001 exceeds maximum allowed size of 1000")
    assert await invocation.status() == "running"


@pytest.mark.parametrize("verb", VERBS)
async def test_an_empty_batch_does_nothing(client: httpx.AsyncClient, verb: str) -> None:
    assert await post(client, verb) == {"succeeded": [], "failed": []}


async def test_of_a_batch_with_a_bad_id_none_is_done(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("running")

    reply = await client.post(f"{BATCH}/kill", json={"invocation_ids": [invocation.id, "zz"]})

    is_refused(reply, 422, "invocation_ids[1] is not the id of an invocation: bad format")
    assert await invocation.status() == "running"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"nope", 400),
        (b'{"invocation_ids":[]', 400),
        (b'\xff{"invocation_ids":[]}', 400),
        (b'{"x":' + b"[" * 100_000, 400),
        (b'{"invocation_ids":["\xff"]}', 400),
        (b"{}", 422),
        (b"[]", 422),
        (b"null", 422),
        (b'{"invocation_ids":null}', 422),
        (b'{"invocation_ids":"inv_1"}', 422),
        (b'{"invocation_ids":[1]}', 422),
        (b'{"invocation_ids":[""]}', 422),
        (b'{"invocation_ids":[],"deployment":7}', 422),
        (b'{"invocation_ids":[],"deployment":"zz"}', 400),
        (b'{"invocation_ids":[],"deployment":"dp_1"}', 400),
        (b'{"invocation_ids":[]}' + b" " * 1024 * 1024, 413),
    ],
)
async def test_a_bad_body_is_the_callers_mistake(
    client: httpx.AsyncClient, verb: str, body: bytes, status: int
) -> None:
    reply = await client.post(f"{BATCH}/{verb}", content=body, headers=JSON)

    assert reply.status_code == status
    assert set(reply.json()) == {"message", "restate_code"}


async def test_a_deployment_may_be_named_if_it_is_the_one(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.send(Office.deliver)
    await engine.settle()

    reply = await client.post(f"{BATCH}/resume", json={"invocation_ids": [invocation.id], "deployment": "Latest"})

    assert reply.json() == {"succeeded": [invocation.id], "failed": []}


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
async def test_a_batch_is_json(client: httpx.AsyncClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}

    reply = await client.post(f"{BATCH}/kill", content=b'{"invocation_ids":[]}', headers=headers)

    is_refused(reply, 415, "Expected request with `Content-Type: application/json`")


async def test_a_client_that_leaves_changes_nothing(engine: AdminEngine) -> None:
    invocation = await engine.begin("running")
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": f"{BATCH}/kill", "query_string": b"", "headers": headers}
    half = f'{{"invocation_ids":["{invocation.id}"'.encode()
    received: Iterator[Message] = iter(
        [{"type": "http.request", "body": half, "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Message:
        return next(received)

    async def send(message: Message) -> None:
        pass

    await admin(engine)(scope, receive, send)

    assert await invocation.status() == "running"


async def test_an_unknown_verb_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.post(f"{BATCH}/explode", json={"invocation_ids": []})).status_code == 404
