"""The ingress over the engine itself: what the fake engine of the other tests stands for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import httpx
import pytest

from durable import Context, Service, handler
from durable.ingress import ingress
from durable.testing import TestEngine
from tests.runtime.batches import Account, Mailer
from tests.runtime.flows import Approval, Counter


class Asker(Service):
    def __init__(self) -> None:
        self.ids: list[str] = []

    @handler
    async def ask(self, ctx: Context) -> str:
        answer = ctx.awakeable(str)
        self.ids.append(answer.id)
        return await answer


ASKER = Asker()
JSON = {"content-type": "application/json"}


@pytest.fixture
async def engine() -> AsyncGenerator[TestEngine]:
    ASKER.ids.clear()
    async with TestEngine(Counter(), Approval(), Account(), Mailer(), ASKER) as engine:
        yield engine


@pytest.fixture
async def client(engine: TestEngine) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(ingress(engine)), base_url="http://x") as client:
        yield client


async def test_a_call_answers_with_the_output_and_its_id(client: httpx.AsyncClient) -> None:
    answer = await client.post("/Counter/a%2Fb/add", content=b"2", headers=JSON)

    assert (answer.status_code, answer.content) == (200, b"2")
    assert answer.headers["x-restate-id"].startswith("inv_1")


async def test_an_encoded_slash_is_part_of_the_key(client: httpx.AsyncClient, engine: TestEngine) -> None:
    await client.post("/Counter/a%2Fb/add", content=b"2", headers=JSON)

    assert await engine.call(Counter.read, "a/b") == 2
    assert await engine.call(Counter.read, "a") == 0


async def test_a_send_is_accepted_once_per_idempotency_key(client: httpx.AsyncClient) -> None:
    headers = JSON | {"idempotency-key": "i"}

    first = await client.post("/Counter/k/add/send", content=b"2", headers=headers)
    again = await client.post("/Counter/k/add/send", content=b"2", headers=headers)

    assert (first.status_code, first.json()["status"]) == (202, "Accepted")
    assert again.json() == {"invocationId": first.json()["invocationId"], "status": "PreviouslyAccepted"}


async def test_a_delayed_send_says_when(client: httpx.AsyncClient, engine: TestEngine) -> None:
    sent = (await client.post("/Counter/k/add/send?delay=PT10S", content=b"2", headers=JSON)).json()
    assert sent["executionTime"] == "2026-01-01T00:00:10.000000000Z"

    await engine.skip(timedelta(seconds=10))

    assert (await client.get(f"/restate/invocation/{sent['invocationId']}/output")).content == b"2"


async def test_a_workflow_from_submit_to_output(client: httpx.AsyncClient, engine: TestEngine) -> None:
    await client.post("/Approval/w/run/send")
    await engine.settle()
    early = await client.get("/restate/workflow/Approval/w/output")
    again = await client.post("/Approval/w/run")
    await client.post("/Approval/w/decide", content=b'"yes"', headers=JSON)

    attached = await client.get("/restate/workflow/Approval/w/attach")

    assert (early.status_code, again.status_code) == (470, 409)
    assert again.json()["message"] == "the workflow method was already invoked"
    assert (attached.status_code, attached.content) == (200, b'"yes"')


async def test_an_awakeable_is_resolved_over_http(client: httpx.AsyncClient, engine: TestEngine) -> None:
    sent = await engine.send(Asker.ask)
    await engine.settle()

    answer = await client.post(f"/restate/awakeables/{ASKER.ids[0]}/resolve", content=b'"here"')

    assert (answer.status_code, await sent.result()) == (202, "here")


async def test_a_forged_awakeable_is_refused(client: httpx.AsyncClient, engine: TestEngine) -> None:
    await engine.send(Asker.ask)
    await engine.settle()
    forged = ASKER.ids[0][:-4] + "AAAA"

    answer = await client.post(f"/restate/awakeables/{forged}/resolve", content=b'"here"')

    assert (answer.status_code, answer.json()["message"]) == (400, f"bad awakeable id '{forged}': unknown awakeable")


async def test_an_input_that_does_not_decode_names_handler_and_field(client: httpx.AsyncClient) -> None:
    answer = await client.post("/Counter/k/add", content=b'"two"', headers=JSON)

    assert answer.status_code == 400
    assert answer.json()["message"] == "the input of Counter.add does not decode: Expected `int`, got `str`"


async def test_a_terminal_error_keeps_its_status(client: httpx.AsyncClient) -> None:
    answer = await client.post("/Counter/k/fail_after_set")

    assert (answer.status_code, answer.json()["message"]) == (409, "set and gone")
    assert answer.headers["x-restate-error-source"] == "invocation"


async def test_what_a_late_answer_names_is_on_the_disk(client: httpx.AsyncClient, engine: TestEngine) -> None:
    answer = await client.post("/Asker/ask?timeout=0")

    async with TestEngine(Counter(), Approval(), Account(), Mailer(), ASKER, after=engine) as restarted:
        status = await restarted.invocation(answer.headers["x-restate-id"]).status()

    assert (answer.status_code, status) == (408, "running")


async def test_a_late_answer_says_if_somebody_has_to_resume_the_invocation(
    client: httpx.AsyncClient, engine: TestEngine
) -> None:
    sent = await engine.send(Asker.ask)
    await sent.pause()

    answer = await client.get(f"/restate/invocation/{sent.id}/attach?timeout=0")

    assert answer.status_code == 408
    assert "the invocation is paused, and goes on once it is resumed; attach to it" in answer.json()["message"]


async def test_an_engine_that_is_closed_answers_503() -> None:
    engine = TestEngine(Counter())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(ingress(engine)), base_url="http://x") as client:
        answers = [await client.get("/restate/health"), await client.post("/Counter/k/add", content=b"1", headers=JSON)]

    assert [answer.status_code for answer in answers] == [503, 503]


async def test_a_delay_of_zero_says_now(client: httpx.AsyncClient) -> None:
    sent = await client.post("/Counter/k/add/send?delay=0", content=b"2", headers=JSON)

    assert sent.json()["executionTime"] == "2026-01-01T00:00:00.000000000Z"


async def test_a_batch_handler_is_posted_one_input_and_answers_with_its_result(client: httpx.AsyncClient) -> None:
    mails = [client.post("/Mailer/send", json=mail) for mail in ("a", "", "ccc")]
    deposits = [client.post("/Account/jane/add", json=number) for number in (1, 2, 3)]
    answers = await asyncio.gather(*mails, *deposits)

    assert [answer.status_code for answer in answers] == [200, 400, 200, 200, 200, 200]
    assert [answer.json() for answer in answers if answer.status_code == 200] == [1, 3, 1, 3, 6]


@pytest.mark.parametrize("path", ["/Mailer/send.batch", "/Mailer:send/join", "/Mailer:send/k/join"])
async def test_what_collects_a_batch_is_nobodys_to_call(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json="a")

    assert answer.status_code == 404
