"""What a handler waits for: a tree over its notifications, settled by their order in the journal.

The order is what makes a combinator deterministic: whoever asks, whenever, the same journal gives the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import msgspec


class Settled(NamedTuple):
    """Since when a tree has its answer, and whether that answer is a failure.

    Time is counted in notifications: the n-th has position 2n, and what was answered on the spot after n of them
    has 2n + 1. Commands do not count, for they may reach the journal after notifications that came later.
    """

    position: int
    failed: bool


class Notified(Protocol):
    def notified(self, slot: int | str) -> Settled | None:
        """Where the journal holds the notification, if it does."""
        ...


class One(msgspec.Struct, frozen=True, gc=False):
    """A single notification: a completion id, minus a signal index, or a signal's name."""

    slot: int | str

    def settled(self, journal: Notified) -> Settled | None:
        return journal.notified(self.slot)

    def slots(self) -> Iterator[int | str]:
        yield self.slot


class Known(msgspec.Struct, frozen=True, gc=False):
    """Something that was answered when it was asked, at this position."""

    position: int

    def settled(self, journal: Notified) -> Settled | None:
        return Settled(self.position, failed=False)

    def slots(self) -> Iterator[int | str]:
        yield from ()


class All(msgspec.Struct, frozen=True, gc=False):
    """Every part; settled early by the first that fails."""

    parts: tuple[Await, ...]

    def settled(self, journal: Notified) -> Settled | None:
        settled = [part.settled(journal) for part in self.parts]
        failures = [each.position for each in settled if each is not None and each.failed]
        if failures:
            return Settled(min(failures), failed=True)
        if None in settled:
            return None
        return Settled(max((each.position for each in settled if each is not None), default=0), failed=False)

    def slots(self) -> Iterator[int | str]:
        for part in self.parts:
            yield from part.slots()


class First(msgspec.Struct, frozen=True, gc=False):
    """Whichever part the journal answers first, be it with a failure."""

    parts: tuple[Await, ...]

    def settled(self, journal: Notified) -> Settled | None:
        settled = [each for part in self.parts if (each := part.settled(journal)) is not None]
        return min(settled, default=None)

    def slots(self) -> Iterator[int | str]:
        for part in self.parts:
            yield from part.slots()


class FirstSuccess(msgspec.Struct, frozen=True, gc=False):
    """Whichever part succeeds first; a failure once every part has failed."""

    parts: tuple[Await, ...]

    def settled(self, journal: Notified) -> Settled | None:
        settled = [part.settled(journal) for part in self.parts]
        successes = [each.position for each in settled if each is not None and not each.failed]
        if successes:
            return Settled(min(successes), failed=False)
        if None in settled:
            return None
        return Settled(max((each.position for each in settled if each is not None), default=0), failed=True)

    def slots(self) -> Iterator[int | str]:
        for part in self.parts:
            yield from part.slots()


class Some(msgspec.Struct, frozen=True, gc=False):
    """So many of the parts, whichever the journal answers first, be it with a failure; that is no failure here."""

    parts: tuple[Await, ...]
    count: int

    def settled(self, journal: Notified) -> Settled | None:
        positions = sorted(each.position for part in self.parts if (each := part.settled(journal)) is not None)
        if len(positions) < self.count:
            return None
        return Settled(positions[self.count - 1] if self.count else 0, failed=False)

    def slots(self) -> Iterator[int | str]:
        for part in self.parts:
            yield from part.slots()


class Timeout(msgspec.Struct, frozen=True, gc=False):
    """A part, or a failure once the timer has fired."""

    part: Await
    timer: One

    def settled(self, journal: Notified) -> Settled | None:
        answer, timer = self.part.settled(journal), self.timer.settled(journal)
        if timer is None or (answer is not None and answer.position < timer.position):
            return answer
        return Settled(timer.position, failed=True)

    def slots(self) -> Iterator[int | str]:
        yield from self.part.slots()
        yield from self.timer.slots()


Await = One | Known | All | First | FirstSuccess | Some | Timeout
