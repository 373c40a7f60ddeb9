"""Restate's own client for Python, ``restate.create_client``, against our ingress."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import restate
from restate.client_types import HttpError

# What is called, as a user of that client has it: only names and types matter here, and nothing of it runs.
greeter = restate.Service("Greeter")
counter = restate.VirtualObject("Counter")
approval = restate.Workflow("Approval")
JSON = {"content-type": "application/json"}


@greeter.handler()
async def greet(ctx: restate.Context, name: str) -> str: ...


@greeter.handler()
async def ping(ctx: restate.Context) -> None: ...


@greeter.handler()
async def header(ctx: restate.Context, name: str) -> str: ...


@greeter.handler()
async def fail(ctx: restate.Context, status: int) -> None: ...


@counter.handler()
async def add(ctx: restate.ObjectContext, amount: int) -> int: ...


@counter.handler(kind="shared")
async def read(ctx: restate.ObjectSharedContext) -> int: ...


@counter.handler(kind="shared", name="key")
async def own_key(ctx: restate.ObjectSharedContext) -> str: ...


@approval.main()
async def run(ctx: restate.WorkflowContext, order: str) -> str: ...


@approval.handler()
async def decide(ctx: restate.WorkflowSharedContext, decision: str) -> None: ...


@pytest.fixture
async def client(url: str) -> AsyncGenerator[Any]:
    async with restate.create_client(url) as client:
        yield client


async def attach(client: Any, id: str) -> Any:
    """It cannot attach by itself; its connection can."""
    reply = await client.client.get(f"restate/invocation/{id}/attach")
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_a_call(client):
    assert await client.service_call(greet, "Ada") == "hello Ada"


async def test_a_call_without_input_and_output(client):
    assert await client.service_call(ping, None) is None


async def test_headers(client):
    assert await client.service_call(header, "x-order", headers={"x-order": "7"}) == "7"


async def test_a_send(client, key):
    sent = await client.object_send(add, key, 3)

    assert sent.invocation_id.startswith("inv_1")
    assert await attach(client, sent.invocation_id) == 3


async def test_a_delayed_send(client, key):
    """Its delay is bare milliseconds, which Restate itself refuses."""
    sent = await client.object_send(add, key, 3, send_delay=timedelta(milliseconds=300))

    assert await client.object_call(read, key, None) == 0
    assert await attach(client, sent.invocation_id) == 3


async def test_idempotency(client, key):
    first = await client.object_call(add, key, 3, idempotency_key="once")
    again = await client.object_call(add, key, 3, idempotency_key="once")
    sends = [await client.object_send(add, key, 4, idempotency_key="twice") for _ in range(2)]

    assert (first, again) == (3, 3)
    assert sends[0].invocation_id == sends[1].invocation_id


@pytest.mark.parametrize("special", ["a b", "käse", "\N{SNOWMAN}", "+", "a:b@c,d;e", "(x)!*'"])
async def test_a_key_with_special_characters(client, special):
    assert await client.object_call(own_key, special, None) == special


@pytest.mark.parametrize("special", ["a/b", "50%", "what?", "#1"])
async def test_a_key_that_the_client_does_not_encode_is_encoded_by_its_caller(client, special):
    assert await client.object_call(own_key, quote(special, safe=""), None) == special


async def test_a_workflow(client, key):
    sent = await client.workflow_send(run, key, "order 1")
    again = await client.workflow_send(run, key, "order 1")
    assert await client.workflow_call(decide, key, "yes") is None

    assert sent.invocation_id == again.invocation_id
    assert await attach(client, sent.invocation_id) == "order 1: yes"
    with pytest.raises(HttpError) as refused:
        await client.workflow_call(run, key, "order 1")
    assert (refused.value.status_code, "already invoked" in refused.value.body) == (409, True)


async def test_a_call_of_bytes(client, key):
    answer = await client.generic_call("Counter", "add", b"3", key=key, headers=dict(JSON))
    sent = await client.generic_send("Counter", "add", b"4", key=key, headers=dict(JSON))

    assert answer == b"3"
    assert await attach(client, sent.invocation_id) == 7


@pytest.mark.parametrize(("verb", "body", "status"), [("resolve", b'{"x":1}', 200), ("reject", b"no", 500)])
async def test_an_awakeable(client, key, verb, body, status):
    """It knows none: they are handlers' own, or plain HTTP."""
    sent = await client.generic_send("Question", "run", b"", key=key)
    id = json.loads(await client.generic_call("Question", "awakeable", b"", key=key))

    completed = await client.client.post(f"restate/awakeables/{id}/{verb}", content=body)
    reply = await client.client.get(f"restate/invocation/{sent.invocation_id}/attach")

    assert (completed.status_code, reply.status_code) == (202, status)


async def test_a_terminal_error(client):
    with pytest.raises(HttpError) as failed:
        await client.service_call(fail, 418)

    assert failed.value.status_code == 418
    assert json.loads(failed.value.body) == {
        "code": 418,
        "message": "tea pot",
        "metadata": {"leaf": "green"},
        "source": "invocation",
    }


async def test_an_unknown_service(client):
    with pytest.raises(HttpError) as refused:
        await client.generic_call("Nope", "greet", b"")

    assert refused.value.status_code == 404
