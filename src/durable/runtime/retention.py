"""Forgets what has been kept long enough, a page at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial

from durable.core import control
from durable.core.ids import InvocationId
from durable.core.lifecycle import Needed
from durable.errors import DamagedError
from durable.runtime.errand import Errand
from durable.runtime.kernel import Kernel

log = logging.getLogger("durable.retention")

PAGE = 100
"""Invocations in one transaction: small enough that others do not notice."""


class Retention:
    """Looks for expired invocations every so often. A page is one decision, and one commit."""

    def __init__(self, kernel: Kernel, every: timedelta) -> None:
        self._kernel = kernel
        self._every_ms = round(every.total_seconds() * 1000)
        self.errand = Errand(kernel, self._purge_all, self.arm)

    def arm(self) -> None:
        self.errand.begin_at(self._kernel.clock.now_ms() + self._every_ms)

    async def _purge_all(self) -> None:
        """Page after page; each is durable, and so gone from the store, before the next is read."""
        kernel = self._kernel
        while page := await kernel.store.expired(kernel.clock.now_ms(), limit=PAGE):
            forgotten = await self._forget_all(page)
            await kernel.writer.until(kernel.ledger.number - 1, patient=True)
            if not forgotten:
                return  # what is left cannot be read

    async def _forget_all(self, page: Sequence[InvocationId]) -> int:
        """How many it could forget: in one decision, or if a key cannot be read, all but those of that key."""
        try:
            async with self._kernel.residency.hold(partial(self._needs, page)):
                forgotten = self._forget(page)
                self._kernel.act()
                return forgotten
        except DamagedError as error:
            if len(page) == 1:
                log.critical("a key cannot be read, and what expired with it is kept: %s", error)
                return 0
        return sum([await self._forget_all([id]) for id in page])

    def _needs(self, page: Sequence[InvocationId]) -> Iterator[Needed]:
        for id in page:
            yield id
            resident = self._kernel.ledger.find(id)
            if resident is not None:
                yield from control.key_needs(resident)

    def _forget(self, page: Sequence[InvocationId]) -> int:
        forgotten = 0
        ledger, now_ms = self._kernel.ledger, self._kernel.clock.now_ms()
        for id in dict.fromkeys(page):
            resident = ledger.find(id)
            if resident is None:
                continue
            forgotten += 1
            expires_ms = resident.invocation.expires_ms
            if expires_ms is not None and expires_ms <= now_ms:
                control.purge(ledger, resident)
            else:
                control.purge_journal(ledger, resident)
        return forgotten
