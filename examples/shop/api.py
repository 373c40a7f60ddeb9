"""The shop's own HTTP API: decode, call, reply. What it means to add an item is not decided here."""

from __future__ import annotations

import hmac
import re
from hashlib import blake2b
from urllib.parse import unquote_to_bytes
from uuid import uuid4

import msgspec
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from durable import Client
from examples.shop.services import UserSession

# An item is a name; a megabyte of it is a mistake or an attack.
MAX_BODY = 64 * 1024


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
        user, key = user_of(request), idempotency_key(request)
        order_id = new_order_id(user, key)
        checkout = UserSession.checkout.options(idempotency_key=key, identity=user)
        accepted = await self.client.send(checkout, user, order_id)
        return JSONResponse({"order_id": order_id}, status_code=202, headers={"x-restate-id": accepted.id})


def user_of(request: Request) -> str:
    """The user in the path, percent-decoded once; whatever does not decode is refused, not guessed."""
    segment: str = request.path_params["user"]
    try:
        if re.search("%(?![0-9a-fA-F]{2})", segment):
            raise ValueError("a percent sign must be followed by two hexadecimal digits")
        return unquote_to_bytes(segment.encode("latin-1")).decode()
    except ValueError as error:
        raise HTTPException(400, f"bad user in the path: {error}") from error


def idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key == "":
        raise HTTPException(400, "the header Idempotency-Key is empty: give it a value of your own, or leave it out")
    return key


def new_order_id(user: str, key: str | None) -> str:
    """A fresh id, or with an idempotency key the same one every time."""
    if key is None:
        return f"ORDER-{uuid4().hex}"
    # Of the user too, or two users with the same key would share an order; the length keeps "ab"+"c" from "a"+"bc".
    return f"ORDER-{blake2b(f'{len(user)}:{user}{key}'.encode(), digest_size=16).hexdigest()}"


async def read_item(request: Request) -> str:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"the body is larger than {MAX_BODY} bytes")
    try:
        return msgspec.json.decode(body, type=str)
    except ValueError as error:  # msgspec's own errors, and text that is not UTF-8
        raise HTTPException(400, f"the body must be a JSON string: {error}") from error
