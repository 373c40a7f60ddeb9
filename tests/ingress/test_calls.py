"""Calls and sends that succeed: restate.md 2.3, the upper half."""

import asyncio
import json
from datetime import timedelta

import pytest

from durable.core.entries import Target
from durable.ingress import ingress
from durable.runtime.requests import Submission
from tests.ingress.checks import is_failed, is_refused
from tests.ingress.fakes import NOW

EXPIRES = "2026-11-25T02:59:28.618+00:00"


@pytest.mark.parametrize("path", ["/Greeter/Greet", "/restate/call/Greeter/Greet"])
async def test_a_call_replies_with_the_output(client, door, path):
    reply = await client.post(path, json="Ada")

    [id] = door.records
    assert (reply.status_code, reply.content) == (200, b'"hello Ada"')
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-restate-id"] == id
    assert "idempotency-expires" not in reply.headers


@pytest.mark.parametrize("path", ["/Counter/a%2Fb/Add", "/restate/call/Counter/a%2Fb/Add"])
async def test_a_keyed_call_reaches_its_key(client, door, path):
    reply = await client.post(path, json=3)

    assert reply.content == b"3"
    assert door.counts == {"a/b": 3}


async def test_get_calls_too(client):
    reply = await client.get("/Counter/k/Get")

    assert (reply.status_code, reply.content) == (200, b"0")


async def test_an_empty_output_has_no_content_type(client, door):
    reply = await client.post("/Greeter/Ping")

    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["content-length"] == "0"
    assert "content-type" not in reply.headers
    assert reply.headers["x-restate-id"] in door.records


async def test_bytes_go_through_as_they_are(client):
    reply = await client.post("/Greeter/Blob", content=b"\x00\xff", headers={"content-type": "image/png"})

    assert reply.content == b"\xff\x00"
    assert reply.headers["content-type"] == "application/octet-stream"


async def test_a_charset_does_not_matter(client):
    headers = {"content-type": "Application/JSON; charset=utf-8"}

    reply = await client.post("/Greeter/Greet", content=b'"Ada"', headers=headers)

    assert reply.content == b'"hello Ada"'


async def test_no_body_and_no_content_type_is_an_empty_input(client):
    reply = await client.post("/Greeter/Greet")

    assert reply.content == b'"hello None"'


async def test_a_repeated_call_gets_the_stored_output(client, door):
    headers = {"idempotency-key": "i1"}
    first = await client.post("/Counter/k/Add", json=3, headers=headers)
    again = await client.post("/Counter/k/Add", json=3, headers=headers)

    assert (again.status_code, again.content) == (200, b"3")
    assert again.headers["x-restate-id"] == first.headers["x-restate-id"]
    assert "idempotency-expires" not in first.headers
    assert again.headers["idempotency-expires"] == EXPIRES
    assert door.counts == {"k": 3}


async def test_a_repeated_call_gets_the_stored_failure(client):
    headers = {"idempotency-key": "i1"}
    first = await client.post("/Greeter/Fail", json={"status": 418}, headers=headers)
    again = await client.post("/Greeter/Fail", json={"status": 418}, headers=headers)

    is_failed(again, 418, "tea pot", id=first.headers["x-restate-id"])
    assert again.headers["idempotency-expires"] == EXPIRES


async def test_one_key_for_two_bodies_is_refused(client):
    headers = {"idempotency-key": "i1"}
    await client.post("/Counter/k/Add", json=3, headers=headers)

    reply = await client.post("/Counter/k/Add", json=4, headers=headers)

    is_refused(reply, 409, "this idempotency key came with another body before")


