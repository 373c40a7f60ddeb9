"""Requests that are sent again: when that helps, when it is safe, and for how long."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from durable import EngineStoppedError, TerminalError
from durable.errors import InvocationStateError
from durable.http import HttpClient, UnansweredError
from durable.ingress import ingress
from tests.http.services import AWAKEABLES, Approval, Counter, Greeter
from tests.http.transports import FakeTime, Lossy, Script, error

OK = httpx.Response(200, json="hello Ada")
DONE = httpx.Response(200)
BUSY = "inv_1busy"


def scripted(*lines: httpx.Response | Exception) -> tuple[HttpClient, Script, FakeTime]:
    script = Script(*lines)
    client = HttpClient("http://shop", transport=script, admin_url="http://admin")
    return client, script, FakeTime(client)


@pytest.mark.parametrize(
    "passing",
    [
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.ReadTimeout("silence"),
        httpx.RemoteProtocolError("closed"),
        error(408),
        error(425),
        error(429),
        error(500),
        error(503),
        httpx.Response(502, text="<h1>bad gateway</h1>"),
    ],
)
async def test_what_passes_is_waited_out(passing):
    client, script, time = scripted(passing, passing, OK)

    assert await client.call(Greeter.greet, "Ada") == "hello Ada"
    first, second = time.slept
    assert 0.25 <= first <= 0.3125
    assert 0.5 <= second <= 0.625
    assert len({request.headers["idempotency-key"] for request in script.requests}) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 470])
async def test_what_a_retry_cannot_help_is_not_repeated(status):
    client, script, _ = scripted(error(status, "no way"), OK)

    with pytest.raises(TerminalError, match="no way") as refused:
        await client.call(Greeter.greet, "Ada")

    assert (refused.value.status, len(script.requests)) == (status, 1)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_the_invocations_own_failure_is_an_answer(status):
    client, script, _ = scripted(error(status, "mine", source="invocation", x_restate_id="inv_1x"), OK)

    with pytest.raises(TerminalError, match="mine"):
        await client.call(Greeter.greet, "Ada")

    assert len(script.requests) == 1


async def test_the_server_says_how_long_to_wait():
    client, _, time = scripted(error(503, retry_after="7"), OK)

    await client.call(Greeter.greet, "Ada")

    assert time.slept == [7.0]


@pytest.mark.parametrize("wish", ["soon", "-1", "nan", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_a_wish_that_is_no_number_of_seconds_is_ignored(wish):
    client, _, time = scripted(error(503, retry_after=wish), OK)

    await client.call(Greeter.greet, "Ada")

    assert time.slept[0] < 1


async def test_after_the_timeout_nothing_is_sent():
    client, script, time = scripted(httpx.ConnectError("refused"))

    with pytest.raises(UnansweredError, match=r"ConnectError refused.*send it again with idempotency_key='once'"):
        await client.call(Greeter.greet.options(idempotency_key="once"), "Ada")

    assert 20 < time.seconds <= 30
    assert max(time.slept) <= 3.75
    assert len(script.requests) == len(time.slept) + 1


async def test_a_random_key_is_told_to_who_must_ask_again():
    client, script, _ = scripted(error(503, "stopped", retry_after="99"))

    with pytest.raises(EngineStoppedError, match="503") as unanswered:
        await client.send(Greeter.greet, "Ada")

    assert script.requests[0].headers["idempotency-key"] in str(unanswered.value)


async def test_what_was_refused_each_time_was_not_accepted():
    client, _, time = scripted(error(429, "full", retry_after="20"), httpx.ConnectError("refused"), error(429, "full"))

    with pytest.raises(
        UnansweredError, match=r"429 .*; it was refused each time, and not accepted: send it again with"
    ):
        await client.send(Greeter.greet, "Ada")

    assert time.seconds > 20


@pytest.mark.parametrize("lost", [httpx.ReadError("reset"), error(503, "stopped")])
async def test_what_was_refused_after_an_answer_was_lost_may_have_been_accepted(lost):
    client, _, _ = scripted(lost, error(429, "full"))

    with pytest.raises(UnansweredError, match=r"429 .*; it may or may not have been accepted: send it again with"):
        await client.send(Greeter.greet, "Ada")


async def test_the_cause_is_kept():
    client, _, _ = scripted(httpx.ReadError("reset"))

    with pytest.raises(UnansweredError) as unanswered:
        await client.call(Greeter.greet, "Ada")

    assert isinstance(unanswered.value.__cause__, httpx.ReadError)


async def test_the_server_is_told_how_much_time_is_left():
    client, script, _ = scripted(error(503, retry_after="10"), OK)

    await client.call(Greeter.greet, "Ada")

    assert [request.url.params["timeout"] for request in script.requests] == ["30000ms", "20000ms"]


async def test_a_call_whose_answer_is_lost_is_done_once(engine):
    lossy = Lossy(ingress(engine))
    async with HttpClient("http://shop", transport=lossy) as client:
        FakeTime(client)

        assert await client.call(Counter.add, "k", 3) == 3
    assert (await engine.call(Counter.add, "k", 1), lossy.carried) == (4, 2)


async def test_a_send_whose_answer_is_lost_is_accepted_once(engine):
    async with HttpClient("http://shop", transport=Lossy(ingress(engine))) as client:
        FakeTime(client)
        sent = await client.send_later(timedelta(0), Counter.add, "k", 3)

        assert await sent.result() == 3
    assert await engine.call(Counter.add, "k", 1) == 4


async def test_a_workflow_whose_answer_is_lost_is_attached_to(engine):
    async with HttpClient("http://shop", transport=Lossy(ingress(engine))) as client:
        FakeTime(client)
        await engine.call(Approval.decide, "w/1", "yes")

        assert await client.call(Approval.run, "w/1", "order 1") == "order 1: yes"


async def test_somebody_elses_run_is_no_answer_to_a_call_that_never_arrived():
    conflict = error(409, "the workflow method was already invoked", source="invocation", x_restate_id="inv_1x")
    client, script, _ = scripted(httpx.ConnectError("refused"), error(429), conflict)

    with pytest.raises(TerminalError, match="already invoked"):
        await client.call(Approval.run, "w", "order 1")

    assert len(script.requests) == 3


async def test_a_workflow_has_no_idempotency_key_but_its_own():
    client, script, _ = scripted(httpx.Response(202, json={"invocationId": "inv_1x", "status": "Accepted"}))

    await client.send(Approval.run.options(idempotency_key="ignored"), "w", "order 1")

    assert "idempotency-key" not in script.requests[0].headers


async def test_an_awakeable_may_be_completed_twice(engine):
    async with HttpClient("http://shop", transport=Lossy(ingress(engine), lost=2)) as client:
        FakeTime(client)
        sent = await engine.send(Greeter.ask)
        await engine.settle()

        await client.awakeable(AWAKEABLES[0]).resolve("here")

    assert await sent.result() == "here"


async def test_an_order_is_repeated_only_if_it_cannot_have_arrived():
    client, script, _ = scripted(httpx.ConnectError("refused"), error(429), DONE)
    await client.invocation(BUSY).cancel()
    assert len(script.requests) == 3

    client, script, _ = scripted(httpx.ReadError("reset"), DONE)
    with pytest.raises(UnansweredError, match="look at its status"):
        await client.invocation(BUSY).cancel()
    assert len(script.requests) == 1


async def test_what_has_not_started_is_not_waited_for():
    client, script, _ = scripted(error(425), DONE)

    with pytest.raises(InvocationStateError) as early:
        await client.invocation(BUSY).resume()

    assert (early.value.status, len(script.requests)) == (425, 1)


async def test_a_request_that_is_no_http_is_not_repeated():
    client, script, _ = scripted(httpx.LocalProtocolError("bad"))

    with pytest.raises(httpx.LocalProtocolError):
        await client.call(Greeter.greet, "Ada")

    assert len(script.requests) == 1
