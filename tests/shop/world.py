"""The outside world of the shop's tests, in this process: small fakes that keep one diary."""

from __future__ import annotations

from examples.shop.services import OrderFulfillmentWorkflow, ShippingService, UserSession


def services() -> tuple[UserSession, ShippingService, OrderFulfillmentWorkflow]:
    """For ``pytest --durable-replay``, which runs no step: nobody outside is asked."""
    return World().services()


class World:
    """A gateway and a carrier; ``diary`` holds what both were asked for, in order."""

    def __init__(self, *, strike: bool = False) -> None:
        self.diary: list[str] = []
        self.awakeables: dict[str, str] = {}
        self.strike = strike

    async def request_payment(self, order_id: str, awakeable_id: str) -> None:
        self.diary.append(f"ask {order_id}")
        self.awakeables[order_id] = awakeable_id

    async def refund(self, transaction_id: str) -> None:
        self.diary.append(f"refund {transaction_id}")

    async def book(self, order_id: str) -> str:
        self.diary.append(f"book {order_id}")
        if self.strike:
            raise ConnectionError("the carrier is on strike")
        return f"TRACK-{order_id}"

    async def recall(self, order_id: str) -> None:
        self.diary.append(f"recall {order_id}")

    def services(self) -> tuple[UserSession, ShippingService, OrderFulfillmentWorkflow]:
        return UserSession(self), ShippingService(self), OrderFulfillmentWorkflow(self)
