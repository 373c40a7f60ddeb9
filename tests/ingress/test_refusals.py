"""Requests that get no further than the door: restate.md 2.4."""

import re

import httpx
import pytest

from durable.errors import DamagedError
from durable.ingress import ingress
from tests.ingress.checks import is_failed, is_refused

BAD_TARGET = "bad path, expected either /:service-name/:handler or /:object-name/:object-key/:handler"
BAD_BUILT_IN = (
    "bad path, expected /restate/call/:service/:handler, /restate/send/:service/:handler, "
    "/restate/scope/:scope/call/:service/:handler, /restate/attach/:invocation_id, /restate/output/:invocation_id, "
    "or /restate/lookup"
)
BAD_WORKFLOW = (
    "bad path, expected either /restate/workflow/:workflow_name/:workflow_key/output or "
    "/restate/workflow/:workflow_name/:workflow_key/attach"
)
BAD_INVOCATION = (
    "bad path, expected either /restate/invocation/:invocation_id/output or /restate/invocation/:invocation_id/attach "
    "or /restate/invocation/:invocation_target/:idempotency_key/output "
    "or /restate/invocation/:invocation_target/:idempotency_key/attach"
)
BAD_AWAKEABLE = "bad path, expected either /restate/awakeables/:id/resolve or /restate/awakeables/:id/reject"
NO_SERVICE = "service 'Nope' not found, make sure to register the service before calling it."
NO_HANDLER = (
    "the service 'Greeter' exists, but the handler 'nope' was not found, "
    "check that the handler exists in the latest registered service version."
)


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/Nope/Greet", 404, NO_SERVICE),
        ("/restate/send/Nope/Greet", 404, NO_SERVICE),
        ("/Greeter/nope", 404, NO_HANDLER),
        ("/Counter/Add", 400, BAD_TARGET),
        ("/Counter/k/Add/foo", 400, BAD_TARGET),
        ("/Greeter/Greet/send/foo", 400, BAD_TARGET),
        ("/Counter/a%zz/Add", 400, "bad key: a '%' must be followed by two hexadecimal digits"),
        ("/Greeter", 400, "bad path: /Greeter"),
        ("/", 400, "bad path: /"),
        ("/openapi", 400, "bad path: /openapi"),
        ("/a/b/c/d/e/f/g/h", 400, "bad path: /a/b/c/d/e/f/g/h"),
        ("/Greeter/Hidden", 400, "the invoked service is not public"),
        ("/restate/foo", 400, BAD_BUILT_IN),
        ("/restate/call/Counter/k", 400, BAD_BUILT_IN),
        ("/restate/call/Greeter/Greet/send", 400, BAD_BUILT_IN),
        ("/restate/lookup/foo", 400, BAD_BUILT_IN),
        ("/restate/workflow/Flow", 400, BAD_WORKFLOW),
        ("/restate/workflow/Flow/w", 400, BAD_WORKFLOW),
        ("/restate/workflow/Flow/w/foo", 404, "not found"),
        ("/restate/invocation/x", 400, BAD_INVOCATION),
        ("/restate/invocation/Counter/k/Add/i1", 400, BAD_INVOCATION),
        ("/restate/invocation/x/foo", 404, "not found"),
        ("/restate/awakeables/x", 400, BAD_AWAKEABLE),
        ("/restate/a/x/foo", 404, "not found"),
        ("/restate/scope/s/call/Greeter/Greet", 400, "scoped invocations require vqueues to be enabled"),
        (
            "/restate/scope/s!/send/Greeter/Greet",
            400,
            "bad scope value: value contains characters outside the allowed set [a-zA-Z0-9_.-]",
        ),
    ],
)
async def test_a_bad_path(client, path, status, message):
    is_refused(await client.post(path), status, message)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/Greeter/Ping", {"x-note": "x" * 65_536}),
        ("/Greeter/Ping", {f"x-{n:04}": "x" * 94 for n in range(700)}),
        ("/Greeter/Ping?" + "x" * 60_000, {"x-note": "x" * 6_000}),
    ],
    ids=["one", "many", "query"],
)
async def test_more_headers_than_a_handler_can_be_given(client, path, headers):
    reply = await client.post(path, headers=headers)

    is_refused(reply, 431, reply.json()["message"])
    assert re.fullmatch(r"the path and the headers have \d\d,\d{3} bytes, and can have 65,536", reply.json()["message"])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/Greeter/Greet", "GET, POST"),
        ("DELETE", "/Counter/k/Add/send", "GET, POST"),
        ("OPTIONS", "/Greeter/Greet", "GET, POST"),
        ("POST", "/restate/health", "GET"),
        ("POST", "/restate/workflow/Flow/w/attach", "GET"),
        ("POST", "/restate/output/inv_1x", "GET"),
        ("GET", "/restate/attach", "POST"),
        ("GET", "/restate/lookup", "POST"),
        ("GET", "/restate/awakeables/x/resolve", "POST"),
        ("GET", "/restate/a/x/reject", "POST"),
    ],
)
async def test_a_wrong_method(client, method, path, allowed):
    reply = await client.request(method, path)

    is_refused(reply, 405, "method not allowed")
    assert reply.headers["allow"] == allowed


async def test_head_is_a_wrong_method(client):
    assert (await client.head("/Greeter/Greet")).status_code == 405


