"""The shop's HTTP API on a real SQLite file, called as ASGI: no process, no socket."""

from __future__ import annotations

from pathlib import Path

import anyio
import httpx

from tests.shop.asgi import add, attach, basket, check_out, pay, shop, until_asked, waiting


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


async def test_a_declined_payment_is_402_on_the_order_and_its_checkout(http: httpx.AsyncClient):
    await add(http, "alice")
    checkout = await check_out(http, "alice")
    order_id = checkout.json()["order_id"]
    await pay(http, order_id, success=False)

    outcomes = [
        await attach(http, order_id),
        await http.get(f"/restate/invocation/{checkout.headers['x-restate-id']}/attach"),
    ]

    assert [outcome.status_code for outcome in outcomes] == [402, 402]
    assert [outcome.json()["message"] for outcome in outcomes] == ["payment declined"] * 2


async def test_an_order_can_be_waited_for_before_it_is_paid(http: httpx.AsyncClient):
    await add(http, "alice")
    order_id = (await check_out(http, "alice")).json()["order_id"]
    async with anyio.create_task_group() as tasks:
        outcomes: list[httpx.Response] = []

        async def wait() -> None:
            outcomes.append(await attach(http, order_id))

        tasks.start_soon(wait)
        await pay(http, order_id, success=False)

    assert [outcome.status_code for outcome in outcomes] == [402]


async def test_a_repeated_item_is_added_once(http: httpx.AsyncClient):
    answers = [await add(http, "alice", **{"Idempotency-Key": "k"}) for _ in range(3)]

    assert [answer.json() for answer in answers] == [{"items": 1}] * 3
    assert (await basket(http, "alice")).json() == ["laptop"]


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


async def test_a_checkout_repeated_after_the_payment_is_still_the_same_order(http: httpx.AsyncClient):
    await add(http, "alice")
    first = await check_out(http, "alice", "k")
    await pay(http, first.json()["order_id"])
    await http.get(f"/restate/invocation/{first.headers['x-restate-id']}/attach")
    again = await check_out(http, "alice", "k")

    assert (await basket(http, "alice")).json() == []
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["x-restate-id"] == first.headers["x-restate-id"]


async def test_checkouts_without_a_key_are_orders_of_their_own(http: httpx.AsyncClient):
    await add(http, "alice")
    orders = {(await check_out(http, "alice")).json()["order_id"] for _ in range(3)}

    assert len(orders) == 3


async def test_an_empty_basket_is_not_checked_out_and_spoils_no_key(http: httpx.AsyncClient):
    empty = await check_out(http, "alice", "k")
    await add(http, "alice")
    filled = await check_out(http, "alice", "k")

    assert (empty.status_code, empty.json()) == (409, {"error": "the basket is empty: add an item first"})
    assert filled.status_code == 202


async def test_an_order_that_does_not_exist_is_not_decided_about(http: httpx.AsyncClient):
    answers = [await http.post(f"/OrderFulfillmentWorkflow/o-1/{decision}") for decision in ("OnApprove", "OnReject")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json()["message"] == "there is no order 'o-1'"


async def test_an_order_can_be_approved_as_soon_as_it_has_a_name(http: httpx.AsyncClient):
    await add(http, "alice")
    waiting, queued = [(await check_out(http, "alice")).json()["order_id"] for _ in range(2)]
    approved = [await http.post(f"/OrderFulfillmentWorkflow/{id}/OnApprove") for id in (queued, waiting)]

    assert [answer.status_code for answer in approved] == [200, 200]


async def test_two_users_with_one_key_have_two_orders(http: httpx.AsyncClient):
    await add(http, "alice")
    await add(http, "bob")
    orders = [(await check_out(http, user, "k")).json()["order_id"] for user in ("alice", "bob")]
    awakeables = {await until_asked(http, order) for order in orders}

    assert len(set(orders)) == len(awakeables) == 2


async def test_the_engines_own_door_does_not_open_a_basket(http: httpx.AsyncClient):
    answers = [
        await http.post("/UserSession/alice/AddItem", json="virus"),
        await http.get("/UserSession/alice/ShowBasket"),
        await http.post("/UserSession/alice/Checkout", json="ORDER-1"),
    ]

    assert [(answer.status_code, answer.json()["message"]) for answer in answers] == [(403, "access denied")] * 3


async def test_nobody_places_an_order_around_the_shop(http: httpx.AsyncClient):
    answers = [
        await http.post("/UserSession/alice/PlaceOrder", json="ORDER-1"),
        await http.post("/OrderFulfillmentWorkflow/ORDER-1/Place", json=["laptop"]),
        await http.post("/OrderFulfillmentWorkflow/ORDER-1/Close"),
    ]

    assert [answer.status_code for answer in answers] == [400] * 3


async def test_nothing_ships_without_a_payment(http: httpx.AsyncClient):
    order = {"order_id": "o-1", "user_id": "mallory", "transaction_id": "tx", "items": ["laptop"]}

    run = await http.post("/OrderFulfillmentWorkflow/o-1/Run", json=order)
    ship = await http.post("/ShippingService/InitiateShipment", json=order)

    assert (run.status_code, ship.status_code) == (400, 400)
    assert (await http.get("/simulated/shipments")).json() == []


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
