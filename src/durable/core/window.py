"""The next of many: a window on a sorted table of the store, of which only the beginning is in memory."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from durable.core.ids import InvocationId


class Ordered(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...


K = TypeVar("K", bound=Ordered)


class Window(Generic[K]):
    """Every place up to ``horizon`` is here, with who stands there."""

    def __init__(self, limit: int, *, horizon: K | None = None) -> None:
        self.limit = limit
        self.horizon = horizon
        """The last place that was read from the store; ``None`` if there is none behind it."""
        self._heap: list[tuple[K, InvocationId]] = []
        self._late: list[tuple[K, InvocationId]] | None = None

    @property
    def first(self) -> K | None:
        return self._heap[0][0] if self._heap else None

    @property
    def wants_refill(self) -> bool:
        return not self._heap and self.horizon is not None and self._late is None

    def add(self, place: K, id: InvocationId) -> bool:
        """Whether it is in the window; otherwise only the store has it."""
        if self._late is not None:
            self._late.append((place, id))
        if self.horizon is not None and self.horizon < place:
            return False
        heapq.heappush(self._heap, (place, id))
        self._shrink()
        return True

    def pop(self) -> tuple[K, InvocationId]:
        return heapq.heappop(self._heap)

    def begin_refill(self) -> K | None:
        """Behind which place to read; what is added from now on may be missing from what is read."""
        self._late = []
        return self.horizon

    def refill(self, page: Sequence[tuple[K, InvocationId]]) -> None:
        """Take in the ``limit`` next from the store, or fewer if these are all."""
        late, self._late = self._late or [], None
        self.horizon = horizon = page[-1][0] if len(page) >= self.limit else None
        everyone = {*self._heap, *page, *late}
        # What is behind the horizon must not stay: while the window is not empty, nothing more is read.
        self._heap = sorted(each for each in everyone if horizon is None or not horizon < each[0])

    def _shrink(self) -> None:
        if len(self._heap) > 2 * self.limit:
            self._heap = heapq.nsmallest(self.limit, self._heap)  # a sorted list is a heap
            self.horizon = self._heap[-1][0]
