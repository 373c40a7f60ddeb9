"""What the admin API does for a client: status, cancel, kill and the like."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from durable import TerminalError
from durable.errors import InvocationNotFoundError, InvocationStateError
from durable.http import HttpClient, NotOverHttpError
from durable.ingress import ingress
from durable.ingress.admin import admin
from tests.http.services import Approval, Greeter
from tests.http.transports import Script

ID = "inv_1x"


def administered(*lines: httpx.Response) -> tuple[HttpClient, Script]:
    script = Script(*lines)
    tokens = {"api_key": "outside", "admin_token": "inside"}
    return HttpClient("http://shop", admin_url="http://admin/ops/", transport=script, **tokens), script


async def test_a_status_is_looked_up():
    client, script = administered(httpx.Response(200, json={"id": ID, "status": "suspended"}))

    assert await client.invocation(ID).status() == "suspended"
    [request] = script.requests
    assert (request.method, str(request.url)) == ("GET", f"http://admin/ops/invocations/{ID}")
    assert request.headers["authorization"] == "Bearer inside"


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("cancel", "cancel"),
        ("kill", "kill"),
        ("pause", "pause"),
        ("resume", "resume"),
        ("purge", "purge"),
        ("purge_journal", "purge-journal"),
    ],
)
async def test_an_order_is_a_patch(verb, path):
    client, script = administered(httpx.Response(202))

    await getattr(client.invocation(ID), verb)()

    [request] = script.requests
    assert (request.method, str(request.url)) == ("PATCH", f"http://admin/ops/invocations/{ID}/{path}")


async def test_a_restart_is_another_invocation():
    client, script = administered(httpx.Response(200, json={"new_invocation_id": "inv_1y"}))

    assert (await client.invocation(ID).restart(from_entry=3)).id == "inv_1y"
    assert str(script.requests[0].url) == f"http://admin/ops/invocations/{ID}/restart-as-new?from=3"


@pytest.mark.parametrize(
    ("status", "type"),
    [(404, InvocationNotFoundError), (409, InvocationStateError), (410, InvocationStateError), (401, TerminalError)],
)
async def test_a_refusal_says_why(status, type):
    client, _ = administered(httpx.Response(status, json={"message": "why not", "restate_code": None}))

    with pytest.raises(type, match="why not") as refused:
        await client.invocation(ID).cancel()

    assert refused.value.status == status


@pytest.mark.parametrize("answer", [httpx.Response(200, text="<html>"), httpx.Response(200, json={"state": "x"})])
async def test_another_server_is_noticed(answer):
    client, _ = administered(answer)

    with pytest.raises(TerminalError, match="no answer of an ingress") as refused:
        await client.invocation(ID).status()

    assert refused.value.status == 502


async def test_without_an_address_there_is_no_order():
    client = HttpClient("http://shop", transport=Script())

    with pytest.raises(NotOverHttpError, match="admin_url"):
        await client.invocation(ID).cancel()


async def test_there_are_no_signals_over_http():
    client, script = administered()

    with pytest.raises(NotOverHttpError, match="signals"):
        await client.invocation(ID).signal("go", 1)

    assert script.requests == []


async def test_the_admin_app_carries_orders_out(engine):
    app = Starlette(routes=[Mount("/admin", admin(engine, token="inside")), Mount("/", ingress(engine))])
    url, transport = "http://localhost", httpx.ASGITransport(app)
    async with HttpClient(url, admin_url=f"{url}/admin", admin_token="inside", transport=transport) as client:
        sent = await client.send(Approval.run, "w", "order 1")
        await engine.settle()
        before, why = await sent.status(), await sent.why()
        await sent.kill()
        await sent.purge()
        with pytest.raises(InvocationNotFoundError):
            await sent.status()

    assert before == "running"
    assert str(why).endswith("is running\n  promise 'decision' is not completed")


async def test_the_admin_app_refuses_what_cannot_be_done(engine):
    app = Starlette(routes=[Mount("/admin", admin(engine)), Mount("/", ingress(engine))])
    url, transport = "http://localhost", httpx.ASGITransport(app)
    async with HttpClient(url, admin_url=f"{url}/admin", transport=transport) as client:
        sent = await client.send(Greeter.ping)
        await sent.result()
        with pytest.raises(InvocationStateError, match="already completed"):
            await sent.cancel()
