"""What the environment says about the shop."""

from __future__ import annotations

from datetime import timedelta

import pytest

from examples.shop.settings import Settings


def test_an_empty_environment_is_a_shop_with_a_simulated_outside():
    assert Settings.from_environment({}) == Settings.from_environment({"SHOP_DATABASE": ""}) == Settings()
    assert (Settings().database, Settings().gateway_url, Settings().carrier_url) == ("shop.db", None, None)
    assert (Settings().delivery_time, Settings().api_key) == (timedelta(seconds=5), "super-secret-ingress-key")


def test_every_setting_has_a_variable():
    environment = {
        "SHOP_DATABASE": "other.db",
        "SHOP_GATEWAY_URL": "http://gateway",
        "SHOP_CARRIER_URL": "http://carrier",
        "SHOP_PUBLIC_URL": "http://shop",
        "SHOP_DELIVERY_SECONDS": "0.25",
        "SHOP_API_KEY": "key",
    }

    assert Settings.from_environment(environment) == Settings(
        database="other.db",
        gateway_url="http://gateway",
        carrier_url="http://carrier",
        public_url="http://shop",
        delivery_time=timedelta(milliseconds=250),
        api_key="key",
    )


@pytest.mark.parametrize("seconds", ["soon", "nan", "inf", "1e300", "-1"])
def test_a_delivery_time_that_is_none_is_refused(seconds: str):
    with pytest.raises(ValueError, match=r"(?i)delivery"):
        Settings.from_environment({"SHOP_DELIVERY_SECONDS": seconds})
