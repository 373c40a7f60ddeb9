"""The shop's own HTTP API: decode, call, reply. What it means to add an item is not decided here."""

from __future__ import annotations

import hmac
from hashlib import blake2b
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from durable import Client
from examples.shop.requests import idempotency_key, read_item, user_of
from examples.shop.services import UserSession


class UserApi:
    """``/{user}/add-item``, ``/{user}/basket`` and ``/{user}/checkout``, behind an API key."""

    def __init__(self, client: Client, api_key: str) -> None:
        self.client = client
        self.api_key = api_key.encode()
        self.router = Router(
            [
                Route("/{user}/add-item", self.add_item, methods=["POST"]),
                Route("/{user}/basket", self.basket, methods=["GET"]),
                Route("/{user}/checkout", self.checkout, methods=["POST"]),
            ],
            redirect_slashes=False,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if not self.admits(Headers(scope=scope)):
                raise HTTPException(401, "the header X-API-Key is missing or wrong")
            # Routed as it was sent: decoded first, the user `a/b` would be two segments of the path.
            scope = {**scope, "path": scope["raw_path"].decode("latin-1")}
        await self.router(scope, receive, send)

    def admits(self, headers: Headers) -> bool:
        # Bytes: compare_digest refuses text that is not ASCII. Starlette decoded the header as Latin-1.
        return hmac.compare_digest(headers.get("x-api-key", "").encode("latin-1"), self.api_key)

    async def add_item(self, request: Request) -> Response:
        user, item = user_of(request), await read_item(request)
        add_item = UserSession.add_item.options(idempotency_key=idempotency_key(request), identity=user)
        return JSONResponse({"items": await self.client.call(add_item, user, item)})

    async def basket(self, request: Request) -> Response:
        user = user_of(request)
        return JSONResponse(await self.client.call(UserSession.show_basket.options(identity=user), user))

    async def checkout(self, request: Request) -> Response:
        user = user_of(request)
        order_id = new_order_id(user, idempotency_key(request))
        checkout_id = await self.client.call(UserSession.place_order.options(identity=user), user, order_id)
        return JSONResponse({"order_id": order_id}, status_code=202, headers={"x-restate-id": checkout_id})


def new_order_id(user: str, key: str | None) -> str:
    """A fresh id, or with an idempotency key the same one every time."""
    if key is None:
        return f"ORDER-{uuid4().hex}"
    # Of the user too, or two users with the same key would share an order; the length keeps "ab"+"c" from "a"+"bc".
    return f"ORDER-{blake2b(f'{len(user)}:{user}{key}'.encode(), digest_size=16).hexdigest()}"
