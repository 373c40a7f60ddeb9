"""Who may come in. A browser brings strangers: their pages can send much, and nothing of it may change anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from durable.ingress import ingress
from durable.ingress.admin import admin
from tests.ingress.admin.checks import is_empty, is_refused
from tests.ingress.admin.services import AdminEngine

Headers = Sequence[tuple[str, str]]

HERE = ("host", "localhost:9070")
ANOTHER_ORIGIN = "the request comes from a page of another origin"
UNAUTHORIZED = "send the token of the admin app: Authorization: Bearer ..."
TOKEN = "s3cret-Token.42"


async def ask(app: Starlette, method: str, path: str, headers: Headers, content: bytes = b"") -> httpx.Response:
    """A request with these headers and no others."""
    transport = httpx.ASGITransport(app)
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    async with transport:
        request = httpx.Request(method, f"http://x{path}", content=content)
        request.headers = httpx.Headers(raw)
        response = await transport.handle_async_request(request)
        await response.aread()
        return response


ELSEWHERE: Mapping[str, Headers] = {
    "form of another site": [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
    "fetch without CORS": [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
    "another port of this machine": [("sec-fetch-site", "same-site"), ("origin", "http://localhost:3000")],
    "sandboxed frame": [("sec-fetch-site", "cross-site"), ("origin", "null")],
    "old browser": [("origin", "https://evil.example")],
    "old browser, sandboxed": [("origin", "null")],
    "old browser, another port": [("origin", "http://localhost:9071")],
    "old browser, no port": [("origin", "http://localhost")],
    "a name that begins alike": [("origin", "http://localhost:9070.evil.example")],
    "a name that ends alike": [("origin", "http://evil-localhost:9070")],
    "userinfo": [("origin", "http://localhost:9070@evil.example")],
    "another scheme": [("origin", "file://localhost:9070")],
    "no scheme": [("origin", "localhost:9070")],
    "a path": [("origin", "http://localhost:9070/")],
    "empty origin": [("origin", "")],
    "two origins": [("origin", "http://localhost:9070"), ("origin", "https://evil.example")],
    "two sites": [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
    "a site nobody knows": [("sec-fetch-site", "same")],
    "empty site": [("sec-fetch-site", "")],
    "site and origin disagree": [("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
}


@pytest.mark.parametrize("headers", ELSEWHERE.values(), ids=ELSEWHERE.keys())
@pytest.mark.parametrize("method", ["PATCH", "DELETE", "POST"])
async def test_a_page_of_another_origin_changes_nothing(engine: AdminEngine, headers: Headers, method: str) -> None:
    invocation = await engine.begin("running")
    path = f"/invocations/{invocation.id}" + ("" if method == "DELETE" else "/kill")
    if method == "POST":
        path = "/internal/invocations_batch_operations/kill"
    body = f'{{"invocation_ids":["{invocation.id}"]}}'.encode()

    reply = await ask(admin(engine), method, path, [HERE, ("content-type", "application/json"), *headers], body)

    is_refused(reply, 403, ANOTHER_ORIGIN)
    assert await invocation.status() == "running"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("origin", "http://localhost:9070")],
        [("origin", "https://LOCALHOST:9070")],
        [("sec-fetch-site", "same-origin"), ("origin", "http://localhost:9070")],
        [("sec-fetch-site", "none")],
    ],
    ids=["no browser", "own page", "own page behind TLS", "own page, new browser", "address bar"],
)
async def test_others_may(engine: AdminEngine, headers: Headers) -> None:
    invocation = await engine.begin("running")

    is_empty(await ask(admin(engine), "PATCH", f"/invocations/{invocation.id}/kill", [HERE, *headers]), 200)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_reading_changes_nothing_and_a_page_cannot_see_it(engine: AdminEngine, method: str) -> None:
    reply = await ask(admin(engine), method, "/services", [HERE, *ELSEWHERE["form of another site"]])

    assert reply.status_code == 200
    assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    assert not [name for name in reply.headers if name.startswith("access-control-")]


async def test_a_preflight_is_not_answered(engine: AdminEngine) -> None:
    headers = [HERE, ("origin", "https://evil.example"), ("access-control-request-method", "PATCH")]

    reply = await ask(admin(engine), "OPTIONS", "/services", headers)

    assert reply.status_code == 403
    assert not [name for name in reply.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:9070",
        "localhost.evil.example",
        "evil.example.localhost",
        "localhost.",
        "localhost@evil.example",
        "localhost:9070@evil.example",
        "localhost:",
        "localhost:123456",
        "localhost:9070:9070",
        "localhost/",
        "localhost ",
        "127.0.0.2",
        "127.1",
        "0.0.0.0",
        "2130706433",
        "[::1",
        "::1",
        "[::2]",
        "[::ffff:127.0.0.1]",
        "",
        "l\u00f6calhost",
    ],
)
async def test_a_host_of_another_name_is_refused(engine: AdminEngine, host: str) -> None:
    reply = await ask(admin(engine), "GET", "/services", [("host", host)])

    is_refused(reply, 403, f"host '{host}' is not one of the allowed_hosts of the admin app")


@pytest.mark.parametrize("host", ["localhost", "LocalHost:1", "127.0.0.1:9070", "[::1]", "[::1]:9070"])
async def test_this_machine_has_several_names(engine: AdminEngine, host: str) -> None:
    assert (await ask(admin(engine), "GET", "/services", [("host", host)])).status_code == 200


@pytest.mark.parametrize("count", [0, 2])
async def test_there_is_one_host_header(engine: AdminEngine, count: int) -> None:
    reply = await ask(admin(engine), "GET", "/health", [HERE] * count)

    is_refused(reply, 400, f"the request has {count} Host headers; it must have one")


async def test_hosts_can_be_named(engine: AdminEngine) -> None:
    app = admin(engine, allowed_hosts=["admin.shop.internal"])

    named = await ask(app, "GET", "/health", [("host", "admin.shop.internal:9070")])
    local = await ask(app, "GET", "/health", [HERE])

    assert (named.status_code, local.status_code) == (200, 403)


@pytest.mark.parametrize(
    "authorization",
    [
        [],
        [""],
        ["Bearer"],
        ["Bearer "],
        ["Bearer wrong"],
        [f"Bearer {TOKEN}x"],
        [f"Bearer {TOKEN[:-1]}"],
        [f"Bearer {TOKEN.lower()}"],
        [f"Basic {TOKEN}"],
        [TOKEN],
        [f"Bearer {TOKEN} {TOKEN}"],
        ["Bearer \u00e9\u00ff"],
        ["Bearer \x00"],
        [f"Bearer {TOKEN}", f"Bearer {TOKEN}"],
        ["Bearer " + "x" * 65536],
    ],
)
@pytest.mark.parametrize("path", ["/services", "/nowhere", "/invocations/zz", "/healthy", "/health/"])
async def test_without_the_token_nothing_is_told(engine: AdminEngine, authorization: list[str], path: str) -> None:
    headers = [HERE, *(("authorization", value) for value in authorization)]

    reply = await ask(admin(engine, token=TOKEN), "GET", path, headers)

    is_refused(reply, 401, UNAUTHORIZED)
    assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN}"])
async def test_with_the_token_all_is_open(engine: AdminEngine, authorization: str) -> None:
    reply = await ask(admin(engine, token=TOKEN), "GET", "/services", [HERE, ("authorization", authorization)])

    assert reply.status_code == 200


async def test_the_token_does_not_open_for_another_origin(engine: AdminEngine) -> None:
    invocation = await engine.begin("running")
    headers = [HERE, ("authorization", f"Bearer {TOKEN}"), ("sec-fetch-site", "cross-site")]

    reply = await ask(admin(engine, token=TOKEN), "PATCH", f"/invocations/{invocation.id}/kill", headers)

    is_refused(reply, 403, ANOTHER_ORIGIN)


@pytest.mark.parametrize("root", ["", "/ops"])
async def test_a_probe_needs_no_token(engine: AdminEngine, root: str) -> None:
    app = Starlette(routes=[Mount(root, admin(engine, token=TOKEN))])

    assert (await ask(app, "GET", f"{root}/health", [HERE])).status_code == 200
    assert (await ask(app, "GET", f"{root}/version", [HERE])).status_code == 401


@pytest.mark.parametrize("token", ["", " ", "a b", "s3cret\n", "\u00e9"])
def test_a_token_that_cannot_be_sent_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="a token is one or more visible ASCII characters"):
        admin(AdminEngine(), token=token)


@pytest.mark.parametrize("host", ["", "localhost:9070", "http://localhost", "::1", "*", "a b"])
def test_what_is_no_name_of_a_host_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a host"):
        admin(AdminEngine(), allowed_hosts=[host])


def test_one_name_is_no_sequence_of_names() -> None:
    with pytest.raises(TypeError, match="allowed_hosts is a sequence of names"):
        admin(AdminEngine(), allowed_hosts="localhost")


@pytest.mark.parametrize("path", ["/health", "/services", "/nowhere", "/invocations/zz", "/ui/services/office"])
async def test_every_answer_is_marked(engine: AdminEngine, path: str) -> None:
    reply = await ask(admin(engine), "GET", path, [HERE])

    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]


async def test_it_stands_beside_the_ingress(engine: AdminEngine) -> None:
    app = Starlette(routes=[Mount("/admin", admin(engine)), Mount("/", ingress(engine))])

    called = await ask(app, "POST", "/Counter/k/read", [("host", "shop.example")])
    seen = await ask(app, "GET", "/admin/services/Counter", [HERE])
    stranger = await ask(app, "GET", "/admin/services/Counter", [("host", "shop.example")])

    assert (called.status_code, seen.status_code, stranger.status_code) == (200, 200, 403)
