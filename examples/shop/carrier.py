"""The carrier over HTTP. One request per call: the engine does the retrying."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from examples.shop.domain import Shipment
from examples.shop.outside import Outside


class HttpCarrier:
    """A carrier that books and recalls parcels by order."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside

    async def book(self, order_id: str) -> str:
        answer = await self.outside.post("/shipments", {"order_id": order_id}, key=f"shipment:{order_id}")
        return msgspec.json.decode(answer, type=Shipment).tracking_id

    async def recall(self, order_id: str) -> None:
        await self.outside.delete(f"/shipments/{quote(order_id, safe='')}", key=f"recall:{order_id}")
