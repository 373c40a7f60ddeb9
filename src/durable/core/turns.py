"""Whose turn it is: open lanes, lanes that wait for a meter, and bells that ring when a rate lets the next start."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from itertools import count

from durable.core.lanes import Lane, Meter, Mode

PATIENCE = 8
"""How often a lane is sent from one meter to another, overtaken at both, before it claims what is free on its way."""


class Turns:
    """It orders lanes, and moves nobody: what an invocation is, it does not know."""

    def __init__(self) -> None:
        self.changed = False
        """Whether somebody may be let in, since somebody looked."""
        self.standing = 0
        """How many lanes are open, or wait for a meter: mostly none, and then nobody is overtaken."""
        self._contended: dict[Meter, None] = {}
        self._open: list[tuple[float, int, Lane]] = []
        self._bells: list[tuple[float, int, Meter]] = []
        self._numbers = count()  # what is equal in a heap comes in order
        self._now = 0.0
        """Virtual time: the turn of the last one that was let in."""

    @property
    def next_ms(self) -> int | None:
        """When a rate lets another one start, if somebody waits for that."""
        return math.ceil(self._bells[0][0]) if self._bells else None

    def due(self, now_ms: int) -> bool:
        return self.next_ms is not None and self.next_ms <= now_ms

    def look(self) -> None:
        """Somebody does, who will let in all that may be."""
        self.changed = False

    def take_contended(self) -> Iterable[Meter]:
        """Where somebody was held back by slots that are taken, since somebody asked."""
        contended, self._contended = self._contended, {}
        return contended

    def clear(self) -> None:
        """Other meters hold from now on."""
        self._open, self._bells, self._contended, self.standing = [], [], {}, 0

    def place(self, lane: Lane) -> None:
        if not lane.placed and lane.eager:
            self._take_turn(lane)
            self.open(lane)

    def enter(self, lane: Lane) -> None:
        """One of it takes its slots, and need not wait. Whoever does has been overtaken."""
        self._take_turn(lane)
        self._now = lane.tag
        lane.take()

    def _take_turn(self, lane: Lane) -> None:
        """Its next one's turn comes after all that went before, the sooner the higher its priority."""
        lane.tag = max(lane.tag, self._now) + lane.stride

    def open(self, lane: Lane) -> None:
        """In the turn that it has."""
        self.standing += not lane.placed
        lane.placed, self.changed = True, True
        for meter in lane.meters:
            meter.queued += 1
        heapq.heappush(self._open, (lane.tag, next(self._numbers), lane))

    def pop(self) -> Lane | None:
        """The open one whose turn it is."""
        if not self._open:
            return None
        _, _, lane = heapq.heappop(self._open)
        lane.placed = False
        self.standing -= 1
        for meter in lane.meters:
            meter.queued -= 1
        return lane

    def reserve(self, lane: Lane) -> None:
        """One of it takes its slots."""
        lane.take()
        lane.picked += 1
        self._now = max(self._now, lane.tag)
        self.place(lane)

    def block(self, lane: Lane, meter: Meter, now_ms: int) -> None:
        """Until the meter has room."""
        lane.placed, lane.last_blocker = True, meter
        self.standing += 1
        if not meter.full or meter in lane.meters[: lane.claims]:  # what is claimed blocks by its rate only
            return self._await_start(lane, meter, now_ms)
        self._contended[meter] = None
        if meter.most == 0:
            self.unclaim(lane)  # a person stopped it, and nobody knows for how long
        elif lane.bounced > PATIENCE:
            lane.claim(now_ms)
        return self._line_up(lane, meter)

    def _await_start(self, lane: Lane, meter: Meter, now_ms: int) -> None:
        if not meter.rings:
            meter.rings = True
            heapq.heappush(self._bells, (meter.opens_ms(now_ms), next(self._numbers), meter))
        other = meter.claimant
        if lane.bounced <= PATIENCE or (other is not None and other.tag <= lane.tag):
            return self._give_up(lane, meter)
        lane.claim(now_ms)
        meter.claimant = lane
        if other is not None:
            self._give_up(other, meter)
        return None

    def _give_up(self, lane: Lane, meter: Meter) -> None:
        self.unclaim(lane)
        self._line_up(lane, meter)

    def _line_up(self, lane: Lane, meter: Meter) -> None:
        heapq.heappush(meter.heap(lane.key.mode), (lane.tag, next(self._numbers), lane))

    def unclaim(self, lane: Lane) -> None:
        self.freed(*lane.drop_claims())

    def untake(self, lane: Lane) -> None:
        """One of it does not go, and has left its slots and its starts."""
        lane.give_back()
        self.freed(lane.meters, lane.rated)

    def freed(self, slots: Iterable[Meter], starts: Iterable[Meter] = ()) -> None:
        """They are taken no more. Starts are those of meters where a slot is free, too."""
        for meter in starts:
            meter.rings = False
        for meter in slots if self.standing else ():
            self.open_next(meter)

    def open_next(self, meter: Meter) -> None:
        if meter.claimant is not None and not meter.rings:
            claimant, meter.claimant = meter.claimant, None
            return self.open(claimant)  # also if all slots are taken: one of them is its own
        if not (meter.going_on or meter.starting):
            return
        if meter.full:
            # They were asked for when somebody was blocked, but perhaps nobody rested then, or the rate held it back.
            if meter.blocks_before(Mode.RESUME):
                self._contended[meter] = None
            return
        heaps = [meter.going_on] if meter.rings else [meter.going_on, meter.starting]
        first = min((heap for heap in heaps if heap), default=None)
        if first is not None:
            self.open(heapq.heappop(first)[-1])

    def ring(self, now_ms: int) -> None:
        """The time has come of some that wait to start."""
        while self._bells and self._bells[0][0] <= now_ms:
            _, _, meter = heapq.heappop(self._bells)
            meter.rings = False
            self.open_next(meter)