@pytest.mark.parametrize("path", ["/Counter/k/Add/send", "/restate/send/Counter/k/Add"])
async def test_a_send_is_accepted(client, door, path):
    reply = await client.post(path, json=3)

    [id] = door.records
    assert reply.status_code == 202
    assert reply.text == f'{{"invocationId":"{id}","status":"Accepted"}}'
    assert reply.headers["x-restate-id"] == id
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize("query", ["delay=2s", "DELAY=PT2S", "delay=2000", "delay=2%20sec", "delay=2+sec"])
async def test_a_delayed_send_says_when_it_starts(client, door, query):
    reply = await client.post(f"/Counter/k/Add/send?{query}", json=3)

    [(id, record)] = door.records.items()
    assert record.submission.delay == timedelta(seconds=2)
    assert reply.status_code == 202
    assert reply.text == (
        f'{{"invocationId":"{id}","executionTime":"2026-11-24T02:59:30.618000000Z","status":"Accepted"}}'
    )


async def test_a_delay_of_zero_says_now(client):
    reply = await client.post("/Counter/k/Add/send?delay=0", json=3)

    assert reply.json()["executionTime"] == "2026-11-24T02:59:28.618000000Z"


async def test_a_repeated_send_keeps_id_and_time(client):
    headers = {"idempotency-key": "i1"}
    first = await client.post("/Counter/k/Add/send?delay=1h", json=3, headers=headers)
    again = await client.post("/Counter/k/Add/send?delay=2h", json=3, headers=headers)

    assert again.status_code == 202
    assert again.json() == {**first.json(), "status": "PreviouslyAccepted"}


async def test_a_workflow_runs_once(client, door):
    first = await client.post("/Flow/w/Run/send", json=1)
    again = await client.post("/Flow/w/Run/send", json=2)
    called = await client.post("/Flow/w/Run", json=3)

    id = door.workflow_id("Flow", "w")
    assert first.json() == {"invocationId": id, "status": "Accepted"}
    assert again.json() == {"invocationId": id, "status": "PreviouslyAccepted"}
    is_failed(called, 409, "the workflow method was already invoked", id=id)


async def test_a_shared_handler_of_a_workflow_takes_an_idempotency_key(client):
    reply = await client.post("/Flow/w/Approve", headers={"idempotency-key": "i1"})

    assert reply.status_code == 200


async def test_the_handler_sees_the_headers(client):
    headers = [
        ("X-Order", "7"),
        ("X-Order", "8"),
        ("Idempotency-Key", "i1"),
        ("Idempotency-Expires", "never"),
        ("X-Restate-Ingress-Path", "/forged"),
    ]

    reply = await client.get("/Greeter/Seen?a=%20b", headers=headers)

    seen = reply.json()["headers"]
    assert next(iter(seen.items())) == ("x-restate-ingress-path", "/Greeter/Seen?a=%20b")
    assert seen["x-order"] == "7"
    assert "accept" in seen
    assert seen.keys().isdisjoint({"host", "connection", "idempotency-key", "idempotency-expires"})


async def test_a_client_that_leaves_cancels_nothing(client, door):
    call = asyncio.create_task(client.post("/Flow/w/Run", json=1))
    await asyncio.sleep(0.01)
    assert door.records

    call.cancel()
    await asyncio.wait([call])
    await client.post("/Flow/w/Approve")
    reply = await client.get("/restate/workflow/Flow/w/attach")

    assert json.loads(reply.content) == "done"
    assert door.records[reply.headers["x-restate-id"]].expires > NOW


@pytest.mark.parametrize("path", ["/Flow/w/Run", "/restate/workflow/Flow/w/attach"])
async def test_nobody_is_waited_for_who_is_gone(door, path):
    await door.submit(
        Submission(
            target=Target("Flow", "Run", "w" if "attach" in path else "other"),
            payload=b"",
            headers={},
            identity=None,
            idempotency_key=None,
            delay=None,
        )
    )
    messages = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]
    replies = []
    scope = {"type": "http", "method": "GET", "path": path, "headers": []}

    async def receive():
        return messages.pop(0)

    async def send(message):
        replies.append(message)

    await ingress(door)(scope, receive, send)

    assert replies == []
    assert door.workflow_id("Flow", "w") in door.records
