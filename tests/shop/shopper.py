"""A shopper who asks until there is an answer, and remembers what was promised."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import httpx
import msgspec

from tests.shop.processes import Server

KEY = {"X-API-Key": "super-secret-ingress-key"}


class Checkout(msgspec.Struct, frozen=True):
    """What the shop answers to a checkout."""

    order_id: str
    invocation_id: str


class Bought(msgspec.Struct, frozen=True):
    """An order that came to its end, and how."""

    order_id: str
    approved: bool
    tracking_id: str | None


class Client:
    """Asks the shop again, under the same idempotency key, for as long as the connection dies without an answer."""

    def __init__(self, shop: Server, http: httpx.AsyncClient) -> None:
        self.shop = shop
        self.http = http
        self.in_flight = 0
        self.cut_off = 0

    async def ask(self, method: str, path: str, *, key: str = "", **options: Any) -> httpx.Response:
        headers = {**KEY, "Idempotency-Key": key} if key else KEY
        while True:
            await self.shop.up.wait()
            try:
                self.in_flight += 1
                return await self.http.request(method, self.shop.url + path, headers=headers, **options)
            except httpx.TransportError:
                self.cut_off += 1
            finally:
                self.in_flight -= 1
            await asyncio.sleep(0.005)


class Shopper:
    """One user with one order at a time: fills a basket, pays, and has the order approved or rejected."""

    def __init__(self, user: str, client: Client, ledger: Server, rng: random.Random) -> None:
        self.user = user
        self.client = client
        self.ledger = ledger
        self.rng = rng
        self.orders = 0

    async def order(self) -> Bought:
        self.orders += 1
        await self.fill_basket()
        checkout = await self.check_out()
        await self.pay(checkout.order_id)
        bought = await self.decide(checkout.order_id, approve=self.rng.random() < 0.7)
        await self.look_back(checkout)
        return bought

    def key(self, step: str) -> str:
        return f"{self.user}-{self.orders}-{step}"

    async def fill_basket(self) -> None:
        for count in range(1, self.rng.randint(1, 2) + 1):
            path = f"/api/v1/user/{self.user}/add-item"
            answer = await self.client.ask("POST", path, key=self.key(f"item-{count}"), json=f"item {count}")
            assert (answer.status_code, answer.text) == (200, f'{{"items":{count}}}')

    async def check_out(self) -> Checkout:
        answer = await self.client.ask("POST", f"/api/v1/user/{self.user}/checkout", key=self.key("checkout"))
        assert answer.status_code == 202, answer.text
        return Checkout(answer.json()["order_id"], answer.headers["x-restate-id"])

    async def pay(self, order_id: str) -> None:
        # A connection of its own: one that idled may be closed by the ledger just as it is used again.
        fresh = {"connection": "close"}
        asked = await self.client.http.get(f"{self.ledger.url}/awakeables/{order_id}", headers=fresh, timeout=60)
        receipt = {"transaction_id": f"TXN-{order_id}", "success": True}
        answer = await self.client.ask("POST", f"/restate/awakeables/{asked.json()}/resolve", json=receipt)
        assert answer.status_code == 202, answer.text

    async def decide(self, order_id: str, *, approve: bool) -> Bought:
        decision = "OnApprove" if approve else "OnReject"
        path = f"/OrderFulfillmentWorkflow/{order_id}/{decision}"
        answer = await self.client.ask("POST", path, key=self.key("decision"))
        assert answer.status_code == 200, answer.text

        outcome = await self.attach(f"/restate/workflow/OrderFulfillmentWorkflow/{order_id}/attach")
        assert outcome.status_code == (200 if approve else 400), outcome.text
        return Bought(order_id, approve, outcome.json().get("tracking_id"))

    async def look_back(self, checkout: Checkout) -> None:
        """The checkout succeeded, emptied the basket, and is the same one when it is asked for again."""
        outcome = await self.attach(f"/restate/invocation/{checkout.invocation_id}/attach")
        assert (outcome.status_code, outcome.json()["order_id"]) == (200, checkout.order_id)
        basket = await self.client.ask("GET", f"/api/v1/user/{self.user}/basket")
        assert (basket.status_code, basket.json()) == (200, [])
        assert await self.check_out() == checkout

    async def attach(self, path: str) -> httpx.Response:
        return await self.client.ask("GET", path, timeout=60)


def expected(orders: list[Bought]) -> Counter[tuple[str, str]]:
    """What the outside world should have been asked to do: of each, once."""
    effects: Counter[tuple[str, str]] = Counter()
    for order in orders:
        effects["POST /payments", order.order_id] += 1
        if order.approved:
            effects["POST /shipments", order.order_id] += 1
        else:
            effects["POST /refunds", f"TXN-{order.order_id}"] += 1
    return effects
