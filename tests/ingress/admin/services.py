"""An engine to administrate: services whose invocations can be brought into every status."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from durable import Context, Invocation, RetryableError, Service, handler
from durable.core.ids import read_invocation
from durable.testing import TestEngine
from tests.runtime.flows import Approval, Counter

HOUR = timedelta(hours=1)
UNKNOWN = "inv_1" + "0" * 33


class Parcel(msgspec.Struct):
    """A thing that was bought."""

    title: str
    grams: int = 0


class Office(Service, name="office", metadata={"team": "post"}):
    """Where parcels are weighed.

    Not on Sundays.
    """

    def __init__(self) -> None:
        self.broken = True

    @handler(retention=timedelta(days=2, minutes=30), journal_retention=timedelta(0))
    async def weigh(self, ctx: Context, parcel: Parcel) -> int:
        """Ask <b>nicely</b> & wait."""
        return parcel.grams

    @handler(private=True)
    async def stamp(self, ctx: Context, blob: bytes) -> bytes:
        return blob

    @handler
    async def deliver(self, ctx: Context) -> str:
        if self.broken:
            raise RetryableError("the van is broken")
        return "there"

    @handler
    async def steps(self, ctx: Context) -> int:
        return await ctx.run("one", lambda: 1) + await ctx.run("two", lambda: 2)


class AdminEngine(TestEngine):
    def __init__(self) -> None:
        self.office = Office()
        super().__init__(Counter(), Approval(), self.office)

    async def begin(self, status: str) -> Invocation[object]:
        """An invocation that is in ``status``."""
        invocation = await self._send(status)
        await self.settle()
        if status == "paused":
            await invocation.pause()
        assert await invocation.status() == status
        return invocation

    def damage(self, invocation: Invocation[object], why: str) -> None:
        """As if the store could not read it."""
        assert self._running is not None
        self._running.kernel.ledger.damaged[read_invocation(invocation.id)] = why

    async def _send(self, status: str) -> Invocation[object]:
        match status:
            case "scheduled":
                return await self.send_later(HOUR, Counter.add, "k", 1)
            case "pending":
                await self.send(Counter.add_slowly, "k", 1)
                return await self.send(Counter.add, "k", 1)
            case "backing-off":
                return await self.send(Office.deliver)
            case "completed":
                return await self.send(Counter.add, "k", 1)
            case _:
                return await self.send(Counter.add_slowly, "k", 1)
