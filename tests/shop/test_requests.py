"""What the shop's HTTP API lets in, and what it refuses before anything happens."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.types import Message, Scope

from examples.shop.app import create_app
from examples.shop.settings import Settings
from tests.shop.asgi import KEY, add, basket, check_out


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
async def test_a_key_that_the_ingress_would_refuse_is_refused(http: httpx.AsyncClient, key: str):
    added, checked_out = await add(http, "alice", **{"Idempotency-Key": key}), await check_out(http, "alice", key)

    assert (added.status_code, checked_out.status_code) == (400, 400)
    assert "Idempotency-Key must be 1 to 255 visible" in added.json()["error"]


@pytest.mark.parametrize("given", [{}, {"X-API-Key": ""}, {"X-API-Key": "open"}, {"X-API-Key": "öpen sesame"}])
@pytest.mark.parametrize(("method", "action"), [("POST", "add-item"), ("GET", "basket"), ("POST", "checkout")])
async def test_without_the_key_there_is_nothing(
    http: httpx.AsyncClient, method: str, action: str, given: dict[str, str]
):
    headers = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]
    answer = await http.request(method, f"/api/v1/user/alice/{action}", headers=headers)

    assert answer.status_code == 401
    assert "X-API-Key" in answer.json()["error"]


@pytest.mark.parametrize(
    "user", ["a%2Fb", "..%2Falice", "alice%2Fadd-item", "%25", "%3F", "%20", "J%C3%BCrgen", "x" * 1024]
)
async def test_a_user_is_one_segment_whatever_it_holds(http: httpx.AsyncClient, user: str):
    await add(http, "alice", "hers")
    added = await add(http, user, "mine")

    assert added.json() == {"items": 1}
    assert (await basket(http, user)).json() == ["mine"]
    assert (await basket(http, "alice")).json() == ["hers"]


async def test_a_user_is_decoded_once(http: httpx.AsyncClient):
    await add(http, "a%252Fb", "mine")

    assert (await basket(http, "a%2Fb")).json() == []
    assert (await basket(http, "%61lice")).json() == (await basket(http, "alice")).json()


@pytest.mark.parametrize("user", [b"%FF", b"%C3", b"%zz", b"%2", b"%ED%A0%80"])
async def test_a_user_that_does_not_decode_is_refused(http: httpx.AsyncClient, user: bytes):
    url = httpx.URL("http://shop").copy_with(raw_path=b"/api/v1/user/" + user + b"/basket")

    answer = await http.get(url, headers=KEY)

    assert answer.status_code == 400
    assert "bad user in the path" in answer.json()["error"]


@pytest.mark.parametrize("user", ["%00", "%1F", "x" * 2000, "%C3%BC" * 513])
async def test_a_user_that_can_be_no_key_is_refused(http: httpx.AsyncClient, user: str):
    added, shown, checked_out = await add(http, user), await basket(http, user), await check_out(http, user)
    door = await http.get(f"/UserSession/{user}/ShowBasket")

    assert [answer.status_code for answer in (added, shown, checked_out, door)] == [400] * 4
    assert door.json()["message"].removeprefix("bad key: ") in added.json()["error"]


@pytest.mark.parametrize("path", [b"/%61pi/v1/user/alice/basket", b"/api/v1%2Fuser/alice/basket"])
async def test_a_disguised_prefix_is_no_way_in(http: httpx.AsyncClient, path: bytes):
    answer = await http.get(httpx.URL("http://shop").copy_with(raw_path=path), headers=KEY)

    assert answer.status_code == 404


NO_NAMES = [b'""', b'"\\u0000"', b'"\\n"', b'"' + b"x" * 1025 + b'"', b'"\\ud800"']


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{",
        b"1",
        b'{"item": "laptop"}',
        b'"laptop" "mouse"',
        b'"\xff"',
        b"laptop",
        b"[" * 5000,
        *NO_NAMES,
    ],
)
async def test_a_body_that_is_no_json_string_is_400(http: httpx.AsyncClient, body: bytes):
    answer = await http.post("/api/v1/user/alice/add-item", headers=KEY, content=body)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the body must be a JSON string")
    assert (await basket(http, "alice")).json() == []


async def test_a_body_that_is_too_large_is_413(http: httpx.AsyncClient):
    answer = await add(http, "alice", "x" * 70_000)

    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/api/v1/user/alice/add-item", "/restate/awakeables/sign_1/resolve"])
async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error(tmp_path: Path, path: str):
    app = create_app(Settings(database=str(tmp_path / "shop.db"), api_key="open sesame"))
    received: list[Message] = [
        {"type": "http.disconnect"},
        {"type": "http.request", "body": b'"lap', "more_body": True},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return received.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    async with app.router.lifespan_context(app):
        await app(post(path), receive, send)

    assert sent[0]["status"] == 400


def post(path: str) -> Scope:
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"x-api-key", b"open sesame")],
    }


async def test_the_wrong_method_is_405(http: httpx.AsyncClient):
    answer = await http.get("/api/v1/user/alice/add-item", headers=KEY)

    assert (answer.status_code, answer.json()) == (405, {"error": "Method Not Allowed"})
