import pytest

from durable.core.outcome import Failure, Success
from tests.ingress.checks import is_refused

PATHS = ["/restate/awakeables/{}/{}", "/restate/a/{}/{}"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
@pytest.mark.parametrize("body", [b'{"success": true}', b"", b"\xff\x00"])
async def test_resolve_passes_the_body_on(client, door, path, content_type, body):
    id = door.awakeable()
    headers = {} if content_type is None else {"content-type": content_type}

    reply = await client.post(path.format(id, "resolve"), content=body, headers=headers)

    assert (reply.status_code, reply.content) == (202, b"")
    assert door.awakeables[id] == [Success(body)]


@pytest.mark.parametrize("path", PATHS)
async def test_reject_passes_the_reason_on(client, door, path):
    id = door.awakeable()

    reply = await client.post(path.format(id, "reject"), content="zu spät".encode())

    assert (reply.status_code, reply.content) == (202, b"")
    assert door.awakeables[id] == [Failure(500, "zu spät")]


async def test_a_second_completion_is_no_error(client, door):
    id = door.awakeable()

    replies = [await client.post(f"/restate/a/{id}/resolve", content=b"1") for _ in range(2)]

    assert [reply.status_code for reply in replies] == [202, 202]


async def test_a_reason_that_is_not_text(client, door):
    id = door.awakeable()

    reply = await client.post(f"/restate/a/{id}/reject", content=b"\xff")

    is_refused(reply, 400, "cannot read body: it is not UTF-8")
    assert door.awakeables[id] == []


async def test_an_id_that_is_none(client):
    reply = await client.post("/restate/awakeables/foo/resolve")

    is_refused(reply, 400, "bad awakeable id 'foo': bad format")


async def test_a_forged_id(client, door):
    id = door.awakeable()
    forged = id[:-2] + ("A" if id[-2] != "A" else "B") + id[-1]

    reply = await client.post(f"/restate/awakeables/{forged}/resolve")

    is_refused(reply, 400, f"bad awakeable id '{forged}': unknown awakeable")
    assert door.awakeables[id] == []


async def test_an_id_whose_invocation_is_gone(client, door):
    reply = await client.post(f"/restate/awakeables/{door.awakeable(known=False)}/resolve")

    is_refused(reply, 404, "awakeable not found")
