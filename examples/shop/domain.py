"""The shop's data, and the outside systems it talks to. No HTTP, no engine."""

from __future__ import annotations

from typing import Annotated, Protocol

import msgspec


class Order(msgspec.Struct, frozen=True):
    """What was bought, by whom, and the payment to give back if it cannot be delivered."""

    order_id: str
    user_id: str
    transaction_id: str
    items: list[str]


class PaymentReceipt(msgspec.Struct, frozen=True):
    """The gateway's answer: what resolves the awakeable that it was given."""

    # It travels in a header when the money is given back, so it cannot be of any length.
    transaction_id: Annotated[str, msgspec.Meta(max_length=255)]
    success: bool

    def __post_init__(self) -> None:
        if self.success and not self.transaction_id:
            raise ValueError("a payment without a transaction_id could not be given back")


class Shipment(msgspec.Struct, frozen=True):
    """A parcel, as its carrier calls it."""

    tracking_id: str


class PaymentGateway(Protocol):
    """Takes money and gives it back. Asking twice for the same thing must do it once."""

    async def request_payment(self, order_id: str, awakeable_id: str) -> None:
        """Ask for the money of an order; the answer comes later, to the awakeable."""
        ...

    async def refund(self, transaction_id: str) -> None:
        """Give the money of a transaction back."""
        ...


class Carrier(Protocol):
    """Moves parcels. Asking twice for the same thing must do it once."""

    async def book(self, order_id: str) -> str:
        """Book the shipment of an order and return its tracking id."""
        ...

    async def recall(self, order_id: str) -> None:
        """Make sure that no shipment of an order is under way, whether one was booked or not."""
        ...
