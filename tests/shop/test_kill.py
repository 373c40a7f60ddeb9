"""The shop killed with SIGKILL, as a real process, at instants that nobody chose: nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from pathlib import Path

import httpx
import msgspec
import pytest

from durable.audit import Finding, audit
from tests.shop.processes import Server, running, shop
from tests.shop.shopper import Bought, Client, Shopper, expected

KILLS = int(os.environ.get("SHOP_KILLS", "100"))
SEED = int(os.environ.get("SHOP_SEED", "20240917"))
SHOPPERS = 16


class Asked(msgspec.Struct, frozen=True):
    """A request as the ledger noted it."""

    key: str
    action: str
    body: str

    @property
    def effect(self) -> tuple[str, str]:
        order: dict[str, str] = json.loads(self.body or "{}")
        return self.action, order.get("order_id") or order.get("transaction_id", "")


class Noted(msgspec.Struct, frozen=True):
    """Everything that the ledger wrote down."""

    requests: list[Asked]
    answers: dict[str, dict[str, str]]

    def effects(self) -> Counter[tuple[str, str]]:
        """What was done: requests with one idempotency key are one deed, if they are the same request."""
        return Counter(asked.effect for asked in set(self.requests))

    def tracking_ids(self) -> dict[str, str]:
        booked = [asked for asked in set(self.requests) if asked.action == "POST /shipments"]
        return {asked.effect[1]: self.answers[asked.key]["tracking_id"] for asked in booked}


class Killer:
    """Starts the shop and kills it, again and again."""

    def __init__(self, server: Server, client: Client, rng: random.Random, database: Path) -> None:
        self.server = server
        self.database = database
        self.findings: list[Finding] = []
        self.client = client
        self.rng = rng
        self.kills = 0
        self.under_load = 0
        self.while_starting = 0

    def report(self) -> str:
        return f"{self.kills} kills, {self.under_load} with requests in flight, {self.while_starting} while starting"

    async def work(self, kills: int) -> None:
        for _ in range(kills):
            await self.wait()
            self.under_load += self.client.in_flight > 0
            self.while_starting += not self.server.up.is_set()
            self.server.kill()
            self.kills += 1
            # Until the first engine has made it, there is nothing to audit.
            if self.database.exists() and self.database.stat().st_size:
                self.findings += (await asyncio.to_thread(audit, self.database)).findings
            self.server.start()
        await self.server.listens()

    async def wait(self) -> None:
        """One in ten dies on its way up, for recovery has to survive it too; one in ten lives to see orders end."""
        lot = self.rng.random()
        if lot < 0.1:
            await asyncio.sleep(self.rng.uniform(0, 0.8))
        else:
            await self.server.listens()
            await asyncio.sleep(self.rng.uniform(0, 1.0 if lot > 0.9 else 0.15))


async def keep_buying(shopper: Shopper, killing: asyncio.Task[None]) -> list[Bought]:
    bought = [await shopper.order()]
    while not killing.done():
        bought.append(await shopper.order())
    return bought


@pytest.mark.slow
async def test_no_order_is_lost_or_doubled_by_a_hundred_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rng = random.Random(SEED)
    began = time.monotonic()
    ledger = Server("tests/shop/ledger.py", "{port}", log=tmp_path / "ledger.log")
    server = shop(tmp_path, SHOP_GATEWAY_URL=ledger.url, SHOP_CARRIER_URL=ledger.url, SHOP_DELIVERY_SECONDS="0.2")

    async with running(ledger), running(server), httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(300):
        client = Client(server, http)
        killer = Killer(server, client, rng, tmp_path / "shop.db")
        shoppers = [Shopper(f"user-{n}", client, ledger, random.Random(rng.random())) for n in range(SHOPPERS)]
        async with asyncio.TaskGroup() as tasks:
            killing = tasks.create_task(killer.work(KILLS))
            buying = [tasks.create_task(keep_buying(shopper, killing)) for shopper in shoppers]
        noted = msgspec.json.decode((await http.get(f"{ledger.url}/ledger")).content, type=Noted)

    orders = [order for task in buying for order in task.result()]
    lost, doubled = expected(orders) - noted.effects(), noted.effects() - expected(orders)
    tracking_ids = {order.order_id: order.tracking_id for order in orders if order.approved}
    with capsys.disabled():
        print(f"\nseed {SEED}: {killer.report()}; {client.cut_off} requests cut off; {time.monotonic() - began:.0f} s")
        print(f"{len(orders)} orders, {len(tracking_ids)} shipped, {len(orders) - len(tracking_ids)} refunded")
        print(f"{len(noted.requests)} requests outside, {len(noted.answers)} idempotency keys")
        print(f"{len(killer.findings)} findings in an audit after each kill")
        print(f"{lost.total()} lost, {doubled.total()} doubled")
    assert killer.kills == KILLS
    assert (killer.findings, audit(tmp_path / "shop.db").findings) == ([], ())
    assert len({order.order_id for order in orders}) == len(orders) >= SHOPPERS
    assert (lost, doubled) == (Counter(), Counter())
    assert tracking_ids == noted.tracking_ids()
