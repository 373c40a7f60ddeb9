"""``pytest --durable-replay`` with the shop's database: pyproject.toml says what its services are."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from durable import Engine
from examples.shop.domain import PaymentReceipt
from examples.shop.services import OrderFulfillmentWorkflow, UserSession
from tests.shop.world import World

ROOT = Path(__file__).parents[2]


class AskedWorld(World):
    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Queue[str]()

    async def request_payment(self, order_id: str, awakeable_id: str) -> None:
        await super().request_payment(order_id, awakeable_id)
        self.asked.put_nowait(order_id)


async def sell(path: Path) -> None:
    """One order that is shipped, and one that waits for its payment."""
    world = AskedWorld()
    session, shipping, orders = world.services()
    orders.delivery_time = timedelta(0)
    async with Engine(path, session, shipping, orders) as engine:
        for order in ("o-1", "o-2"):
            await engine.call(UserSession.add_item.options(identity=order), order, "laptop")
            await engine.call(UserSession.place_order.options(identity=order), order, order)
        assert {await world.asked.get(), await world.asked.get()} == {"o-1", "o-2"}
        await engine.awakeable(world.awakeables["o-1"]).resolve(PaymentReceipt("tx-1", success=True))
        await engine.call(OrderFulfillmentWorkflow.on_approve, "o-1")
        await (await engine.lookup(OrderFulfillmentWorkflow.run, "o-1")).result()


@pytest.mark.slow
def test_the_shops_code_fits_each_of_its_journals(tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    asyncio.run(sell(database))

    done = subprocess.run(
        [sys.executable, "-m", "pytest", f"--durable-replay={database}", "-v", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "CI"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    replayed = re.findall(r"::(\w+/\S+) inv_\w+ PASSED", done.stdout)
    both = ["UserSession/{}/Checkout", "OrderFulfillmentWorkflow/{}/Run"]
    assert {target.format(order) for target in both for order in ("o-1", "o-2")} < set(replayed)
    assert "ShippingService/InitiateShipment" in replayed
