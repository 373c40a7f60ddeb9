"""The shop stopped on purpose, as a real process: at once if it must be, and nothing is lost."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import httpx
import pytest

from tests.shop.processes import Server, accepts, running, shop

ALICE = "/api/v1/user/alice"
KEY = {"X-API-Key": "super-secret-ingress-key"}


async def stop(server: Server, signal_: signal.Signals) -> None:
    """Send the signal; return once nobody new is let in."""
    assert server.process is not None
    server.process.send_signal(signal_)
    for _ in range(500):
        if not await accepts(server.port):
            return
        await asyncio.sleep(0.01)
    raise TimeoutError("the server still lets people in")


async def ended(server: Server) -> None:
    assert server.process is not None
    await asyncio.to_thread(server.process.wait, 10)


async def post(http: httpx.AsyncClient, path: str, content: str = "") -> httpx.Response:
    return await http.post(path, headers={**KEY, "Idempotency-Key": path}, timeout=30, content=content)


@pytest.mark.slow
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
async def test_a_stop_does_not_wait_for_orders_that_do(tmp_path: Path, signal_: signal.Signals):
    server = shop(tmp_path)

    async with running(server), httpx.AsyncClient(base_url=server.url, trust_env=False) as http, asyncio.timeout(60):
        await post(http, f"{ALICE}/add-item", content='"laptop"')
        await post(http, f"{ALICE}/checkout")
        await stop(server, signal_)
        await ended(server)
        server.start()
        await server.listens()
        basket = await http.get(f"{ALICE}/basket", headers=KEY)

    assert basket.json() == ["laptop"]
    assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
async def test_a_second_signal_ends_the_process_whoever_waits(tmp_path: Path):
    server = shop(tmp_path)

    async with running(server), httpx.AsyncClient(base_url=server.url, trust_env=False) as http, asyncio.timeout(60):
        await post(http, f"{ALICE}/add-item", content='"laptop"')
        order_id = (await post(http, f"{ALICE}/checkout")).json()["order_id"]
        waiting = asyncio.create_task(post(http, f"{ALICE}/add-item?2", content='"mouse"'))
        await asyncio.sleep(0.2)
        await stop(server, signal.SIGINT)
        await stop(server, signal.SIGINT)
        await ended(server)
        await asyncio.wait([waiting])
        server.start()
        await server.listens()
        paid = await http.post(f"/simulated/payments/{order_id}/pay")
        again = await post(http, f"{ALICE}/add-item?2", content='"mouse"')

    assert not waiting.exception() or isinstance(waiting.exception(), httpx.TransportError)
    assert (paid.status_code, again.json()) == (200, {"items": 1})
