"""Audits the engine's own database now and then, in a thread beside the work. It mends nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from datetime import timedelta
from pathlib import Path

import msgspec

from durable.audit import Audit, Finding, audit
from durable.audit.auditor import Rest
from durable.core.ids import InvocationId, write_invocation
from durable.core.invocation import Status
from durable.errors import EngineStoppedError, StoreError
from durable.runtime.beside import Beside
from durable.runtime.errand import Errand
from durable.runtime.kernel import Kernel
from durable.runtime.standstill import LATE_MS, Standstill

log = logging.getLogger("durable.auditor")

_PAGE = 1_000
_MENTIONED = 10
"""Findings in the log; the rest can be asked for."""


class Auditor:
    """Looks every so often. Half of the time it rests, so that a large database is no load."""

    def __init__(
        self,
        kernel: Kernel,
        beside: Beside,
        standstill: Standstill,
        every: timedelta,
        attempts: Callable[[], Container[InvocationId]],
    ) -> None:
        self._kernel, self._beside, self._standstill, self._attempts = kernel, beside, standstill, attempts
        self._every_ms = round(every.total_seconds() * 1000)
        self._looked_ms: int | None = None
        self._late_ms: int | None = None
        """Whatever was due before that must have happened."""
        self._suspects: dict[InvocationId, int | None] = {}
        """Running without an attempt when last looked at, and the last decision that had changed them."""
        self.last: Audit | None = None
        self.errand = Errand(kernel, self._audit_now_and_then, self.arm)

    def arm(self) -> None:
        if self._beside.possible and self._every_ms:
            self.errand.begin_at(self._kernel.clock.now_ms() + self._every_ms)

    async def audit(self) -> Audit:
        """Look now. :class:`StoreError` if the database cannot be read."""
        now_ms = self._kernel.clock.now_ms()
        late_ms = self._late(now_ms)

        def look(path: Path, rest: Rest) -> Audit:
            return audit(path, overdue_ms=late_ms, thorough=False, rest=rest)

        found = await self._beside.run(look)
        if self._looked_ms is None or now_ms - self._looked_ms >= LATE_MS:
            self._looked_ms = now_ms
        unmoved = await self._standstill.look(now_ms, late_ms)
        found = msgspec.structs.replace(found, findings=(*found.findings, *await self.slots(), *unmoved))
        self._tell(found)
        return found

    async def slots(self) -> list[Finding]:
        """I8 of limits: those that are counted are of who runs or holds."""
        return [*self.imbalance(), *await self._forgotten()]

    def imbalance(self) -> list[Finding]:
        """I8 of limits, in memory: a slot that is lost keeps others out for ever."""
        ledger = self._kernel.ledger
        invocations = (resident.invocation for resident in ledger.invocations.values())
        running = [invocation for invocation in invocations if invocation.status is Status.RUNNING]
        return [Finding("I8", "limits", what) for what in ledger.admission.imbalance(running)]

    async def _forgotten(self) -> list[Finding]:
        """Slots that are kept for who has ended: nobody would ever give them back."""
        kernel, after = self._kernel, 0
        kept, slots = set(kernel.ledger.admission.slots), kernel.ledger.admission.slots
        while kept and (page := await kernel.store.holders(after=after, limit=_PAGE)):
            after = page[-1][0]
            kept.difference_update(id for _, id in page)
        found = list[Finding]()
        for id in kept:
            async with kernel.residency.hold_one(id):
                resident = kernel.ledger.find(id)
                if id in slots and (resident is None or resident.invocation.status is Status.COMPLETED):
                    found.append(Finding("I8", "limits", f"invocation {id.hex()} has ended, and has slots"))
        return found

    def _late(self, now_ms: int) -> int | None:
        """What is late must have been so when somebody looked before: one look may find all due at once.

        So it is when an engine opens, or when the clock stepped forward, as after the sleep of a machine.
        """
        if self._looked_ms is not None and now_ms - self._looked_ms >= LATE_MS:
            self._late_ms = self._looked_ms - LATE_MS
        return self._late_ms

    def _tell(self, found: Audit) -> None:
        for finding in found.findings[:_MENTIONED]:
            log.critical("audit: %s", finding, extra={"invariant": finding.invariant, "subject": finding.subject})
        if len(found.findings) > _MENTIONED:
            log.critical("audit: %d findings more", len(found.findings) - _MENTIONED)
        self.last = found

    async def _audit_now_and_then(self) -> None:
        try:
            found = await self.audit()
            unattended = await self._unattended()
        except (StoreError, EngineStoppedError) as error:
            log.warning("the database could not be audited: %s", error)
            return
        except Exception:  # no thread can be started, say: what mends nothing must not stop anything either
            log.exception("the database could not be audited")
            return
        if unattended:
            self._tell(msgspec.structs.replace(found, findings=(*found.findings, *unattended)))

    async def _unattended(self) -> list[Finding]:
        """I9 in memory: what is running has an attempt, or had one between this look and the last."""
        suspects = dict[InvocationId, int | None]()
        ledger, attempts, after = self._kernel.ledger, self._attempts(), 0
        while page := await self._kernel.store.running(after=after, limit=_PAGE):
            after = page[-1][0]
            for _, id in page:
                resident = ledger.find(id)
                running = resident is None or resident.invocation.status is Status.RUNNING
                if running and id not in attempts and id not in ledger.damaged:
                    suspects[id] = None if resident is None else resident.number
        before, self._suspects = self._suspects, suspects
        stuck = [id for id, number in suspects.items() if id in before and before[id] == number]
        what = "it is running, and has no attempt in this engine; open the engine again"
        return [Finding("I9", write_invocation(id), what) for id in stuck]
