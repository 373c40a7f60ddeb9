"""Where the payment gateway calls back: in front of the engine's ingress, because what it says is money."""

from __future__ import annotations

import re

import msgspec
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from examples.shop.requests import read_receipt

# Wherever the shop is mounted, and with a slash too many at either end, as the ingress reads a path.
RESOLVE = re.compile(rb"/restate/(awakeables|a)/[^/]+/resolve/?$")


class PaymentWebhook:
    """Lets only receipts resolve an awakeable; all else goes to the ingress as it is.

    Every awakeable of this shop waits for a payment, and its first completion is its last. The ingress takes any body,
    and the order would die of one that is no receipt after the gateway was told that all is well. Refused here, the
    body has done nothing: the gateway sees 400, and can send a better one.
    """

    def __init__(self, ingress: ASGIApp) -> None:
        self.ingress = ingress

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and RESOLVE.search(scope["raw_path"]):
            body = msgspec.json.encode(await read_receipt(Request(scope, receive)))
            await self.ingress(scope, replaying(body), send)
        else:
            await self.ingress(scope, receive, send)


def replaying(body: bytes) -> Receive:
    """A request's body once more, in the shop's own spelling."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
