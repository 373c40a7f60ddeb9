"""A payment gateway and a carrier for when there is no real one.

They keep a file of their own, as other companies would, and never look into the engine's.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from urllib.parse import quote

import httpx
import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from examples.shop.domain import PaymentReceipt

SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    order_id TEXT PRIMARY KEY,
    awakeable_id TEXT NOT NULL,
    decision TEXT, -- paid or declined; NULL until somebody did
    delivered INTEGER NOT NULL DEFAULT FALSE
);
CREATE TABLE IF NOT EXISTS refunds (transaction_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS shipments (order_id TEXT PRIMARY KEY, status TEXT NOT NULL DEFAULT 'booked');
"""


class Ledger:
    """What the simulated companies remember, in a file: they do not forget when the shop is killed."""

    def __init__(self, path: str) -> None:
        self.path = path

    async def execute(self, statement: str, *values: str) -> list[tuple[str, ...]]:
        return await asyncio.to_thread(self._execute, statement, values)

    def _execute(self, statement: str, values: tuple[str, ...]) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.executescript(SCHEMA)
            return connection.execute(statement, values).fetchall()


class SimulatedGateway:
    """Notes what has to be paid; ``/simulated/payments`` pays it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def request_payment(self, order_id: str, awakeable_id: str) -> None:
        await self.ledger.execute(
            "INSERT OR IGNORE INTO payments (order_id, awakeable_id) VALUES (?, ?)", order_id, awakeable_id
        )

    async def refund(self, transaction_id: str) -> None:
        await self.ledger.execute("INSERT OR IGNORE INTO refunds VALUES (?)", transaction_id)


class SimulatedCarrier:
    """Notes what it would have shipped."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def book(self, order_id: str) -> str:
        await self.ledger.execute("INSERT OR IGNORE INTO shipments (order_id) VALUES (?)", order_id)
        return tracking_id(order_id)

    async def recall(self, order_id: str) -> None:
        await self.ledger.execute("UPDATE shipments SET status = 'recalled' WHERE order_id = ?", order_id)


def tracking_id(order_id: str) -> str:
    return f"TRACK-{order_id}"


class SimulatedApi:
    """What a customer, a bank and a parcel's sender would see: lists, and a button to pay and one to decline."""

    def __init__(self, ledger: Ledger, public_url: str | None) -> None:
        self.ledger = ledger
        self.public_url = public_url
        self.router = Router(
            [
                Route("/payments", self.payments, methods=["GET"]),
                Route("/payments/{order_id}/pay", self.pay, methods=["POST"]),
                Route("/payments/{order_id}/decline", self.decline, methods=["POST"]),
                Route("/refunds", self.refunds, methods=["GET"]),
                Route("/shipments", self.shipments, methods=["GET"]),
            ]
        )

    async def payments(self, request: Request) -> Response:
        rows = await self.ledger.execute(
            "SELECT order_id, awakeable_id FROM payments WHERE NOT delivered ORDER BY rowid"
        )
        return JSONResponse([{"order_id": order_id, "awakeable_id": id} for order_id, id in rows])

    async def refunds(self, request: Request) -> Response:
        rows = await self.ledger.execute("SELECT transaction_id FROM refunds ORDER BY rowid")
        return JSONResponse([{"transaction_id": id} for (id,) in rows])

    async def shipments(self, request: Request) -> Response:
        rows = await self.ledger.execute("SELECT order_id, status FROM shipments ORDER BY rowid")
        return JSONResponse([{"order_id": id, "tracking_id": tracking_id(id), "status": status} for id, status in rows])

    async def pay(self, request: Request) -> Response:
        return await self.decide(request, "paid")

    async def decline(self, request: Request) -> Response:
        return await self.decide(request, "declined")

    async def decide(self, request: Request, decision: str) -> Response:
        """Decide once, then call back; a second press of the same button only calls back again."""
        order_id: str = request.path_params["order_id"]
        # One statement: between two, the order could be asked for, and look undecided.
        rows = await self.ledger.execute(
            "UPDATE payments SET decision = coalesce(decision, ?) WHERE order_id = ? RETURNING awakeable_id, decision",
            decision,
            order_id,
        )
        if not rows:
            raise HTTPException(404, f"nobody asked for the payment of {order_id!r}")
        awakeable_id, decided = rows[0]
        if decided != decision:
            raise HTTPException(409, f"the payment of {order_id!r} is already {decided}")

        receipt = PaymentReceipt(f"TXN-{order_id}", success=decision == "paid")
        await self.call_back(request, awakeable_id, receipt)
        await self.ledger.execute("UPDATE payments SET delivered = TRUE WHERE order_id = ?", order_id)
        return JSONResponse({"order_id": order_id, **msgspec.structs.asdict(receipt)})

    async def call_back(self, request: Request, awakeable_id: str, receipt: PaymentReceipt) -> None:
        url = f"{self.public_url or own_url(request)}/restate/awakeables/{quote(awakeable_id, safe='')}/resolve"
        # No proxy: this is the shop talking to itself.
        try:
            async with httpx.AsyncClient(trust_env=False) as http:
                answer = await http.post(url, content=msgspec.json.encode(receipt))
        except httpx.TransportError as error:
            raise HTTPException(502, f"the receipt could not be delivered to {url}: {error}") from error
        if not answer.is_success:
            raise HTTPException(502, f"the shop answered {answer.status_code} to the receipt: {answer.text[:200]}")


def own_url(request: Request) -> str:
    """The address of the socket that a request came to; its Host header could name somebody else's."""
    host, port = request.scope["server"]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
