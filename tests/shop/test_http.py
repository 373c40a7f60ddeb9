"""The shop's HTTP API on a real SQLite file, called as ASGI: no process, no socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from examples.shop.app import create_app
from examples.shop.settings import Settings

KEY = {"X-API-Key": "open sesame"}


@asynccontextmanager
async def shop(directory: Path) -> AsyncGenerator[httpx.AsyncClient]:
    database, delivery_time = str(directory / "shop.db"), timedelta(milliseconds=10)
    app = create_app(Settings(database=database, api_key="open sesame", delivery_time=delivery_time))
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        yield http


@pytest.fixture
async def http(tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    async with shop(tmp_path) as client:
        yield client


async def add(http: httpx.AsyncClient, user: str, item: str = "laptop", **headers: str) -> httpx.Response:
    return await http.post(f"/api/v1/user/{user}/add-item", headers=KEY | headers, json=item)


async def basket(http: httpx.AsyncClient, user: str) -> httpx.Response:
    return await http.get(f"/api/v1/user/{user}/basket", headers=KEY)


async def check_out(http: httpx.AsyncClient, user: str, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key is not None else {}
    return await http.post(f"/api/v1/user/{user}/checkout", headers=KEY | headers)


async def waiting(http: httpx.AsyncClient) -> dict[str, str]:
    """The awakeable of every order that waits for its payment."""
    listed = await http.get("/simulated/payments")
    return {payment["order_id"]: payment["awakeable_id"] for payment in listed.json()}


async def until_asked(http: httpx.AsyncClient, order_id: str) -> str:
    while (asked := await waiting(http)).get(order_id) is None:
        pass
    return asked[order_id]


async def pay(http: httpx.AsyncClient, order_id: str, *, success: bool = True) -> httpx.Response:
    awakeable_id = await until_asked(http, order_id)
    receipt = {"transaction_id": f"TXN-{order_id}", "success": success}
    return await http.post(f"/restate/awakeables/{awakeable_id}/resolve", json=receipt)


async def attach(http: httpx.AsyncClient, order_id: str) -> httpx.Response:
    """The order's outcome; 404 until the checkout, which goes on after the payment, has started the workflow."""
    path = f"/restate/workflow/OrderFulfillmentWorkflow/{order_id}/attach"
    while (answer := await http.get(path)).status_code == 404:
        pass
    return answer


async def test_an_item_is_counted_and_shown(http: httpx.AsyncClient):
    first, second = await add(http, "alice"), await add(http, "alice", "mouse")

    assert (first.status_code, first.json(), second.json()) == (200, {"items": 1}, {"items": 2})
    assert (await basket(http, "alice")).json() == ["laptop", "mouse"]


async def test_an_order_goes_from_basket_to_parcel(http: httpx.AsyncClient):
    await add(http, "alice")
    checkout = await check_out(http, "alice")
    order_id = checkout.json()["order_id"]
    paid = await pay(http, order_id)
    approved = await http.post(f"/OrderFulfillmentWorkflow/{order_id}/OnApprove")
    outcome = await attach(http, order_id)

    assert (checkout.status_code, paid.status_code, approved.status_code) == (202, 202, 200)
    assert order_id.startswith("ORDER-")
    assert (outcome.status_code, outcome.json()) == (200, {"tracking_id": f"TRACK-{order_id}"})
    shipments = (await http.get("/simulated/shipments")).json()
    assert shipments == [{"order_id": order_id, "tracking_id": f"TRACK-{order_id}", "status": "booked"}]
    assert (await http.get("/simulated/refunds")).json() == []


async def test_a_rejected_order_is_refunded(http: httpx.AsyncClient):
    await add(http, "alice")
    order_id = (await check_out(http, "alice")).json()["order_id"]
    await pay(http, order_id)
    await http.post(f"/OrderFulfillmentWorkflow/{order_id}/OnReject")
    outcome = await attach(http, order_id)

    assert (outcome.status_code, outcome.json()["message"]) == (400, "order rejected")
    assert (await http.get("/simulated/refunds")).json() == [{"transaction_id": f"TXN-{order_id}"}]
    assert (await http.get("/simulated/shipments")).json() == []


async def test_a_declined_payment_is_402_on_the_checkout(http: httpx.AsyncClient):
    await add(http, "alice")
    checkout = await check_out(http, "alice")
    await pay(http, checkout.json()["order_id"], success=False)

    outcome = await http.get(f"/restate/invocation/{checkout.headers['x-restate-id']}/attach")

    assert (outcome.status_code, outcome.json()["message"]) == (402, "payment declined")


async def test_a_repeated_item_is_added_once(http: httpx.AsyncClient):
    answers = [await add(http, "alice", **{"Idempotency-Key": "k"}) for _ in range(3)]

    assert [answer.json() for answer in answers] == [{"items": 1}] * 3
    assert (await basket(http, "alice")).json() == ["laptop"]


async def test_an_empty_key_is_refused_for_it_would_make_all_requests_one(http: httpx.AsyncClient):
    added, checked_out = await add(http, "alice", **{"Idempotency-Key": ""}), await check_out(http, "alice", "")

    assert (added.status_code, checked_out.status_code) == (400, 400)
    assert "Idempotency-Key is empty" in added.json()["error"]


async def test_a_key_that_comes_with_another_item_is_409(http: httpx.AsyncClient):
    await add(http, "alice", "laptop", **{"Idempotency-Key": "k"})
    other = await add(http, "alice", "mouse", **{"Idempotency-Key": "k"})

    assert other.status_code == 409
    assert (await basket(http, "alice")).json() == ["laptop"]


