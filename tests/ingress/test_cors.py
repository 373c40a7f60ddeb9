import httpx
import pytest

from durable.ingress import ingress

VARY = "origin, access-control-request-method, access-control-request-headers"
ORIGIN = {"origin": "https://shop.example"}


@pytest.mark.parametrize("path", ["/Greeter/Ping", "/Greeter/nope", "/restate/health", "/"])
async def test_every_reply_is_marked(client, path):
    reply = await client.get(path)

    assert reply.headers["vary"] == VARY
    assert reply.headers["access-control-allow-credentials"] == "true"
    assert "access-control-allow-origin" not in reply.headers


async def test_any_page_may_read(client):
    reply = await client.post("/Greeter/Ping", headers=ORIGIN)

    assert reply.headers["access-control-allow-origin"] == "https://shop.example"
    assert reply.headers["access-control-expose-headers"] == "x-restate-id, x-restate-error-source, idempotency-expires"


async def test_a_preflight_is_granted_what_it_asks_for(client, door):
    headers = {
        **ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, idempotency-key",
    }

    reply = await client.options("/Greeter/Ping", headers=headers)

    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["access-control-allow-methods"] == "POST"
    assert reply.headers["access-control-allow-headers"] == "content-type, idempotency-key"
    assert reply.headers["access-control-allow-origin"] == "https://shop.example"
    assert reply.headers["vary"] == VARY
    assert not door.records


async def test_cookies_open_nothing_to_other_pages(door):
    app = ingress(door, authenticate=lambda request: "ada")

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        reply = await client.post("/Greeter/Ping", headers=ORIGIN)

    assert "access-control-allow-credentials" not in reply.headers
