"""What is not served: a 404 that says why, or a 405; whatever is sent, it is the caller's mistake."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable.ingress.admin.absent import why_absent
from tests.ingress.admin.checks import is_refused
from tests.ingress.admin.services import UNKNOWN, AdminEngine


@pytest.mark.parametrize(
    ("method", "path", "why"),
    [
        ("GET", "/cluster-health", "there is one node, and GET /health says how it is"),
        ("GET", "/deployments", "there is nothing to register, "),
        ("POST", "/deployments", "there is nothing to register, "),
        ("DELETE", "/deployments/dp_1", "there is nothing to register, "),
        ("GET", "/subscriptions", "there is no Kafka, "),
        ("PATCH", "/kafka-clusters/c", "there is no Kafka, "),
        ("POST", "/query", "there is no SQL over HTTP, "),
        ("POST", "/vqueues/vq_1/pause", "there are no virtual queues, and GET /limits/usage says who waits for what"),
        ("POST", "/internal/services/Counter/serdes/decode/x", "payloads are JSON or plain bytes, "),
    ],
)
async def test_what_one_node_has_not_is_not_found(client: httpx.AsyncClient, method: str, path: str, why: str) -> None:
    reply = await client.request(method, path, json={})

    assert reply.status_code == 404
    assert reply.json()["message"].startswith(f"'{path}' is not served here: {why}")
    assert reply.json()["restate_code"] is None


@pytest.mark.parametrize("path", ["/", "/nope", "/health/", "/services/", "/services/a/b/c/d", "/ui", "//health"])
async def test_what_nobody_knows_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(f"http://localhost:9070{path}")

    is_refused(reply, 404, f"'{path}' is not a path of the admin app: GET /openapi lists them")


async def test_an_unknown_verb_is_not_found(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("running")

    assert (await client.patch(f"/invocations/{invocation.id}/explode")).status_code == 404
    assert (await client.patch(f"/invocations/{invocation.id}/kill/")).status_code == 404
    assert await invocation.status() == "running"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/health", {"GET", "HEAD"}),
        ("PATCH", "/services/Counter", {"GET", "HEAD"}),
        ("GET", f"/invocations/{UNKNOWN}/kill", {"PATCH"}),
        ("POST", f"/invocations/{UNKNOWN}/kill", {"PATCH"}),
        ("PUT", f"/invocations/{UNKNOWN}", {"GET", "HEAD", "DELETE"}),
        ("GET", "/internal/invocations_batch_operations/kill", {"POST"}),
        ("OPTIONS", "/services", {"GET", "HEAD"}),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    client: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    reply = await client.request(method, path)

    is_refused(reply, 405, "method not allowed")
    assert set(reply.headers["allow"].split(", ")) == allowed


async def test_head_is_a_get_without_a_body(client: httpx.AsyncClient) -> None:
    assert (await client.head("/services")).status_code == 200


def test_a_long_path_is_cut() -> None:
    assert len(why_absent("/" + "x" * 10_000)) < 300


METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
WORDS = ["services", "invocations", "internal", "invocations_batch_operations", "kill", "ui", "handlers", "openapi"]
SEGMENTS = st.sampled_from([*WORDS, UNKNOWN, "Counter", "%00", "%FF", "%2F", "%2e%2e", ".."]) | st.from_regex(
    r"(?:[a-z0-9_.~-]|%[0-9a-f]{2}){0,40}", fullmatch=True
)
PATHS = st.lists(SEGMENTS, max_size=5).map(lambda segments: "/" + "/".join(segments))
QUERIES = st.from_regex(r"((from|mode|deployment)=([a-z0-9+]|%[0-9a-f]{2}){0,12}&?){0,3}", fullmatch=True)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(METHODS, PATHS, QUERIES, st.binary(max_size=60))
async def test_whatever_is_sent_it_is_the_callers_mistake(
    client: httpx.AsyncClient, method: str, path: str, query: str, body: bytes
) -> None:
    headers = {"content-type": "application/json"}

    reply = await client.request(method, f"http://localhost:9070{path}?{query}", content=body, headers=headers)

    assert reply.status_code < 500
    if reply.status_code >= 400 and method != "HEAD":
        assert set(reply.json()) == {"message", "restate_code"}
