"""What is due, and when to look again. The next timers are in memory, the rest only in the store."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from durable.core.ids import InvocationId
from durable.core.invocation import Timer

Armed = tuple[Timer, InvocationId]


class Timers:
    """A window on all timers: every one that is due before ``horizon`` is here."""

    def __init__(self, limit: int = 10_000) -> None:
        self.limit = limit
        self.horizon: Timer | None = None
        """The last timer that was read from the store; ``None`` if there is none behind it."""
        self.changed = False
        """Whether another one may be the next, since somebody looked."""
        self._heap: list[Armed] = []
        self._late: list[Armed] | None = None

    @property
    def next_ms(self) -> int | None:
        return self._heap[0][0].due_ms if self._heap else None

    @property
    def wants_refill(self) -> bool:
        return not self._heap and self.horizon is not None and self._late is None

    def add(self, timer: Timer, id: InvocationId) -> None:
        if self._late is not None:
            self._late.append((timer, id))
        if self.horizon is None or timer <= self.horizon:
            self.changed = True
            heapq.heappush(self._heap, (timer, id))
            self._shrink()

    def due(self, now_ms: int) -> list[Armed]:
        """Take out what is due, in order."""
        taken: list[Armed] = []
        while self._heap and self._heap[0][0].due_ms <= now_ms:
            taken.append(heapq.heappop(self._heap))
        return taken

    def begin_refill(self) -> Timer | None:
        """After which timer to read; what is added from now on may be missing from what is read."""
        self._late = []
        return self.horizon

    def refill(self, page: Sequence[Armed]) -> None:
        """Take in the ``limit`` next timers from the store, or fewer if these are all."""
        late, self._late = self._late or [], None
        self.horizon = horizon = page[-1][0] if len(page) >= self.limit else None
        armed = {*self._heap, *page, *late}
        # A timer behind the horizon must not stay: while the window is not empty, nothing more is read.
        self._heap = sorted(each for each in armed if horizon is None or each[0] <= horizon)

    def _shrink(self) -> None:
        if len(self._heap) > 2 * self.limit:
            self._heap = heapq.nsmallest(self.limit, self._heap)  # a sorted list is a heap
            self.horizon = self._heap[-1][0]
