"""The three beats in one place: a decision is taken on the ledger, its commit queued, its effects carried out."""

from __future__ import annotations

from collections.abc import Callable

from durable.core.entries import Notification
from durable.core.ledger import Directory, Done, Ledger, Resident, Start, Stop, Wake
from durable.runtime.clock import Clock
from durable.runtime.residency import Residency
from durable.runtime.writer import Writer
from durable.store import Opened, Store


class Kernel:
    """What every part of a running engine stands on. Decide, with all that is needed resident; then ``act``."""

    def __init__(self, store: Store, clock: Clock, directory: Directory, opened: Opened, capacity: int) -> None:
        self.store, self.clock, self.secret = store, clock, opened.secret
        self.ledger = Ledger(directory, last_n=opened.last_n, last_place=opened.last_place)
        self.writer = Writer(self.ledger, store, clock, self._stop)
        self.residency = Residency(self.ledger, store, self.writer, capacity)
        self.writer.on_commit = self.residency.sweep
        self.on_start: Callable[[Resident], None] = _ignore
        self.on_wake: Callable[[Resident, Notification], None] = _ignore
        self.on_halt: Callable[[Resident], None] = _ignore
        self.on_done: Callable[[Resident, int], None] = _ignore
        self.on_timer: Callable[[], None] = _ignore
        self.on_room: Callable[[], None] = _ignore
        self.on_stop: Callable[[BaseException], None] = _ignore

    def act(self) -> int:
        """Close the decision and carry out its effects inside the process; those that leave wait for its number."""
        number = self.writer.decided()
        effects, self.ledger.effects = self.ledger.effects, []
        for effect in effects:
            match effect:
                case Wake(resident, entry):
                    self.on_wake(resident, entry)
                case Start(resident):
                    self.on_start(resident)
                case Stop(resident):
                    self.on_halt(resident)
                case Done(resident):
                    self.residency.retire(resident)
                    self.on_done(resident, number)
        if self.ledger.timers.changed:
            self.on_timer()
        if self.ledger.admission.turns.changed or self.ledger.admission.turns.next_ms is not None:
            self.on_room()
        return number

    async def durable(self, resident: Resident) -> None:
        """Return once all that is known of an invocation is on the disk."""
        await self.writer.until(resident.number)

    def _stop(self, error: BaseException) -> None:
        self.on_stop(error)


def _ignore(*_: object) -> None: ...
