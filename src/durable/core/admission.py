"""Who of those that may run does: slots, rates and priorities. It decides on counts, and moves nobody itself.

Invocations with the same limits stand in one lane. A lane is open, or blocked at one of its meters; a meter that has
room again opens the lane whose turn it is. So letting one in takes O(log lanes), however many stand in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from durable.core.ids import InvocationId
from durable.core.invocation import Invocation, Request, Status
from durable.core.lanes import PAGE, Lane, LaneKey, Meter, Mode
from durable.core.slots import Slots, imbalance
from durable.core.turns import Turns
from durable.core.window import Window
from durable.flow import LimitSet, Path, Rate

ROOM = 4_096
"""Lanes that stay in memory although nobody stands in them."""


class Admission:
    def __init__(self) -> None:
        self.limits = LimitSet()
        self.active = False
        """Whether there are limits, or were: before that nothing is counted."""
        self.opening = False
        """Whether what ran when the last engine ended is still being counted: until then everybody waits."""
        self.meters: dict[Path, Meter] = {}
        self.lanes: dict[LaneKey, Lane] = {}
        self.slots: dict[InvocationId, Slots] = {}
        self._resting: dict[InvocationId, None] = {}
        """Who runs and only waits, with slots or without."""
        self.turns = Turns()
        self._room = ROOM

    # -- one invocation

    def lane_of(self, request: Request, mode: Mode) -> Lane:
        return self._lane(LaneKey.of(request, mode, keyed=self.limits.tells_keys_apart(request.target.service)))

    def enter(self, invocation: Invocation, mode: Mode, now_ms: int) -> Lane | None:
        """Take a slot at once (``None``), or a place in the lane that is returned: nobody overtakes who waits."""
        lane = self.lane_of(invocation.request, mode)
        if self.would_wait(lane, now_ms):
            return lane
        self.turns.enter(lane)
        self._occupy(invocation, lane, now_ms)
        return None

    def would_wait(self, lane: Lane, now_ms: int) -> bool:
        if lane.waiting or (self.opening and lane.meters) or lane.find_blocker(now_ms) is not None:
            return True
        mode = lane.key.mode
        return self.turns.standing > 0 and any(meter.queued or meter.blocks_before(mode) for meter in lane.meters)

    def full_queue(self, request: Request, now_ms: int, *, key_free: bool) -> Meter | None:
        """Who has no room for another one that waits, if this one would have to."""
        if self.opening:
            return None  # nobody knows yet
        lane = self.lane_of(request, Mode.START)
        for meter in lane.bounded:
            if meter.queue_full:
                return meter if not key_free or self.would_wait(lane, now_ms) else None
        return None

    def count(self, invocation: Invocation) -> None:
        """Count the slots of one that was running, or held them, when the last engine ended."""
        self.active = True
        if invocation.id not in self.slots:
            lane = self.lane_of(invocation.request, Mode.RESUME)
            running = invocation.status is Status.RUNNING
            self._put(invocation, lane, lane.meters if running else lane.held)

    def go_on(self, invocation: Invocation) -> Lane | None:
        """It was running when the last engine ended: it has its slots again (``None``).

        If fewer may run by now, it waits in the lane that is returned, and keeps what it holds, if that has room.
        """
        lane = self.lane_of(invocation.request, Mode.RESUME)
        if invocation.id in self.slots or not any(meter.full for meter in lane.meters):
            self.count(invocation)
            return None
        if not lane.held or any(meter.full for meter in lane.held):
            return lane
        self._put(invocation, lane, lane.held)
        return self.lane_of(invocation.request, Mode.HOLDER)

    def _put(self, invocation: Invocation, lane: Lane, meters: Sequence[Meter]) -> None:
        for meter in meters:
            meter.used += 1
        self.slots[invocation.id] = Slots(lane.key, invocation.request.target.key, tuple(meters))
        if invocation.id in self._resting:
            self.rest(invocation.id)

    # -- changes of status, as the ledger sees them

    def changed_status(self, before: Invocation, after: Invocation) -> None:
        if before.lane is not None and (before.lane, before.status) != (after.lane, after.status):
            self._leave(before)
        if after.lane is not None and (before.lane, before.status) != (after.lane, after.status):
            self._join(after)
        if after.status is Status.COMPLETED:
            self._release(after.id, keep=False)
        elif before.status is Status.RUNNING and after.status is not Status.RUNNING:
            self._release(after.id, keep=True)

    def _join(self, invocation: Invocation) -> None:
        assert invocation.lane is not None
        lane = self._lane(LaneKey.read(invocation.lane))
        lane.add_backlog(1)
        if invocation.status is Status.PENDING:
            lane.pending += 1
            return
        lane.waiting += 1
        lane.line.add(invocation.n, invocation.id)
        self.turns.place(lane)

    def _leave(self, invocation: Invocation) -> None:
        assert invocation.lane is not None
        lane = self._lane(LaneKey.read(invocation.lane))
        lane.left += 1
        if invocation.status is Status.PENDING:
            lane.add_backlog(-1)
            lane.pending -= 1
        elif lane.waiting:  # or it was lost, and has been found
            lane.add_backlog(-1)
            lane.waiting -= 1
            if lane.claims and not lane.eager:
                self.turns.unclaim(lane)

    def _release(self, id: InvocationId, *, keep: bool) -> None:
        had = self.slots.pop(id, None)
        if had is None:
            return
        freed = had.meters
        if id in self._resting:
            for meter in freed:
                meter.resting.pop(id, None)
        if keep and (kept := tuple(meter for meter in freed if meter.limit.hold)):
            self.slots[id] = had._replace(meters=kept)
            freed = tuple(meter for meter in freed if not meter.limit.hold)
        for meter in freed:
            meter.used -= 1
        self.turns.freed(freed)

    # -- letting in

    def pick(self, now_ms: int) -> Lane | None:
        """The lane whose turn it is, and that may let one in: that one's slots are taken."""
        turns = self.turns
        turns.ring(now_ms)
        while (lane := turns.pop()) is not None:
            came_from, lane.last_blocker = lane.last_blocker, None
            eager = lane.eager
            blocker = lane.find_blocker(now_ms) if eager else None
            if blocker is not None:
                between = came_from is not None and came_from is not blocker and lane.was_overtaken(came_from)
                lane.bounced += between and lane.was_overtaken(blocker)
                turns.block(lane, blocker, now_ms)
            elif eager:
                turns.reserve(lane)
            if came_from is not None:
                turns.open_next(came_from)  # it had room, and may have some left
            if eager and blocker is None:
                return lane
        return None

    def admit(self, lane: Lane, invocation: Invocation, now_ms: int) -> None:
        """The one that was picked goes."""
        lane.picked -= 1
        self._occupy(invocation, lane, now_ms)

    def pass_over(self, lane: Lane) -> None:
        """The one that was picked is not there any more: its turn, and what it took, are the next one's."""
        self._untake(lane)
        if lane.eager and not lane.placed:
            self.turns.open(lane)

    def lose(self, lane: Lane) -> None:
        """Nobody was found to be picked: the rows of those who should be there cannot be read."""
        self._untake(lane)
        lane.add_backlog(lane.picked - lane.waiting)
        lane.waiting = lane.picked

    def _untake(self, lane: Lane) -> None:
        lane.picked -= 1
        self.turns.untake(lane)

    # -- those that run, and only wait

    def rest(self, id: InvocationId) -> None:
        """From now on it only waits, and somebody may want its slots."""
        self._resting[id] = None
        for meter in self._meters_of(id):
            if not meter.limit.hold:
                meter.resting[id] = None

    def stir(self, id: InvocationId) -> None:
        """It does not any more."""
        if id in self._resting:
            del self._resting[id]
            for meter in self._meters_of(id):
                meter.resting.pop(id, None)

    def is_wanted(self, id: InvocationId) -> bool:
        """Whether somebody waits for a slot that this one has, and would not keep while it waits."""
        return any(meter.wanted for meter in self._meters_of(id))

    def wanted(self) -> Iterator[InvocationId]:
        """Who rests on what others were held back by, since somebody asked: one by one, until nobody waits for it."""
        for meter in self.turns.take_contended():
            for id in tuple(meter.resting) if meter.wanted else ():
                if not meter.wanted:
                    break
                yield id

    def _meters_of(self, id: InvocationId) -> tuple[Meter, ...]:
        has = self.slots.get(id)
        return () if has is None else has.meters

    def _occupy(self, invocation: Invocation, lane: Lane, now_ms: int) -> None:
        lane.start(now_ms)
        meters = (*self._meters_of(invocation.id), *lane.meters)
        self.slots[invocation.id] = Slots(lane.key, invocation.request.target.key, meters)

    # -- limits

    def imbalance(self, running: Iterable[Invocation]) -> list[str]:
        """Where the slots that are taken are not those of who runs, holds, or was picked: always nowhere."""
        return imbalance(self.meters, self.lanes.values(), self.slots, running) if self.active else []

    def replace(self, limits: LimitSet, running: Iterable[Invocation], now_ms: int) -> dict[Path, float | None]:
        """Other limits hold from now on: count all slots anew. What runs goes on, also if it is too much now.

        Returns when the next one would start, by path; ``None`` where nothing counts any more.
        """
        before = self.meters
        self.limits, self.active = limits, self.active or bool(limits)
        if not self.active:
            return {}
        self.meters = {}
        self.turns.clear()
        ahead = [meter for meter in before.values() if meter.next_start_ms > now_ms]
        for meter in ahead:
            self.resume_rate(meter.path, meter.next_start_ms, now_ms, meter.limit.rate)
        for lane in self.lanes.values():
            lane.set_meters(self._meters(lane.key))
            lane.placed, lane.last_blocker, lane.claims = False, None, 0
            lane.add_backlog(lane.waiting + lane.pending)
            for meter in lane.meters:
                meter.used += lane.picked
            for meter in lane.rated:
                meter.picked += lane.picked
        self._recount(running)
        for lane in self.lanes.values():
            if lane.eager:
                self.turns.open(lane)  # its turn stays what it was
        here = self.meters
        return {each.path: here[each.path].next_start_ms if each.path in here else None for each in ahead}

    def _recount(self, running: Iterable[Invocation]) -> None:
        before, self.slots = self.slots, {}
        for invocation in running:
            before.pop(invocation.id, None)
            self.count(invocation)
        for id, had in before.items():
            # Who holds any slot counts for all limits that are held now, also one that tells keys apart since now.
            key = had.instance_key if self.limits.tells_keys_apart(had.key.service) else None
            held = self._lane(had.key._replace(mode=Mode.RESUME, key=key, bucket=None)).held
            for meter in held:
                meter.used += 1
            self.slots[id] = had._replace(meters=tuple(held))

    def resume_rate(self, path: Path, next_start_ms: float, now_ms: int, before: Rate | None = None) -> bool:
        """Go on where the last engine, or another limit, ended; whether there is a limit that may ask for it."""
        limit = self.limits.of(path)
        if limit is None:
            return False
        self.meters.setdefault(path, Meter(path, limit)).resume(next_start_ms, now_ms, before)
        return True

    def restore(self, text: str, status: Status, waiting: int) -> None:
        """So many stood in a lane when the last engine ended."""
        key = LaneKey.read(text)
        lane = self.lanes.get(key)
        if lane is None:
            lane = self.lanes[key] = Lane(key, self._meters(key))
        lane.line = Window(PAGE, horizon=0)
        lane.add_backlog(waiting)
        if status is Status.PENDING:
            lane.pending += waiting
        else:
            lane.waiting += waiting
            self.turns.place(lane)
        self.active = True

    def prune(self, now_ms: int) -> list[Path]:
        """Drop lanes and meters that say nothing, if there are many; returns what the meters were for."""
        if len(self.lanes) <= self._room:
            return []
        self.lanes = {key: lane for key, lane in self.lanes.items() if not lane.idle}
        self._room = max(ROOM, 2 * len(self.lanes))
        used = {meter for lane in self.lanes.values() for meter in lane.meters}
        used.update(meter for slot in self.slots.values() for meter in slot.meters)
        used.update(meter for meter in self.meters.values() if meter.next_start_ms > now_ms or meter.rings)
        dropped = [path for path, meter in self.meters.items() if meter not in used]
        for path in dropped:
            del self.meters[path]
        return dropped

    def _lane(self, key: LaneKey) -> Lane:
        lane = self.lanes.get(key)
        if lane is None:
            lane = self.lanes[key] = Lane(key, self._meters(key))
            self.turns.changed = self.turns.changed or len(self.lanes) > self._room
        return lane

    def _meters(self, key: LaneKey) -> Iterator[Meter]:
        for path in key.paths():
            limit = self.limits.of(path)
            if limit is None or (key.mode is Mode.HOLDER and limit.hold):
                continue
            meter = self.meters.get(path)
            if meter is None:
                meter = self.meters[path] = Meter(path, limit)
            yield meter
