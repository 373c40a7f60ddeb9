"""Starts what was under way when the last engine ended; if that died, the suspects first, and apart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import NamedTuple

import msgspec

from durable.core import lifecycle
from durable.core.entries import Sleep
from durable.core.ids import InvocationId
from durable.core.invocation import Status, Timer
from durable.core.ledger import Resident
from durable.core.suspects import FREE, LONGEST_MS, SHORTEST_MS, Plan, Suspect, blame_all, patience_ms
from durable.runtime.errand import Errand
from durable.runtime.invoker import Invoker
from durable.runtime.kernel import Kernel
from durable.runtime.report import named, tagged
from durable.store import Opened

log = logging.getLogger("durable.recovery")

PAGE = 100

FIRST_LOOK_S, LONGEST_LOOK_S = 0.001, 0.05
"""How often a trial looks whether it is over."""


class _Watched(NamedTuple):
    suspect: Suspect
    resident: Resident
    entries: int
    """Of its journal when it was started."""

    @property
    def cleared(self) -> bool:
        """It has ended, waits, or got on: if the process dies now, that is another matter."""
        going_on = self.resident.invocation.status in (Status.RUNNING, Status.BACKING_OFF)
        return not going_on or len(self.resident.entries) != self.entries


class Recovery:
    """Of one engine. After one that was closed it only starts what is running."""

    def __init__(self, kernel: Kernel, invoker: Invoker, opened: Opened) -> None:
        self._kernel, self._invoker, self._opened = kernel, invoker, opened
        self._ids: dict[int, InvocationId] = {}
        self._suspects: dict[int, Suspect] = {}
        """Not started yet."""
        self._watched: dict[int, _Watched] = {}
        self._began_ms = self._next_ms = 0
        self.errand = Errand(kernel, self._look, self._arm)

    async def judge(self) -> None:
        """Before anything else is started, while no timer is armed and nobody can ask for anything."""
        if self._opened.clean:
            return
        # Whoever is started by what is tried waits for the end of the trials: its row says running.
        self._kernel.on_start = lambda resident: None
        plan = await self._blame()
        if plan.trials:
            log.warning(
                "%d invocations were running each time when the process died lately; they are tried in %d parts, "
                "before anything else is started",
                sum(map(len, plan.trials)),
                len(plan.trials),
            )
        for group in plan.trials:
            await self._try(group)
        # Should the next one to start end the process, its row must say that it was running.
        self._kernel.on_start = self._start_durably
        await self._kernel.writer.until(self._kernel.ledger.number - 1, patient=True)

    async def start(self) -> None:
        """All that is running, but what was tried runs already."""
        after, found = 0, list[tuple[int, InvocationId]]()
        while page := await self._kernel.store.running(after=after, limit=PAGE):
            found += page
            after = page[-1][0]
        for start in range(0, len(found), PAGE):
            await asyncio.gather(*(self._start(*each) for each in found[start : start + PAGE]))
        if not self._opened.clean:
            self._began_ms = self._kernel.clock.now_ms()
            self._next_ms = SHORTEST_MS
            self._arm()

    # -- how

    async def _start(self, n: int, id: InvocationId) -> None:
        async with self._kernel.residency.hold_one(id):
            resident = self._kernel.ledger.find(id)
            if resident is None or resident.invocation.status is not Status.RUNNING:
                return  # one that cannot be read is left alone; one that was tried may have ended since
            if (suspect := self._suspects.pop(n, None)) is not None:
                self._watched[n] = _Watched(suspect, resident, len(resident.entries))
            lifecycle.recover(self._kernel.ledger, resident, self._kernel.clock.now_ms())
            self._kernel.act()

    def _start_durably(self, resident: Resident) -> None:
        self._kernel.writer.when(resident.number, partial(self._invoker.start, resident))

    async def _blame(self) -> Plan:
        """Count the death, in one commit, before any of them is started; and pause who is guilty."""
        store = self._kernel.store
        left, before = await store.left(), await store.suspects()
        plan = blame_all(left, before, self._opened.epoch)
        self._ids = {each.n: each.id for each in left}
        async with self._kernel.residency.hold(lambda: [self._ids[each.n] for each in plan.guilty]):
            self._suspects = {each.n: each for each in plan.free}
            self._kernel.ledger.commit.suspects |= dict.fromkeys(before)
            self._note(plan.free)
            self._note(each for group in plan.trials for each in group)
            for each in plan.guilty:
                self._pause(each)
            number = self._kernel.act()
        await self._kernel.writer.until(number, patient=True)
        return plan

    def _pause(self, guilty: Suspect) -> None:
        self._kernel.ledger.commit.suspects[guilty.n] = None
        id = self._ids[guilty.n]
        resident = self._kernel.ledger.find(id)
        if resident is not None and resident.invocation.status is Status.RUNNING:
            says, invocation = guilty.failure.message, resident.invocation
            log.critical(
                "%s is paused: %s; deploy that, then resume it", named(invocation), says, extra=tagged(invocation)
            )
            lifecycle.count_slots(self._kernel.ledger, resident)
            lifecycle.pause(self._kernel.ledger, resident, guilty.failure, self._kernel.clock.now_ms())

    async def _try(self, group: Sequence[Suspect]) -> None:
        running = len(group) + len(self._watched)
        self._note(_put(each, running) for each in group)
        await self._kernel.writer.until(self._kernel.act(), patient=True)
        async with AsyncExitStack() as held:
            for each in group:
                await held.enter_async_context(self._kernel.residency.hold_one(self._ids[each.n]))
            for each in group:
                resident = self._kernel.ledger.find(self._ids[each.n])
                if resident is not None and resident.invocation.status is Status.RUNNING:
                    self._watched[each.n] = _Watched(_put(each, FREE), resident, len(resident.entries))
                    self._arm_timers(resident)
                    lifecycle.count_slots(self._kernel.ledger, resident)
                    self._invoker.start(resident)
            self._kernel.act()
            await self._until_over(group)
        self._note(self._watched[each.n].suspect for each in group if each.n in self._watched)
        self._kernel.act()

    def _arm_timers(self, resident: Resident) -> None:
        """It may die of the answer to a timer, and no other timer is in memory."""
        for entry in resident.open.values():
            if isinstance(entry, Sleep):
                timer = Timer(entry.due_ms, resident.invocation.n, entry.completion)
                self._kernel.ledger.timers.add(timer, resident.invocation.id)

    async def _until_over(self, group: Sequence[Suspect]) -> None:
        loop, pause = asyncio.get_running_loop(), FIRST_LOOK_S
        end = loop.time() + patience_ms(group) / 1000
        while any(each.n in self._watched for each in group) and loop.time() < end:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK_S)
            self._settle()

    def _settle(self) -> None:
        """Whoever is no suspect any more is forgotten; who waits is suspended, so that its next start is seen."""
        for each in self._watched.values():
            self._suspend_waiting(each.resident)
        self._clear()

    def _clear(self) -> None:
        for n, each in list(self._watched.items()):
            # Whoever has left memory does not run.
            if each.cleared or self._kernel.ledger.find(each.resident.invocation.id) is not each.resident:
                del self._watched[n]
                self._kernel.ledger.commit.suspects[n] = None

    def _suspend_waiting(self, resident: Resident) -> None:
        now_ms = self._kernel.clock.now_ms()
        due = any(isinstance(each, Sleep) and each.due_ms <= now_ms for each in resident.open.values())
        if not due:
            self._invoker.suspend(resident.invocation.id)

    def _note(self, suspects: Iterable[Suspect]) -> None:
        self._kernel.ledger.commit.suspects |= {each.n: each for each in suspects}

    # -- afterwards

    def _arm(self) -> None:
        """Look after one second, two, four ... until no suspect is left: so it is known how long they survived."""
        if self._next_ms <= LONGEST_MS or self._watched:
            self.errand.begin_at(self._began_ms + self._next_ms)
        else:
            self._kernel.on_start = self._invoker.start

    async def _look(self) -> None:
        survived_ms, self._next_ms = min(self._next_ms, LONGEST_MS), 2 * self._next_ms
        self._clear()
        for n, each in self._watched.items():
            suspect = msgspec.structs.replace(each.suspect, survived_ms=survived_ms)
            self._watched[n] = each._replace(suspect=suspect)
        self._note(each.suspect for each in self._watched.values())
        if self._kernel.ledger.commit:
            self._kernel.act()


def _put(suspect: Suspect, trial: int) -> Suspect:
    return msgspec.structs.replace(suspect, trial=trial)
