"""Questions under way, one by one as the journal answers them.

A loop over them issues the same commands on every replay: the next one is whichever was answered first, however many
answers are there by then.
"""

from __future__ import annotations

from heapq import heappop, heappush

from durable.core.awaits import First, One
from durable.machine import Machine


class Window:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._waiting: dict[int | str, One] = {}
        self._ready: list[tuple[int, int | str]] = []
        """By position in the journal."""

    def add(self, question: One) -> None:
        self._waiting[question.slot] = question
        self._collect((question,))  # on replay it may have been answered before others that are here

    async def next(self) -> int | str:
        """The slot that was answered next; it leaves the window, unless a cancellation came before its answer."""
        if not self._ready:
            questions = tuple(self._waiting.values())
            await self._machine.wait(First(questions))
            self._collect(questions)
        _, slot = self._ready[0]
        await self._machine.wait(One(slot))
        heappop(self._ready)
        return slot

    def _collect(self, questions: tuple[One, ...]) -> None:
        for question in questions:
            settled = question.settled(self._machine)
            if settled is not None:
                heappush(self._ready, (settled.position, question.slot))
                del self._waiting[question.slot]
