"""What the environment says about the shop. Read once, at the start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from examples.shop.services import DELIVERY_TIME


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the shop keeps its file and finds the outside world."""

    database: str = "shop.db"
    gateway_url: str | None = None
    """Without one, the shop simulates a gateway; likewise a carrier."""
    carrier_url: str | None = None
    public_url: str | None = None
    """Where the simulated gateway calls back; without one, the address that its own request came to."""
    delivery_time: timedelta = DELIVERY_TIME
    api_key: str = "super-secret-ingress-key"

    def __post_init__(self) -> None:
        if self.delivery_time < timedelta(0):
            raise ValueError(f"the delivery time cannot be {self.delivery_time}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the ``SHOP_*`` variables; an unset or empty one means its default."""
        given = {name: value for name, variable in VARIABLES.items() if (value := environment.get(variable))}
        return msgspec.convert({**given, **delivery(environment)}, cls)


VARIABLES = {
    "database": "SHOP_DATABASE",
    "gateway_url": "SHOP_GATEWAY_URL",
    "carrier_url": "SHOP_CARRIER_URL",
    "public_url": "SHOP_PUBLIC_URL",
    "api_key": "SHOP_API_KEY",
}


def delivery(environment: Mapping[str, str]) -> dict[str, timedelta]:
    seconds = environment.get("SHOP_DELIVERY_SECONDS")
    if not seconds:
        return {}
    try:
        return {"delivery_time": timedelta(seconds=float(seconds))}
    except (ValueError, OverflowError) as error:
        raise ValueError(f"SHOP_DELIVERY_SECONDS must be a number of seconds, not {seconds!r}") from error
