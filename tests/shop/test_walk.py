"""The walks by curl, command by command, with a kill -9 after each."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest

from tests.shop.processes import ROOT, running, shop
from tests.shop.walk import Step, Walk, steps

READMES = [ROOT / "README.md", ROOT / "examples" / "shop" / "README.md"]

# The same shop as the guide to Restate's Go SDK walks through it, ports and all: approved before it is paid, and with
# a receipt in Go's spelling. The two GETs are ours: they show what the guide leaves to the reader's imagination.
GO_GUIDE = [
    Step(
        """curl -X POST \\
  -H 'X-API-Key: super-secret-ingress-key' \\
  http://localhost:8080/api/v1/user/alice/add-item \\
  -d '"laptop"'""",
        '{"items":1}',
    ),
    Step(
        """curl -X POST \\
  -H 'X-API-Key: super-secret-ingress-key' \\
  http://localhost:8080/api/v1/user/alice/checkout""",
        '{"order_id":"ORDER-123"}',
    ),
    Step(
        """curl -X POST \\
  http://localhost:9080/OrderFulfillmentWorkflow/ORDER-123/OnApprove""",
        "",
    ),
    Step(
        "curl http://localhost:8080/simulated/payments",
        '[{"order_id":"ORDER-123","awakeable_id":"sign_123"}]',
    ),
    Step(
        """curl -X POST http://localhost:9080/restate/awakeables/sign_123/resolve -d '{
  "TransactionID": "TXN-12345",
  "Success": true
}'""",
        "",
    ),
    Step(
        "curl http://localhost:9080/restate/workflow/OrderFulfillmentWorkflow/ORDER-123/attach",
        '{"tracking_id":"TRACK-ORDER-123"}',
    ),
]

WALKS = [
    pytest.param(GO_GUIDE, id="go-guide"),
    *[pytest.param(steps(readme), id=str(readme.relative_to(ROOT))) for readme in READMES],
]


@pytest.mark.slow
@pytest.mark.parametrize("walk", WALKS)
async def test_a_walk_survives_a_kill_after_each_step(tmp_path: Path, walk: list[Step]):
    server = shop(tmp_path, SHOP_DELIVERY_SECONDS="0.5")

    async with running(server), httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(120):
        walker = Walk(http, server.url)
        for step in walk:
            await walker.take(step)
            await server.restart()


@pytest.mark.slow
@pytest.mark.parametrize("walk", WALKS)
async def test_a_walk_needs_no_kill(tmp_path: Path, walk: list[Step]):
    server = shop(tmp_path, SHOP_DELIVERY_SECONDS="0")

    async with running(server), httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(60):
        walker = Walk(http, server.url)
        for step in walk:
            await walker.take(step)


def test_the_readmes_have_walks():
    assert min(len(steps(readme)) for readme in READMES) >= 9


def test_the_shop_has_one_address() -> None:
    assert {
        port for readme in READMES for port in re.findall(r"(?:localhost|127\.0\.0\.1):(\d+)", readme.read_text())
    } == {"8080"}