@pytest.mark.parametrize(
    ("handler", "content_type", "body", "why"),
    [
        ("Greet", None, b'"Ada"', "Empty content-type"),
        ("Greet", "text/plain", b'"Ada"', "Content-type 'text/plain' does not match 'application/json'"),
        ("Greet", "application/json", b"", "Empty body not allowed"),
        (
            "Ping",
            "application/json",
            b"1",
            "Expected body and content-type to be empty, but wasn't with content-type 'Some(\"application/json\")'",
        ),
        (
            "Ping",
            "application/json",
            b"",
            "Expected body and content-type to be empty, but wasn't with content-type 'Some(\"application/json\")'",
        ),
        ("Ping", None, b"1", "Expected body and content-type to be empty, but wasn't with content-type 'None'"),
        ("Blob", None, b"1", "Empty content-type"),
        ("Blob", None, b"", "Empty content-type"),
        ("Blob", "image/png", b"", "Empty body not allowed"),
    ],
)
async def test_an_input_that_the_handler_does_not_take(client, handler, content_type, body, why):
    headers = {} if content_type is None else {"content-type": content_type}

    called = await client.post(f"/Greeter/{handler}", content=body, headers=headers)
    sent = await client.post(f"/Greeter/{handler}/send", content=body, headers=headers)

    is_refused(called, 400, f"input validation error: {why}")
    is_refused(sent, 400, f"input validation error: {why}")


async def test_a_delay_that_is_none(client):
    reply = await client.post("/Counter/k/Add/send?delay=foo", json=1)

    is_refused(
        reply,
        400,
        "bad delay query parameter, must be a ISO8601 duration: "
        "'foo' is not a duration, write it like '1h 30m', '500ms' or 'PT1H30M'",
    )


async def test_two_delays(client):
    reply = await client.post("/Counter/k/Add/send?delay=1s&Delay=2s", json=1)

    is_refused(reply, 400, "bad delay query parameter, it occurs more than once")


async def test_a_delay_on_a_call(client):
    reply = await client.post("/Counter/k/Add?delay=1s", json=1)

    is_refused(reply, 400, "cannot use the delay query parameter with calls. The delay is supported only with sends")


async def test_an_idempotency_key_for_a_workflow(client):
    reply = await client.post("/Flow/w/Run", json=1, headers={"idempotency-key": "i1"})

    is_refused(
        reply,
        400,
        "cannot use the idempotency key with workflow handlers. "
        "The handler invocation will already be idempotent by the workflow key itself.",
    )


@pytest.mark.parametrize("key", [b"", b"a b", b"\xc3\xa9", b"x" * 256])
async def test_a_bad_idempotency_key(client, door, key):
    reply = await client.post("/Counter/k/Add", json=1, headers=[(b"idempotency-key", key)])

    is_refused(reply, 400, "bad idempotency key: it must be 1 to 255 visible ASCII characters")
    assert not door.records


async def test_two_idempotency_keys(client):
    reply = await client.post("/Counter/k/Add", json=1, headers=[("idempotency-key", "a"), ("Idempotency-Key", "a")])

    is_refused(reply, 400, "bad idempotency-key header: it occurs more than once")


async def test_a_limit_key(client):
    reply = await client.post("/Counter/k/Add", json=1, headers={"x-restate-limit-key": "a"})

    is_refused(reply, 400, "limit-key requires a scope to be set")


@pytest.mark.parametrize(
    ("code", "status"), [(400, 400), (418, 418), (599, 599), (200, 500), (0, 500), (999, 500), (1000, 500)]
)
async def test_a_terminal_error_is_never_a_success(client, door, code, status):
    reply = await client.post("/Greeter/Fail", json={"status": code})

    [id] = door.records
    assert reply.status_code == status
    assert reply.text == f'{{"code":{code},"message":"tea pot","source":"invocation"}}'
    assert reply.headers["x-restate-error-source"] == "invocation"
    assert reply.headers["x-restate-id"] == id


async def test_metadata_comes_before_the_source(client, door):
    reply = await client.post("/Greeter/Fail", json={"status": 418, "metadata": {"a": "b"}})

    assert reply.text == '{"code":418,"message":"tea pot","metadata":{"a":"b"},"source":"invocation"}'


async def test_a_failure_without_metadata(client, door):
    reply = await client.post("/Greeter/Fail", json={"status": 418})

    is_failed(reply, 418, "tea pot", id=next(iter(door.records)))


@pytest.mark.parametrize("path", ["/Counter/k/Add", "/Counter/k/Add/send"])
async def test_a_stopped_engine_says_what_to_do(client, door, path):
    door.stopped = True

    reply = await client.post(path, json=1, headers={"idempotency-key": "i1"})

    is_refused(
        reply,
        503,
        "the engine is not running, or stopped before the outcome was known: the request may or may not have been "
        "accepted, retry with the same idempotency key",
    )
    assert reply.headers["retry-after"] == "1"


async def test_what_is_damaged_is_named(client, door):
    async def submit(_):
        raise DamagedError("state 'count' of Counter/k is not what was written")

    door.submit = submit

    reply = await client.post("/Counter/k/Add/send", json=1)

    is_refused(reply, 500, "state 'count' of Counter/k is not what was written")


async def test_a_defect_tells_the_client_nothing(door):
    door.submit = None
    transport = httpx.ASGITransport(ingress(door), raise_app_exceptions=False)

    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        reply = await client.post("/Counter/k/Add/send", json=1)

    is_refused(reply, 500, "internal error, the server's log says more")
