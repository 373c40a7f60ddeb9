"""The payment gateway over HTTP. One request per call: the engine does the retrying."""

from __future__ import annotations

from examples.shop.outside import Outside


class HttpGateway:
    """A payment gateway that calls the awakeable back once its customer has paid, or has not."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside

    async def request_payment(self, order_id: str, awakeable_id: str) -> None:
        body = {"order_id": order_id, "awakeable_id": awakeable_id}
        await self.outside.post("/payments", body, key=f"payment:{order_id}")

    async def refund(self, transaction_id: str) -> None:
        await self.outside.post("/refunds", {"transaction_id": transaction_id}, key=f"refund:{transaction_id}")
