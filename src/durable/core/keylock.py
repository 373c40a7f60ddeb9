"""Who may run on a key: one exclusive invocation at a time, first come first served."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from durable.core.ids import InvocationId


class KeyLock:
    """The queue of one key. Its head holds the key; nothing else does."""

    __slots__ = ("_queue",)

    def __init__(self, queue: Iterable[InvocationId] = ()) -> None:
        self._queue = deque(queue)

    @property
    def holder(self) -> InvocationId | None:
        return self._queue[0] if self._queue else None

    def after(self, id: InvocationId) -> InvocationId | None:
        """Who stands behind ``id``; ``None`` also if it does not stand here."""
        queue = iter(self._queue)
        return next((next(queue, None) for each in queue if each == id), None)

    def __len__(self) -> int:
        return len(self._queue)

    def __iter__(self) -> Iterator[InvocationId]:
        """In order; those that are there now."""
        return iter(tuple(self._queue))

    def __contains__(self, id: InvocationId) -> bool:
        return id in self._queue

    def enter(self, id: InvocationId) -> bool:
        """Take the last place; whether that is the key already."""
        self._queue.append(id)
        return len(self._queue) == 1

    def leave(self, id: InvocationId) -> InvocationId | None:
        """Give up the place; the new holder, if this was the key and somebody waits for it."""
        if self._queue[0] != id:
            self._queue.remove(id)
            return None
        self._queue.popleft()
        return self.holder
