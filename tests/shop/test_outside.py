"""The real gateway's and carrier's clients: the routes, the stable keys, and what a refusal means."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import pytest

from durable import RetryableError, TerminalError
from examples.shop.carrier import HttpCarrier
from examples.shop.gateway import HttpGateway
from examples.shop.outside import Outside


class Office:
    """Answers every request with one status, and keeps what it was asked."""

    def __init__(self, status: int = 200, body: str = '{"tracking_id": "T-1"}', **headers: str) -> None:
        self.answer = httpx.Response(status, text=body, headers=headers)
        self.asked: list[tuple[str, str, object, str]] = []
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.reply))
        self.gateway = HttpGateway(Outside(http, "http://outside/"))
        self.carrier = HttpCarrier(Outside(http, "http://outside"))

    def reply(self, request: httpx.Request) -> httpx.Response:
        body: object = json.loads(request.content) if request.content else None
        path = request.url.raw_path.decode()
        self.asked.append((request.method, path, body, request.headers["idempotency-key"]))
        return self.answer


async def test_every_request_has_its_route_and_its_key():
    office = Office()

    await office.gateway.request_payment("o-1", "sign_1")
    await office.gateway.refund("tx 1/ü")
    tracking_id = await office.carrier.book("o-1")
    await office.carrier.recall("o/1")

    assert tracking_id == "T-1"
    assert office.asked == [
        ("POST", "/payments", {"order_id": "o-1", "awakeable_id": "sign_1"}, "payment:o-1"),
        ("POST", "/refunds", {"transaction_id": "tx 1/ü"}, "refund:tx%201%2F%C3%BC"),
        ("POST", "/shipments", {"order_id": "o-1"}, "shipment:o-1"),
        ("DELETE", "/shipments/o%2F1", None, "recall:o%2F1"),
    ]


async def test_a_second_attempt_sends_the_same_request():
    office = Office()

    for _ in range(2):
        await office.carrier.book("o-1")

    assert office.asked[0] == office.asked[1]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_refusal_is_terminal_and_says_what_was_refused(status: int):
    office = Office(status, "no such order")

    with pytest.raises(TerminalError, match=f"POST http://outside/shipments was answered with {status}: no such"):
        await office.carrier.book("o-1")


@pytest.mark.parametrize("status", [302, 408, 409, 425, 429, 500, 503])
async def test_what_may_heal_is_retried(status: int):
    office = Office(status)

    with pytest.raises(RetryableError) as caught:
        await office.gateway.refund("tx-1")

    assert caught.value.retry_after is None


async def test_the_outside_says_when_to_come_back():
    office = Office(503, **{"Retry-After": "7"})

    with pytest.raises(RetryableError) as caught:
        await office.gateway.refund("tx-1")

    assert caught.value.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize("status", [204, 404, 410])
async def test_a_shipment_that_is_not_there_is_recalled(status: int):
    office = Office(status, "")

    await office.carrier.recall("o-1")

    assert len(office.asked) == 1
