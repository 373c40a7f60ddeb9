"""Attach, output and lookup: every way to name an invocation."""

import asyncio

import httpx
import pytest

from durable.core.entries import Target
from tests.ingress.checks import is_failed, is_refused

EXPIRES = "2026-11-25T02:59:28.618+00:00"


@pytest.fixture
async def done(client: httpx.AsyncClient) -> str:
    """The id of a completed call with an idempotency key."""
    reply = await client.post("/Counter/a%2Fb/Add", json=3, headers={"idempotency-key": "i1"})
    return reply.headers["x-restate-id"]


BY_KEY = {
    "target": "idempotentInvocation",
    "service": "Counter",
    "key": "a/b",
    "handler": "Add",
    "idempotencyKey": "i1",
}


@pytest.mark.parametrize(
    "path",
    [
        "/restate/invocation/{}/attach",
        "/restate/invocation/{}/output",
        "/restate/attach/{}",
        "/restate/output/{}",
        "/restate/invocation/Counter/a%2Fb/Add/i1/attach",
        "/restate/invocation/Counter/a%2Fb/Add/i1/output",
    ],
)
async def test_a_completed_invocation_is_read(client, done, path):
    reply = await client.get(path.format(done))

    assert (reply.status_code, reply.content) == (200, b"3")
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-restate-id"] == done
    assert reply.headers["idempotency-expires"] == EXPIRES


@pytest.mark.parametrize("verb", ["attach", "output"])
@pytest.mark.parametrize("by_id", [True, False])
async def test_a_posted_target_is_read(client, done, verb, by_id):
    target = {"target": "invocation", "invocationId": done} if by_id else BY_KEY

    reply = await client.post(f"/restate/{verb}", json=target)

    assert (reply.status_code, reply.content) == (200, b"3")
    assert reply.headers["x-restate-id"] == done


async def test_the_content_type_is_the_handlers(client):
    headers = {"content-type": "image/png", "idempotency-key": "i1"}
    first = await client.post("/Greeter/Blob", content=b"ab", headers=headers)

    reply = await client.get(f"/restate/attach/{first.headers['x-restate-id']}")

    assert reply.content == b"ba"
    assert reply.headers["content-type"] == "application/octet-stream"


async def test_a_failure_is_read_as_it_was(client):
    first = await client.post("/Greeter/Fail", json={"status": 418, "metadata": {"a": "b", "c": "d"}})

    id = first.headers["x-restate-id"]
    reply = await client.get(f"/restate/output/{id}")

    assert reply.status_code == 418
    assert reply.text == '{"code":418,"message":"tea pot","metadata":{"a":"b","c":"d"},"source":"invocation"}'
    assert reply.headers["idempotency-expires"] == EXPIRES


async def test_attach_waits(client, door):
    await client.post("/Flow/w/Run/send", json=1)
    attached = asyncio.create_task(client.get("/restate/workflow/Flow/w/attach"))
    await asyncio.sleep(0.01)
    assert not attached.done()

    await client.post("/Flow/w/Approve")
    reply = await attached

    assert (reply.status_code, reply.content) == (200, b'"done"')
    assert reply.headers["x-restate-id"] == door.workflow_id("Flow", "w")
    assert "idempotency-expires" not in reply.headers


@pytest.mark.parametrize("path", ["/restate/workflow/Flow/w/output", "/restate/output/{}"])
async def test_output_does_not_wait(client, door, path):
    await client.post("/Flow/w/Run/send", json=1)

    reply = await client.get(path.format(door.workflow_id("Flow", "w")))

    is_refused(reply, 470, "the invocation exists but has not completed yet")


async def test_output_of_an_unknown_one(client, door):
    reply = await client.get("/restate/workflow/Flow/w/output")

    is_refused(reply, 404, "invocation not found")


async def test_attach_to_an_unknown_one(client, door):
    reply = await client.get("/restate/workflow/Flow/w/attach")

    is_failed(reply, 404, "not found", id=door.workflow_id("Flow", "w"))


@pytest.mark.parametrize("verb", ["attach", "output"])
async def test_an_unknown_service(client, verb):
    reply = await client.get(f"/restate/invocation/Nope/Greet/i1/{verb}")

    is_refused(reply, 404, "service 'Nope' not found, make sure to register the service before calling it.")


@pytest.mark.parametrize(
    ("id", "why"),
    [
        ("foo", "bad format"),
        ("inv_1foo", "bad length"),
        ("sign_1foo", "id doesn't match the expected type"),
        ("inv_1" + "-" * 33, "base62 decode error"),
    ],
)
@pytest.mark.parametrize("path", ["/restate/attach/{}", "/restate/output/{}", "/restate/invocation/{}/output"])
async def test_a_bad_id(client, id, why, path):
    reply = await client.get(path.format(id))

    is_refused(reply, 400, f"bad invocation id '{id}': {why}")


async def test_lookup_computes_the_id(client, door):
    by_key = await client.post("/restate/lookup", json=BY_KEY)
    by_workflow = await client.post(
        "/restate/lookup", json={"target": "workflow", "workflowName": "Flow", "workflowKey": "w"}
    )

    id = door.idempotent_id(Target("Counter", "Add", "a/b"), "i1", None)
    assert (by_key.status_code, by_key.text) == (200, f'{{"invocationId":"{id}"}}')
    assert by_workflow.json() == {"invocationId": door.workflow_id("Flow", "w")}


@pytest.mark.parametrize("verb", ["attach", "output", "lookup"])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "cannot read body: invalid lookup body: Input data was truncated"),
        (b"\xff", "cannot read body: invalid lookup body: JSON is malformed: invalid character (byte 0)"),
        (b"[" * 1000, "cannot read body: invalid lookup body: Expected `object`, got `array`"),
        (b'{"target":"foo"}', "cannot read body: invalid lookup body: Invalid value 'foo' - at `$.target`"),
        (
            b'{"target":"workflow","workflowName":"Flow"}',
            "cannot read body: invalid lookup body: Object missing required field `workflowKey`",
        ),
        (b'{"target":"workflow","workflowName":"Flow","workflowKey":""}', "bad key: it must not be empty"),
        (
            b'{"target":"idempotentInvocation","service":"Counter","handler":"Add","idempotencyKey":"i"}',
            "cannot read body: service 'Counter' needs a key",
        ),
        (
            b'{"target":"idempotentInvocation","service":"Greeter","key":"k","handler":"Greet","idempotencyKey":"i"}',
            "cannot read body: service 'Greeter' has no keys",
        ),
        (
            b'{"target":"workflow","workflowName":"Flow","workflowKey":"w","scope":"s"}',
            "scoped invocations require vqueues to be enabled",
        ),
    ],
)
async def test_a_bad_target(client, verb, body, message):
    reply = await client.post(f"/restate/{verb}", content=body)

    is_refused(reply, 400, message)
