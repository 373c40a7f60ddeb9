"""Where the gateway calls back: what it may say, and what does no harm."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.shop.asgi import add, attach, basket, check_out, shop, until_asked, waiting

GARBAGE = [
    b"",
    b"null",
    b"true",
    b"paid",
    b'{"paid":' + b"[" * 5000,
    b"{}",
    b'{"success": true}',
    b'{"transaction_id": "TXN-1"}',
    b'{"transaction_id": 1, "success": true}',
    b'{"transaction_id": "TXN-1", "success": "true"}',
    b'{"TransactionID": "TXN-1", "Success": null}',
    b'{"transaction_id": "TXN-1", "success": true, "Success": false}',
    b'{"transaction_id": "", "success": true}',
    b'{"transaction_id": "' + b"1" * 256 + b'", "success": true}',
    b"transaction_id=TXN-1&success=true",
    b'{"transaction_id": "\xff", "success": true}',
]


async def waiting_order(http: httpx.AsyncClient) -> tuple[str, str, str]:
    """An order that waits for its payment, its awakeable and its checkout."""
    await add(http, "alice")
    checkout = await check_out(http, "alice")
    order_id = checkout.json()["order_id"]
    return order_id, await until_asked(http, order_id), checkout.headers["x-restate-id"]


async def resolve(http: httpx.AsyncClient, awakeable_id: str, body: bytes | str) -> httpx.Response:
    return await http.post(f"/restate/awakeables/{awakeable_id}/resolve", content=body)


@pytest.mark.parametrize(
    "receipt",
    [
        '{"transaction_id": "TXN-12345", "success": true}',
        '{\n  "TransactionID": "TXN-12345",\n  "Success": true\n}\n',
        '{"success": true, "TransactionID": "TXN-12345", "amount": 100}',
    ],
)
async def test_a_receipt_is_understood_in_both_spellings(http: httpx.AsyncClient, receipt: str):
    order_id, awakeable_id, _ = await waiting_order(http)
    paid = await resolve(http, awakeable_id, receipt)
    await http.post(f"/OrderFulfillmentWorkflow/{order_id}/OnReject")
    await attach(http, order_id)

    assert (paid.status_code, paid.content) == (202, b"")
    assert (await http.get("/simulated/refunds")).json() == [{"transaction_id": "TXN-12345"}]


@pytest.mark.parametrize("body", GARBAGE)
async def test_garbage_is_refused_and_the_order_still_waits(http: httpx.AsyncClient, body: bytes):
    _, awakeable_id, checkout_id = await waiting_order(http)
    refused = await resolve(http, awakeable_id, body)
    pending = await http.get(f"/restate/invocation/{checkout_id}/output")
    await resolve(http, awakeable_id, '{"transaction_id": "TXN-1", "success": true}')
    outcome = await http.get(f"/restate/invocation/{checkout_id}/attach")

    assert refused.status_code == 400
    assert refused.json()["error"].startswith("the body must be a receipt")
    assert pending.status_code == 470
    assert (outcome.status_code, outcome.json()["transaction_id"]) == (200, "TXN-1")


@pytest.mark.parametrize("path", ["/restate/a/{}/resolve", "//restate/awakeables/{}/resolve", "/restate/a/{}/resolve/"])
async def test_there_is_no_other_way_for_garbage(http: httpx.AsyncClient, path: str):
    _, awakeable_id, _ = await waiting_order(http)
    url = httpx.URL("http://shop").copy_with(raw_path=path.format(awakeable_id).encode())

    assert (await http.post(url, content=b"{}")).status_code == 400
    assert (await http.post(url, json={"transaction_id": "TXN-1", "success": False})).status_code == 202


async def test_a_receipt_that_is_too_large_is_413(http: httpx.AsyncClient):
    _, awakeable_id, _ = await waiting_order(http)

    assert (await resolve(http, awakeable_id, b'{"transaction_id": "' + b"1" * 70_000)).status_code == 413


async def test_a_decline_needs_no_transaction(http: httpx.AsyncClient):
    order_id, awakeable_id, _ = await waiting_order(http)
    await resolve(http, awakeable_id, '{"TransactionID": "", "Success": false}')
    outcome = await attach(http, order_id)

    assert (outcome.status_code, outcome.json()["message"]) == (402, "payment declined")


async def test_a_gateway_may_reject_and_say_why(http: httpx.AsyncClient):
    order_id, awakeable_id, _ = await waiting_order(http)
    await http.post(f"/restate/awakeables/{awakeable_id}/reject", content="card stolen")
    outcome = await attach(http, order_id)
    approved = await http.post(f"/OrderFulfillmentWorkflow/{order_id}/OnApprove")

    assert (outcome.status_code, outcome.json()["message"]) == (500, "card stolen")
    assert (approved.status_code, approved.json()["message"]) == (409, "the order is closed")
    assert (await basket(http, "alice")).json() == ["laptop"]


@pytest.mark.parametrize("id", ["foo", "sign_1AAAA", "sign_1" + "A" * 59])
async def test_an_awakeable_that_does_not_exist_is_the_ingresss_to_refuse(http: httpx.AsyncClient, id: str):
    refused = await resolve(http, id, '{"transaction_id": "TXN-1", "success": true}')

    assert refused.status_code == 400
    assert refused.json()["message"].startswith(f"bad awakeable id '{id}'")


async def test_the_webhook_takes_only_post(http: httpx.AsyncClient):
    assert (await http.get("/restate/awakeables/foo/resolve")).status_code == 405


async def test_a_simulated_gateway_that_cannot_call_back_says_so_and_can_try_again(tmp_path: Path):
    async with shop(tmp_path, public_url="http://127.0.0.1:1") as http:
        order_id, *_ = await waiting_order(http)
        pressed = await http.post(f"/simulated/payments/{order_id}/pay")

        assert pressed.status_code == 502
        assert "could not be delivered to http://127.0.0.1:1/restate/awakeables/" in pressed.json()["error"]
        assert order_id in await waiting(http)
