import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from durable.ingress import ingress
from durable.ingress.mounts import path_below
from durable.ingress.refusal import Refusal


def scope(path: str, raw: bytes | None, **rest: str) -> Scope:
    return {"type": "http", "path": path, "raw_path": raw, **rest}


@pytest.mark.parametrize(
    ("seen", "below"),
    [
        (scope("/S/a/b", b"/S/a%2Fb"), b"/S/a%2Fb"),
        (scope("/S/a%2Fb", None), b"/S/a%252Fb"),
        (scope("/api/S/é", b"/api/S/%C3%A9", root_path="/api"), b"/S/%C3%A9"),
        (scope("/api/S/h", b"/%61pi/S/h", root_path="/api"), b"/S/h"),
        (scope("/api", b"/api", root_path="/api"), b""),
        (scope("/apis/h", b"/apis/h", root_path="/api"), b"/apis/h"),
        # uvicorn --root-path /proxy, mounted at /api; then the same by a test client, which leaves the proxy out
        (scope("/proxy/api/S/h", b"/proxy/api/S/h", root_path="/proxy/api", app_root_path="/proxy"), b"/S/h"),
        (scope("/api/S/h", b"/api/S/h", root_path="/proxy/api", app_root_path="/proxy"), b"/S/h"),
        (scope("/S/h", b"/S/h", root_path="/proxy"), b"/S/h"),
    ],
)
def test_the_path_below_a_mount_is_raw(seen, below):
    assert path_below(seen) == below


def test_an_encoded_slash_never_moves_the_mount():
    with pytest.raises(Refusal, match="an encoded slash in the part that names the mount"):
        path_below(scope("/t/a/b/S/h", b"/t/a%2Fb/S/h", root_path="/t/a"))


@pytest.mark.parametrize("mount", ["/", "/api", "/a/b/"])
@pytest.mark.parametrize("root_path", ["", "/proxy"])
async def test_keys_survive_a_mount(door, mount, root_path):
    app = Starlette(routes=[Mount(mount, ingress(door))])
    transport = httpx.ASGITransport(app, root_path=root_path)

    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        for key in ("a%2Fb", "a", "%252e", "%2E%2E", "caf%C3%A9"):
            await client.post(f"{mount.rstrip('/')}/Counter/{key}/Add", json=1)

    assert door.counts == {"a/b": 1, "a": 1, "%2e": 1, "..": 1, "café": 1}


async def test_it_serves_without_a_raw_path(door):
    app = ingress(door)

    async def without_raw_path(scope: Scope, receive: Receive, send: Send) -> None:
        await app({name: value for name, value in scope.items() if name != "raw_path"}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(without_raw_path), base_url="http://shop") as client:
        await client.post("/Counter/caf%C3%A9/Add", json=3)

    assert door.counts == {"café": 3}


async def test_an_outer_app_never_redirects(door):
    app = Starlette(routes=[Mount("/", ingress(door))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        replies = [await client.post(path, json="Ada") for path in ("http://shop//Greeter/Greet", "/Greeter/Greet/")]

    assert [reply.status_code for reply in replies] == [200, 200]
