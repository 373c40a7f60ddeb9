"""What is due, and when to look again. The next timers are in memory, the rest only in the store."""

from __future__ import annotations

from durable.core.ids import InvocationId
from durable.core.invocation import Timer
from durable.core.window import Window

Armed = tuple[Timer, InvocationId]


class Timers(Window[Timer]):
    """A window on all timers: every one that is due before ``horizon`` is here."""

    def __init__(self, limit: int = 10_000) -> None:
        super().__init__(limit)
        self.changed = False
        """Whether another one may be the next, since somebody looked."""

    @property
    def next_ms(self) -> int | None:
        first = self.first
        return None if first is None else first.due_ms

    def add(self, place: Timer, id: InvocationId) -> bool:
        inside = super().add(place, id)
        self.changed = self.changed or inside
        return inside

    def due(self, now_ms: int) -> list[Armed]:
        """Take out what is due, in order."""
        taken: list[Armed] = []
        while (next_ms := self.next_ms) is not None and next_ms <= now_ms:
            taken.append(self.pop())
        return taken
