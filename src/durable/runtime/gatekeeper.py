"""Lets in who waits for a limit, and keeps the limits that may be changed while the engine runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from durable.core import lifecycle
from durable.core.ids import InvocationId
from durable.core.invocation import Status
from durable.core.lanes import Lane, Meter
from durable.errors import TerminalError
from durable.flow import Limit, LimitSet, parse_pattern, read_path
from durable.runtime.errand import Errand
from durable.runtime.kernel import Kernel

log = logging.getLogger("durable.gatekeeper")

PAGE = 25
"""How many are let in with one decision."""


class Gatekeeper:
    def __init__(
        self,
        kernel: Kernel,
        declared: Sequence[Limit],
        suspend: Callable[[InvocationId], None],
    ) -> None:
        self._kernel, self._suspend = kernel, suspend
        self._declared = {limit.pattern: limit for limit in declared}
        self._stored: dict[str, Limit] = {}
        self._rings_ms: int | None = None
        self.errand = Errand(kernel, self._let_in, self.arm)

    async def open(self) -> None:
        """Count who stood in a lane, or held slots, when the last engine ended; before anything else is decided."""
        kernel, admission = self._kernel, self._kernel.ledger.admission
        admission.opening = True
        flow = await kernel.store.flow()
        self._stored = {limit.pattern: limit for limit in flow.limits}
        self._apply()
        now_ms = kernel.clock.now_ms()
        for path, next_start_ms in flow.rates.items():
            if next_start_ms <= now_ms or not admission.resume_rate(read_path(path), next_start_ms, now_ms):
                kernel.ledger.commit.rates[path] = None
        for lane, status, waiting in flow.lanes:
            try:
                admission.restore(lane, status, waiting)
            except ValueError:
                log.critical("%d invocations stand in a lane that nothing is called: %r", waiting, lane)
        await self._count_holders()
        kernel.act()

    def start(self) -> None:
        """Who ran is counted: from now on others are let in."""
        self._kernel.ledger.admission.opening = False
        self.arm()

    def arm(self) -> None:
        """Look again who may be let in: now, or when a rate lets the next one start."""
        admission = self._kernel.ledger.admission
        if self.errand.busy or admission.opening:
            return
        if admission.turns.changed:
            self.errand.begin()
        elif admission.turns.next_ms != self._rings_ms:
            self._rings_ms = admission.turns.next_ms
            self.errand.begin_at(admission.turns.next_ms)

    # -- limits

    def now_ms(self) -> int:
        return self._kernel.clock.now_ms()

    def meters(self) -> list[Meter]:
        """What is used, and of what."""
        meters, now_ms = self._kernel.ledger.admission.meters.values(), self.now_ms()
        return [meter for meter in meters if meter.used or meter.backlog or meter.opens_ms(now_ms) > now_ms]

    def limits(self) -> list[Limit]:
        """Those that hold now, by pattern."""
        return [limit for _, limit in sorted({**self._declared, **self._stored}.items())]

    async def put(self, limits: Sequence[Limit]) -> None:
        """From now on, and after every restart; instead of what the code says for the same patterns."""
        put = {limit.pattern: limit for limit in limits}
        self._stored |= put
        await self._change(put)

    async def remove(self, pattern: str) -> None:
        """What the code says counts again; :class:`TerminalError` with status 404 if nobody put such a limit."""
        parse_pattern(pattern)
        if self._stored.pop(pattern, None) is None:
            declared = "; the code says it: put another one for the same pattern" if pattern in self._declared else ""
            raise TerminalError(f"no limit was put for {pattern}{declared}", status=404)
        await self._change({pattern: None})

    async def _change(self, limits: Mapping[str, Limit | None]) -> None:
        self._kernel.ledger.commit.limits |= limits
        self._apply()
        await self._kernel.writer.until(self._kernel.act())

    def _apply(self) -> None:
        ledger = self._kernel.ledger
        invocations = [resident.invocation for resident in ledger.invocations.values()]
        running = [invocation for invocation in invocations if invocation.status is Status.RUNNING]
        rates = ledger.admission.replace(LimitSet(self.limits()), running, self.now_ms())
        ledger.commit.rates.update(("/".join(path), next_start_ms) for path, next_start_ms in rates.items())

    async def _count_holders(self) -> None:
        kernel, last = self._kernel, 0
        while page := await kernel.store.holders(after=last, limit=PAGE):
            last = page[-1][0]
            for _, id in page:
                async with kernel.residency.hold_one(id):
                    resident = kernel.ledger.find(id)
                    if resident is not None:
                        kernel.ledger.admission.count(resident.invocation)

    # -- letting in

    async def _let_in(self) -> None:
        self._rings_ms = None
        kernel, before = self._kernel, 0
        admission = kernel.ledger.admission
        while admission.turns.changed or admission.turns.due(kernel.clock.now_ms()):
            admission.turns.look()
            while page := await self._pick_page():
                await self._admit(page)
                # One page is written while the next one starts.
                before, last = kernel.ledger.number - 1, before
                await kernel.writer.until(last, patient=True)
            self._free_slots()
        self._prune()

    async def _pick_page(self) -> list[tuple[Lane, InvocationId]]:
        admission, page = self._kernel.ledger.admission, list[tuple[Lane, InvocationId]]()
        while len(page) < PAGE and (lane := admission.pick(self._kernel.clock.now_ms())) is not None:
            if lane.line.wants_refill:
                await self._refill(lane)
            if lane.line.first is None:
                admission.lose(lane)
            else:
                page.append((lane, lane.line.pop()[1]))
        return page

    async def _refill(self, lane: Lane) -> None:
        kernel, after = self._kernel, lane.line.begin_refill()
        await kernel.writer.until(kernel.ledger.number - 1, patient=True)  # what is not in memory must be on the disk
        lane.line.refill(await kernel.store.ready(lane.text, after=after or 0, limit=lane.line.limit))

    async def _admit(self, page: Sequence[tuple[Lane, InvocationId]]) -> None:
        kernel = self._kernel
        async with kernel.residency.hold(lambda: [id for _, id in page]):
            now_ms = kernel.clock.now_ms()
            for lane, id in page:
                lifecycle.let_in(kernel.ledger, kernel.ledger.find(id), lane, now_ms)
            kernel.act()

    def _free_slots(self) -> None:
        """Who only waits gives its slot to who could run."""
        for id in self._kernel.ledger.admission.wanted():
            self._suspend(id)

    def _prune(self) -> None:
        kernel = self._kernel
        for path in kernel.ledger.admission.prune(kernel.clock.now_ms()):
            kernel.ledger.commit.rates["/".join(path)] = None
        kernel.act()