async def test_a_repeated_checkout_is_one_order_and_one_invocation(http: httpx.AsyncClient):
    await add(http, "alice")
    first = await check_out(http, "alice", "k")
    await until_asked(http, first.json()["order_id"])
    again = await check_out(http, "alice", "k")

    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["x-restate-id"] == first.headers["x-restate-id"]
    assert list(await waiting(http)) == [first.json()["order_id"]]


async def test_checkouts_without_a_key_are_orders_of_their_own(http: httpx.AsyncClient):
    orders = {(await check_out(http, "alice")).json()["order_id"] for _ in range(3)}

    assert len(orders) == 3


async def test_two_users_with_one_key_have_two_orders(http: httpx.AsyncClient):
    await add(http, "alice")
    await add(http, "bob")
    orders = [(await check_out(http, user, "k")).json()["order_id"] for user in ("alice", "bob")]
    awakeables = {await until_asked(http, order) for order in orders}

    assert len(set(orders)) == len(awakeables) == 2


@pytest.mark.parametrize("given", [{}, {"X-API-Key": ""}, {"X-API-Key": "open"}, {"X-API-Key": "öpen sesame"}])
@pytest.mark.parametrize(("method", "action"), [("POST", "add-item"), ("GET", "basket"), ("POST", "checkout")])
async def test_without_the_key_there_is_nothing(
    http: httpx.AsyncClient, method: str, action: str, given: dict[str, str]
):
    headers = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]
    answer = await http.request(method, f"/api/v1/user/alice/{action}", headers=headers)

    assert answer.status_code == 401
    assert "X-API-Key" in answer.json()["error"]


async def test_the_engines_own_door_does_not_open_a_basket(http: httpx.AsyncClient):
    answers = [
        await http.post("/UserSession/alice/AddItem", json="virus"),
        await http.get("/UserSession/alice/ShowBasket"),
        await http.post("/UserSession/alice/Checkout", json="ORDER-1"),
    ]

    assert [(answer.status_code, answer.json()["message"]) for answer in answers] == [(403, "access denied")] * 3


async def test_nothing_ships_without_a_payment(http: httpx.AsyncClient):
    order = {"order_id": "o-1", "user_id": "mallory", "transaction_id": "tx", "items": ["laptop"]}

    run = await http.post("/OrderFulfillmentWorkflow/o-1/Run", json=order)
    ship = await http.post("/ShippingService/InitiateShipment", json=order)

    assert (run.status_code, ship.status_code) == (400, 400)
    assert (await http.get("/simulated/shipments")).json() == []


@pytest.mark.parametrize("user", ["a%2Fb", "..%2Falice", "alice%2Fadd-item", "%25", "%3F", "%20", "%00", "J%C3%BCrgen"])
async def test_a_user_is_one_segment_whatever_it_holds(http: httpx.AsyncClient, user: str):
    await add(http, "alice", "hers")
    added = await add(http, user, "mine")

    assert added.json() == {"items": 1}
    assert (await basket(http, user)).json() == ["mine"]
    assert (await basket(http, "alice")).json() == ["hers"]


async def test_a_user_is_decoded_once(http: httpx.AsyncClient):
    await add(http, "a%252Fb", "mine")

    assert (await basket(http, "a%2Fb")).json() == []
    assert (await basket(http, "%61lice")).json() == (await basket(http, "alice")).json()


@pytest.mark.parametrize("user", [b"%FF", b"%C3", b"%zz", b"%2", b"%ED%A0%80"])
async def test_a_user_that_does_not_decode_is_refused(http: httpx.AsyncClient, user: bytes):
    url = httpx.URL("http://shop").copy_with(raw_path=b"/api/v1/user/" + user + b"/basket")

    answer = await http.get(url, headers=KEY)

    assert answer.status_code == 400
    assert "bad user in the path" in answer.json()["error"]


@pytest.mark.parametrize("path", [b"/%61pi/v1/user/alice/basket", b"/api/v1%2Fuser/alice/basket"])
async def test_a_disguised_prefix_is_no_way_in(http: httpx.AsyncClient, path: bytes):
    answer = await http.get(httpx.URL("http://shop").copy_with(raw_path=path), headers=KEY)

    assert answer.status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"1", b'{"item": "laptop"}', b'"laptop" "mouse"', b'"\xff"', b"laptop"])
async def test_a_body_that_is_no_json_string_is_400(http: httpx.AsyncClient, body: bytes):
    answer = await http.post("/api/v1/user/alice/add-item", headers=KEY, content=body)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the body must be a JSON string")
    assert (await basket(http, "alice")).json() == []


async def test_a_body_that_is_too_large_is_413(http: httpx.AsyncClient):
    answer = await add(http, "alice", "x" * 70_000)

    assert answer.status_code == 413


async def test_the_wrong_method_is_405(http: httpx.AsyncClient):
    answer = await http.get("/api/v1/user/alice/add-item", headers=KEY)

    assert (answer.status_code, answer.json()) == (405, {"error": "Method Not Allowed"})


async def test_a_restart_forgets_nothing(tmp_path: Path):
    async with shop(tmp_path) as http:
        await add(http, "alice")
        order_id = (await check_out(http, "alice", "k")).json()["order_id"]
        await until_asked(http, order_id)

    async with shop(tmp_path) as http:
        again = await check_out(http, "alice", "k")
        await pay(http, order_id)
        await http.post(f"/OrderFulfillmentWorkflow/{order_id}/OnApprove")
        outcome = await attach(http, order_id)

    assert again.json() == {"order_id": order_id}
    assert outcome.json() == {"tracking_id": f"TRACK-{order_id}"}
