"""Who calls: what ``authenticate`` says, and nobody else."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from starlette.requests import Request

from durable.errors import TerminalError
from durable.ingress import UnauthorizedError, ingress
from tests.ingress.checks import is_refused
from tests.ingress.fakes import FakeDoor

KEYS = {"key-of-ada": "ada", "key-of-bob": "bob", "no-name": None}


def authenticate(request: Request) -> str | None:
    key = request.headers.get("x-api-key", "")
    if key == "locked":
        raise TerminalError("this key is locked", status=403)
    if key not in KEYS:
        raise UnauthorizedError("send a valid X-API-Key", challenge="ApiKey")
    return KEYS[key]


async def authenticate_slowly(request: Request) -> str | None:
    return authenticate(request)


@pytest.fixture(params=[authenticate, authenticate_slowly])
async def client(door: FakeDoor, request: pytest.FixtureRequest) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(ingress(door, authenticate=request.param))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "/Greeter/Ping",
        "/Greeter/Ping/send",
        "/Nope/Ping",
        "/restate/call/Nope/Ping",
        "/restate/lookup",
        "/restate/attach/x",
        "/Counter/x%2Frestate%2Fawakeables%2F/Get",
        "/restate/invocation/x/attach",
    ],
)
async def test_a_stranger_learns_nothing(client, door, path):
    reply = await client.post(path, headers={"x-api-key": "wrong"})

    is_refused(reply, 401, "send a valid X-API-Key")
    assert reply.headers["www-authenticate"] == "ApiKey"
    assert not door.records


async def test_it_may_refuse_in_other_words(client):
    is_refused(await client.post("/Greeter/Ping", headers={"x-api-key": "locked"}), 403, "this key is locked")


@pytest.mark.parametrize(("key", "identity"), KEYS.items())
async def test_the_handler_is_told_who_calls(client, key, identity):
    reply = await client.post("/Greeter/Seen", headers={"x-api-key": key, "x-identity": "root", "identity": "root"})

    assert reply.json()["identity"] == identity


async def test_credentials_stay_at_the_door(client):
    headers = {"x-api-key": "key-of-ada", "authorization": "Bearer x", "cookie": "a=b"}

    reply = await client.post("/Greeter/Seen", headers=headers)

    assert reply.json()["headers"].keys().isdisjoint(headers)


async def test_two_callers_with_one_idempotency_key_are_two(client):
    async def add(key):
        return await client.post("/Counter/k/Add", json=1, headers={"x-api-key": key, "idempotency-key": "i1"})

    ada, bob, again = await add("key-of-ada"), await add("key-of-bob"), await add("key-of-ada")

    assert ada.headers["x-restate-id"] != bob.headers["x-restate-id"]
    assert ada.headers["x-restate-id"] == again.headers["x-restate-id"]


async def test_an_idempotent_call_is_read_by_its_caller(client):
    headers = {"x-api-key": "key-of-ada", "idempotency-key": "i1"}
    await client.post("/Counter/k/Add", json=1, headers=headers)

    mine = await client.get("/restate/invocation/Counter/k/Add/i1/output", headers={"x-api-key": "key-of-ada"})
    theirs = await client.get("/restate/invocation/Counter/k/Add/i1/output", headers={"x-api-key": "key-of-bob"})

    assert mine.status_code == 200
    is_refused(theirs, 404, "invocation not found")


async def test_an_awakeables_id_is_credential_enough(client, door):
    reply = await client.post(f"/restate/awakeables/{door.awakeable()}/resolve", content=b"1")

    assert reply.status_code == 202


async def test_health_is_for_everybody(client):
    reply = await client.get("/restate/health")

    assert (reply.status_code, reply.text) == (200, '{"services":["Counter","Flow","Greeter"]}')
