"""Fires timers: sleeps, scheduled starts, next attempts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from durable.core import lifecycle
from durable.core.lifecycle import Needed
from durable.core.timers import Armed
from durable.errors import DamagedError
from durable.runtime.errand import Errand
from durable.runtime.kernel import Kernel

log = logging.getLogger("durable.timekeeper")

PAGE = 25
"""Timers that fire in one decision."""


class Timekeeper:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._rings_ms: int | None = None
        self.errand = Errand(kernel, self._fire_all, self.arm)

    def arm(self) -> None:
        """Look at the next timer again."""
        timers = self._kernel.ledger.timers
        timers.changed = False
        if self.errand.busy:
            return
        if timers.wants_refill:
            self.errand.begin()
        elif timers.next_ms != self._rings_ms:
            self._rings_ms = timers.next_ms
            self.errand.begin_at(timers.next_ms)

    async def refill(self) -> None:
        """Read the next timers from the store."""
        kernel, timers = self._kernel, self._kernel.ledger.timers
        after = timers.begin_refill()
        await kernel.writer.until(kernel.ledger.number - 1, patient=True)  # what is not in memory must be on the disk
        timers.refill(await kernel.store.timers(after=after, limit=timers.limit))

    async def _fire_all(self) -> None:
        self._rings_ms = None
        timers, before = self._kernel.ledger.timers, 0
        while due := timers.due(self._kernel.clock.now_ms()):
            for start in range(0, len(due), PAGE):
                await self._fire_page(due[start : start + PAGE])
                # Others get their turn; and one page is written while the next one wakes its handlers up.
                before, last = self._kernel.ledger.number - 1, before
                await self._kernel.writer.until(last, patient=True)
        if timers.wants_refill:
            await self.refill()

    async def _fire_page(self, page: Sequence[Armed]) -> None:
        """One decision, unless something cannot be read: then one for each, so that only that one is left out."""
        try:
            await self._fire(page)
        except DamagedError as error:
            if len(page) == 1:
                log.critical("a timer cannot fire, its key cannot be read: %s", error)
                return
            for armed in page:
                await self._fire_page((armed,))

    async def _fire(self, page: Sequence[Armed]) -> None:
        kernel = self._kernel

        def needs() -> Iterator[Needed]:
            for _, id in page:
                yield id
                if resident := kernel.ledger.find(id):
                    yield from lifecycle.fire_needs(resident)

        async with kernel.residency.hold(needs):
            now_ms = kernel.clock.now_ms()
            for timer, id in page:
                resident = kernel.ledger.find(id)
                if resident is not None:
                    lifecycle.fire(kernel.ledger, resident, timer, now_ms)
                elif timer.completion:
                    kernel.ledger.disarm(timer)  # or it would be read again and again
            kernel.act()
