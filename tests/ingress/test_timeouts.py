"""`?timeout=`: how long a client waits, and what becomes of the work that it does not wait for."""

import asyncio

import pytest

from tests.ingress.checks import is_refused

ATTACHES = ["/restate/workflow/Flow/w/attach", "/restate/attach/{}", "/restate/invocation/{}/attach"]


def late(id: str) -> dict[str, object]:
    message = f"no outcome yet: the invocation goes on; attach to it with GET /restate/invocation/{id}/attach"
    return {"code": 408, "message": message, "source": "ingress"}


@pytest.mark.parametrize("wish", ["0", "1", "1ms", "PT0.001S", "1%20ms"])
async def test_a_call_that_takes_longer_is_answered_with_its_id(client, door, wish):
    reply = await client.post(f"/Flow/w/Run?timeout={wish}", json=1)

    id = door.workflow_id("Flow", "w")
    assert (reply.status_code, reply.json()) == (408, late(id))
    assert reply.headers["x-restate-id"] == id
    assert reply.headers["x-restate-error-source"] == "ingress"


async def test_the_work_goes_on_after_a_timeout(client):
    await client.post("/Flow/w/Run?timeout=0", json=1)

    await client.post("/Flow/w/Approve")
    reply = await client.get("/restate/workflow/Flow/w/attach")

    assert (reply.status_code, reply.json()) == (200, "done")


@pytest.mark.parametrize("path", ATTACHES)
async def test_an_attach_waits_no_longer_than_it_wants(client, door, path):
    await client.post("/Flow/w/Run/send", json=1)
    id = door.workflow_id("Flow", "w")

    reply = await client.get(f"{path.format(id)}?timeout=1ms")

    assert (reply.status_code, reply.json()) == (408, late(id))
    assert reply.headers["x-restate-id"] == id


async def test_a_posted_attach_waits_no_longer_than_it_wants(client, door):
    await client.post("/Flow/w/Run/send", json=1)
    target = {"target": "workflow", "workflowName": "Flow", "workflowKey": "w"}

    reply = await client.post("/restate/attach?timeout=1ms", json=target)

    assert (reply.status_code, reply.json()) == (408, late(door.workflow_id("Flow", "w")))


async def test_what_is_there_in_time_is_an_answer_like_any_other(client):
    called = await client.post("/Counter/k/Add?timeout=30s", json=3)
    attached = await client.get(f"/restate/attach/{called.headers['x-restate-id']}?TIMEOUT=30s")

    assert (called.status_code, called.content) == (200, b"3")
    assert (attached.status_code, attached.content) == (200, b"3")


async def test_an_outcome_that_comes_with_the_end_of_the_time_counts(client, door):
    async def complete_first(id):
        await client.post("/Flow/w/Approve")
        await door.outcome(id)
        return await peek(id)

    peek, door.peek = door.peek, complete_first

    reply = await client.post("/Flow/w/Run?timeout=0", json=1)

    assert (reply.status_code, reply.json()) == (200, "done")


async def test_a_client_that_leaves_before_its_time_cancels_nothing(client):
    call = asyncio.create_task(client.post("/Flow/w/Run?timeout=1h", json=1))
    await asyncio.sleep(0.01)
    call.cancel()
    await asyncio.wait([call])

    await client.post("/Flow/w/Approve")
    reply = await client.get("/restate/workflow/Flow/w/attach")

    assert reply.json() == "done"


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("timeout=soon", ", must be a ISO8601 duration: 'soon' is not a duration, write it like '1h 30m', '500ms'"),
        ("timeout=", ", must be a ISO8601 duration: an empty text is not a duration"),
        ("timeout=-1s", ", must be a ISO8601 duration: '-1s' is negative"),
        ("timeout=11y", ", must be a ISO8601 duration: '11y' has no fixed length"),
        ("timeout=1s&timeout=2s", ", it occurs more than once"),
    ],
)
@pytest.mark.parametrize("path", ["/Counter/k/Add", "/restate/attach/{}"])
async def test_a_timeout_that_is_none_is_refused(client, door, path, query, why):
    sent = (await client.post("/Flow/w/Run/send", json=1)).json()

    reply = await client.request("GET" if "attach" in path else "POST", f"{path.format(sent['invocationId'])}?{query}")

    assert reply.json()["message"].startswith(f"bad timeout query parameter{why}")
    is_refused(reply, 400, reply.json()["message"])
    assert len(door.records) == 1


async def test_a_send_waits_for_nothing_anyway(client):
    reply = await client.post("/Counter/k/Add/send?timeout=1s", json=3)

    assert reply.status_code == 202
