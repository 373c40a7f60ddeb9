"""The limit on a body: 1000 bytes here."""

from collections.abc import AsyncIterator

import pytest


class Parts:
    """A body without a length, and how much of it was asked for."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.size // 100):
            self.asked += 100
            yield b"1" * 100


RAW = {"content-type": "application/octet-stream"}


async def test_a_body_up_to_the_limit_is_taken(client):
    reply = await client.post("/Greeter/Blob", content=b"1" * 1000, headers=RAW)

    assert (reply.status_code, len(reply.content)) == (200, 1000)


@pytest.mark.parametrize(
    "path", ["/Greeter/Blob", "/Greeter/Blob/send", "/restate/lookup", "/restate/awakeables/sign_1x/resolve"]
)
async def test_a_longer_one_is_refused(client, path):
    reply = await client.post(path, content=b"1" * 1001, headers=RAW)

    assert (reply.status_code, reply.text) == (413, "length limit exceeded")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_body_without_a_length_is_read_no_further_than_the_limit(client):
    parts = Parts(100_000)

    reply = await client.post("/Greeter/Blob", content=parts, headers=RAW)

    assert reply.status_code == 413
    assert parts.asked == 1100


async def test_an_announced_length_is_believed_before_anything_is_read(client):
    parts = Parts(100_000)

    reply = await client.post("/Greeter/Blob", content=parts, headers={**RAW, "content-length": "100000"})

    assert reply.status_code == 413
    assert parts.asked == 0


@pytest.mark.parametrize("length", ["-1", "1e3", "\u00b2".encode("latin-1"), ""])
async def test_a_length_that_is_none(client, length):
    reply = await client.post("/Greeter/Blob", content=b"1", headers={**RAW, "content-length": length})

    assert reply.status_code == 400
