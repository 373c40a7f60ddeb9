"""The shop called as ASGI, on a real SQLite file: no process, no socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx

from examples.shop.app import create_app
from examples.shop.settings import Settings

KEY = {"X-API-Key": "open sesame"}


@asynccontextmanager
async def shop(directory: Path, *, public_url: str | None = None) -> AsyncGenerator[httpx.AsyncClient]:
    settings = Settings(
        database=str(directory / "shop.db"),
        api_key="open sesame",
        delivery_time=timedelta(milliseconds=10),
        public_url=public_url,
    )
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        yield http


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
    """The order's outcome."""
    return await http.get(f"/restate/workflow/OrderFulfillmentWorkflow/{order_id}/attach")
