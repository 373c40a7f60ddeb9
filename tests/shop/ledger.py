"""The outside world of the kill tests, as a process of its own: a gateway and a carrier that write everything down.

    python tests/shop/ledger.py PORT

It deduplicates nothing but the idempotency key, and never calls anybody back.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

# Every so many new keys the work is done and the answer says that it was not: the shop has to ask again.
LOST_ANSWERS = 10


class Ledger:
    """Everything that was asked, in order, and the answer that each idempotency key got."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.answers: dict[str, dict[str, str]] = {}
        self.awakeables: dict[str, str] = {}
        self.news = asyncio.Condition()

    async def record(self, request: Request) -> Response:
        """Note the request; do the work if its key is new, and answer as the first time if it is not."""
        key, body = request.headers["idempotency-key"], await request.body()
        action = f"{request.method} {request.url.path}"
        self.requests.append({"key": key, "action": action, "body": body.decode()})
        if key in self.answers:
            return JSONResponse(self.answers[key])

        self.answers[key] = {"tracking_id": f"TRACK-{len(self.answers)}"}
        if action == "POST /payments":
            await self.remember(**json.loads(body))
        lost = len(self.answers) % LOST_ANSWERS == 0
        return Response("try again", 503) if lost else JSONResponse(self.answers[key])

    async def remember(self, order_id: str, awakeable_id: str) -> None:
        async with self.news:
            self.awakeables[order_id] = awakeable_id
            self.news.notify_all()

    async def awakeable(self, request: Request) -> Response:
        """The awakeable of an order, once its payment was asked for."""
        order_id = request.path_params["order_id"]
        async with self.news:
            await self.news.wait_for(lambda: order_id in self.awakeables)
        return JSONResponse(self.awakeables[order_id])

    async def show(self, request: Request) -> Response:
        return JSONResponse({"requests": self.requests, "answers": self.answers})


def world() -> Starlette:
    ledger = Ledger()
    return Starlette(
        routes=[
            Route("/payments", ledger.record, methods=["POST"]),
            Route("/refunds", ledger.record, methods=["POST"]),
            Route("/shipments", ledger.record, methods=["POST"]),
            Route("/shipments/{order_id}", ledger.record, methods=["DELETE"]),
            Route("/awakeables/{order_id}", ledger.awakeable, methods=["GET"]),
            Route("/ledger", ledger.show, methods=["GET"]),
        ]
    )


if __name__ == "__main__":
    uvicorn.run(world(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
