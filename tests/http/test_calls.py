"""The client's verbs over an ingress: they do what the engine's own do."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount

from durable import InvocationNotReadyError, ObjectContext, TerminalError, WorkflowContext, generic
from durable.errors import BadIdError, InvocationNotFoundError
from durable.http import HttpClient, NotOverHttpError, OutcomeTimeoutError
from durable.ingress import UnauthorizedError, ingress
from durable.testing import TestEngine
from tests.http.services import AWAKEABLES, Approval, Counter, Greeter

SOON = timedelta(milliseconds=20)


async def test_a_call_returns_the_decoded_output(client):
    assert await client.call(Greeter.greet, "Ada") == "hello Ada"


@pytest.mark.parametrize("key", ["k", "a/b", "..", ".", "%2F", "a b", "käse", "?q#f", "+", "\N{SNOWMAN}"])
async def test_every_key_is_itself(client, engine, key):
    await client.call(Counter.add, key, 3)

    assert await engine.call(Counter.add, key, 1) == 4


async def test_an_empty_key_is_refused(client):
    with pytest.raises(TerminalError, match="bad key: it must not be empty") as refused:
        await client.call(Counter.add, "", 3)

    assert refused.value.status == 400


async def test_handlers_get_what_they_declare(client):
    assert await client.call(Greeter.ping) is None
    assert await client.call(Greeter.reverse, b"\x00\xff") == b"\xff\x00"
    assert await client.call(Greeter.maybe) == "hello None"
    assert await client.call(Greeter.maybe, "Ada") == "hello Ada"


async def test_headers_reach_the_handler(client):
    assert await client.call(Greeter.header.options(headers={"X-Order": "7"}), "x-order") == "7"


async def test_a_failure_is_raised_as_it_was(client):
    with pytest.raises(TerminalError) as failed:
        await client.call(Greeter.fail, 418)

    assert (failed.value.status, failed.value.message) == (418, "tea pot")
    assert failed.value.metadata == {"leaf": "green"}


async def test_a_status_that_http_does_not_know_is_kept(client):
    with pytest.raises(TerminalError) as failed:
        await client.call(Greeter.fail, 1000)

    assert failed.value.status == 1000


async def test_calls_with_an_idempotency_key_are_one(client):
    add = Counter.add.options(idempotency_key="once")

    assert [await client.call(add, "k", 3), await client.call(add, "k", 3)] == [3, 3]


async def test_calls_without_one_are_as_many(client):
    assert [await client.call(Counter.add, "k", 3), await client.call(Counter.add, "k", 3)] == [3, 6]


async def test_a_send_has_a_result(client):
    sent = await client.send(Counter.add, "k", 3)

    assert sent.id.startswith("inv_1")
    assert await sent.result() == 3
    assert await client.invocation(sent.id).result() == 3


async def test_a_delayed_send_waits(client, engine):
    sent = await client.send_later(timedelta(seconds=10), Counter.add, "k", 3)
    assert await engine.call(Counter.add, "k", 1) == 1

    await engine.skip(timedelta(seconds=10))

    assert await sent.result() == 4


async def test_a_workflow_runs_once(client):
    sent = await client.send(Approval.run, "w", "order 1")
    again = await client.send(Approval.run, "w", "order 1")
    with pytest.raises(TerminalError, match="already invoked") as refused:
        await client.call(Approval.run, "w", "order 1")
    await client.call(Approval.decide, "w", "yes")

    assert (sent.id, refused.value.status) == (again.id, 409)
    assert await sent.result() == "order 1: yes"


async def test_a_call_that_attaches_gets_the_result_of_the_run_before(client):
    await client.send(Approval.run, "w", "order 1")
    await client.call(Approval.decide, "w", "yes")

    assert await client.call(Approval.run.options(attach=True), "w", "order 2") == "order 1: yes"


async def test_an_awakeable_is_resolved(client, engine):
    sent = await client.send(Greeter.ask)
    await engine.settle()

    await client.awakeable(AWAKEABLES[0]).resolve("here")

    assert await sent.result() == "here"


async def test_an_awakeable_is_rejected(client, engine):
    sent = await client.send(Greeter.ask)
    await engine.settle()

    await client.awakeable(AWAKEABLES[0]).reject("näh")

    with pytest.raises(TerminalError, match="näh"):
        await sent.result()


@pytest.mark.parametrize("id", ["foo", "", "..", "a/b"])
async def test_an_id_that_is_none_is_refused(client, id):
    with pytest.raises(BadIdError):
        await client.invocation(id).result()
    with pytest.raises(BadIdError):
        await client.awakeable(id).resolve(1)


async def test_an_unknown_invocation_is_not_found(client):
    async with TestEngine(Counter()) as other:
        unknown = (await other.send(Counter.add, "k", 1)).id

    with pytest.raises(InvocationNotFoundError, match="not found"):
        await client.invocation(unknown).result()


async def test_an_invocation_that_failed_with_404_was_found(client):
    sent = await client.send(Greeter.fail, 404)

    with pytest.raises(TerminalError, match="tea pot") as failed:
        await sent.result()

    assert not isinstance(failed.value, InvocationNotFoundError)


async def test_a_call_waits_no_longer_than_its_client(engine):
    transport = httpx.ASGITransport(ingress(engine))
    async with HttpClient("http://shop", transport=transport, timeout=SOON) as client:
        with pytest.raises(OutcomeTimeoutError, match="goes on") as late:
            await client.call(Greeter.ask)
        await client.awakeable(AWAKEABLES[0]).resolve("here")

        assert await client.invocation(late.value.id).result() == "here"


async def test_a_call_that_is_late_says_if_the_invocation_is_paused(engine):
    ask = Greeter.ask.options(idempotency_key="once")
    sent = await engine.send(ask)
    await sent.pause()

    transport = httpx.ASGITransport(ingress(engine))
    async with HttpClient("http://shop", transport=transport, timeout=SOON) as client:
        with pytest.raises(OutcomeTimeoutError, match="is paused, and goes on once it is resumed") as late:
            await client.call(ask)

    assert f"or with client.invocation({sent.id!r}).result()" in str(late.value)


async def test_a_result_takes_as_long_as_it_takes(engine):
    polls = []

    async def app(scope, receive, send):
        polls.append(scope["path"])
        if len(polls) == 4:
            await engine.awakeable(AWAKEABLES[0]).resolve("here")
        await ingress(engine)(scope, receive, send)

    async with HttpClient("http://shop", transport=httpx.ASGITransport(app), timeout=SOON) as client:
        sent = await client.send(Greeter.ask)

        assert await sent.result() == "here"
    assert len(polls) >= 4


async def test_a_client_says_who_it_is(engine):
    def authenticate(request: Request) -> str:
        if request.headers.get("authorization") != "Bearer s3cret":
            raise UnauthorizedError
        return "ada"

    app = Starlette(routes=[Mount("/api", ingress(engine, authenticate=authenticate))])
    transport = httpx.ASGITransport(app)
    async with (
        HttpClient("http://shop/api/", api_key="s3cret", transport=transport) as ada,
        HttpClient("http://shop/api", transport=transport) as nobody,
    ):
        assert await ada.call(Greeter.greet, "Ada") == "hello Ada"
        with pytest.raises(TerminalError) as refused:
            await nobody.call(Greeter.greet, "Ada")

    assert refused.value.status == 401


async def test_an_engine_that_does_not_know_the_handler_says_so(client):
    async with TestEngine(Counter()) as other:
        transport = httpx.ASGITransport(ingress(other))
        async with HttpClient("http://shop", transport=transport) as client:
            with pytest.raises(TerminalError, match="service 'Greeter' not found") as refused:
                await client.call(Greeter.greet, "Ada")

    assert refused.value.status == 404


async def test_an_output_is_read_without_waiting(client, engine):
    sent = await client.send(Greeter.ask)
    await engine.settle()
    with pytest.raises(InvocationNotReadyError):
        await sent.output()

    await client.awakeable(AWAKEABLES[0]).resolve("42")
    await engine.settle()

    assert await sent.output() == "42"
    failed = await client.send(Greeter.fail, 418)
    await engine.settle()
    with pytest.raises(TerminalError, match="tea pot"):
        await failed.output()
    with pytest.raises(InvocationNotFoundError):
        await client.invocation("inv_1" + "0" * 33).output()
    with pytest.raises(BadIdError):
        await client.invocation("foo").output()


async def test_an_invocation_is_found_by_its_names(client, engine):
    sent = await client.send(Approval.run, "o/1", "book")
    once = Counter.add.options(idempotency_key="x")
    await client.call(once, "k/1", 3)

    assert (await client.lookup(Approval.run, "o/1")).id == sent.id
    assert await (await client.lookup(once, "k/1")).output() == 3
    assert await (await engine.lookup(once, "k/1")).output() == 3
    with pytest.raises(ValueError, match="has an id of its own"):
        await client.lookup(Counter.add, "k")
    with pytest.raises(ValueError, match="the ingress says who calls"):
        await client.lookup(once.options(identity="jane"), "k")


async def test_a_handler_can_be_called_by_its_names(client):
    assert await client.call(generic("Greeter", "greet"), b'"Ada"') == b'"hello Ada"'
    assert await client.call(generic("Greeter", "reverse"), b"abc") == b"cba"
    assert await client.call(generic("Counter", "add", ObjectContext), "k", b"3") == b"3"
    assert (await client.send(generic("Approval", "run", WorkflowContext), "k", b'"book"')).id.startswith("inv_1")


async def test_an_awakeable_is_rejected_with_status_500_only(client, engine):
    sent = await client.send(Greeter.ask)
    await engine.settle()
    with pytest.raises(NotOverHttpError, match="rejected with status 500, not 404"):
        await client.awakeable(AWAKEABLES[0]).reject("no", status=404)

    await engine.awakeable(AWAKEABLES[0]).reject("no", status=404)

    with pytest.raises(TerminalError) as rejected:
        await sent.result()
    assert rejected.value.status == 404
