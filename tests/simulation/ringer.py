"""An operator of schedules: does what it is ordered, and goes on until it is known that this was done."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from durable import TerminalError
from durable.engine import Engine
from tests.simulation.bells import Bell, Order
from tests.simulation.client import Customer
from tests.simulation.services import Bell as BellService
from tests.simulation.services import Tower

if TYPE_CHECKING:
    from tests.simulation.host import Host


class Ringer:
    def __init__(self, host: Host) -> None:
        self._customer, self._world = Customer(host, "ringer"), host.world

    async def work(self, orders: tuple[Order, ...]) -> None:
        for order in orders:
            await asyncio.sleep(max(order.at_ms / 1000 - asyncio.get_running_loop().time(), 0))
            self._world.note("ringer", order.verb, order.bell.id)
            self._world.counts["orders"] += 1
            if order.verb != "create":
                self._world.chimes.disturbed.add(order.bell.id)
            await self._do(order.verb, order.bell)

    async def _do(self, verb: str, bell: Bell) -> None:
        async def ask(engine: Engine) -> None:
            with suppress(TerminalError):  # it is not there, or already, or the code says it
                await _asked(engine, verb, bell)

        await self._customer.insist(ask)


async def _asked(engine: Engine, verb: str, bell: Bell) -> None:
    schedules = engine.schedules
    if verb in ("create", "put"):
        handler: Any = BellService.ring if bell.key is None else Tower.ring
        arguments = () if bell.key is None else (bell.key,)
        await getattr(schedules, verb)(bell.id, bell.timetable, handler, *arguments)
    elif verb == "backfill":
        now = datetime.fromtimestamp(engine._open.kernel.clock.now_ms() / 1000, UTC)
        await schedules.backfill(bell.id, now - timedelta(seconds=5), now)
    else:
        await getattr(schedules, verb)(bell.id)
