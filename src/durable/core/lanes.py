"""Lines of invocations that may run as soon as their limits let them, and the meters that say whether they do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from itertools import takewhile
from math import inf
from typing import NamedTuple
from zlib import crc32

from durable.core.entries import Target
from durable.core.ids import InvocationId
from durable.core.invocation import Kind, Request
from durable.core.window import Window
from durable.flow import Limit, Path, Rate

BUCKETS = 64

PAGE = 100
"""How many of a lane are in memory."""


class Mode(StrEnum):
    """What stands in a lane."""

    START = "s"
    RESUME = "r"
    """They have started before, and gave up their slots."""
    HOLDER = "h"
    """They have started before, and kept some of their slots."""


class LaneKey(NamedTuple):
    """Whoever has the same is let in by the same limits, in the order in which they were accepted."""

    mode: Mode
    priority: int
    service: str
    handler: str
    limit: str | None
    """Name and key of the named limit: ``tenant/acme``."""
    key: str | None
    """Of the virtual object, if a limit tells its keys apart."""
    bucket: int | None = None
    """Of the keys that share a lane, if none does: so that a flood of one starves few others."""

    @classmethod
    def of(cls, request: Request, mode: Mode, *, keyed: bool) -> LaneKey:
        target: Target = request.target
        key = target.key if keyed else None
        # Of exclusive calls the first of each key stands here. Stochastic fairness queueing, after McKenney (1990).
        many = request.kind is Kind.SHARED and not keyed
        bucket = crc32((target.key or "").encode()) % BUCKETS if many else None
        return cls(mode, request.priority, target.service, target.handler, request.limit, key, bucket)

    def write(self) -> str:
        """As its rows have it."""
        key = f"#{self.bucket}" if self.bucket is not None else "" if self.key is None else f"={self.key}"
        return f"{self.mode}{self.priority} {self.service}/{self.handler} {self.limit or '-'} {key}"

    @classmethod
    def read(cls, text: str) -> LaneKey:
        """:class:`ValueError` if no lane is called that."""
        start, target, limit, key = text.split(" ", 3)
        service, handler = target.rsplit("/", 1)
        return cls(
            Mode(start[:1]),
            int(start[1:]),
            service,
            handler,
            None if limit == "-" else limit,
            key[1:] if key.startswith("=") else None,
            int(key[1:]) if key.startswith("#") else None,
        )

    def paths(self) -> Iterator[Path]:
        """All that it counts for."""
        yield ("engine",)
        yield ("service", self.service)
        yield ("handler", self.service, self.handler)
        if self.key is not None:
            yield ("key", self.service, self.key)
        if self.limit is not None:
            levels = self.limit.split("/")
            yield from (("limit", *levels[:depth]) for depth in range(1, len(levels) + 1))


_RANKS = ("limit", "key", "handler", "service", "engine")


class Meter:
    """What one path uses of the limit that counts for it."""

    __slots__ = (
        "apart_ms",
        "backlog",
        "claimant",
        "claimed",
        "going_on",
        "limit",
        "most",
        "name",
        "next_start_ms",
        "path",
        "picked",
        "queued",
        "resting",
        "rings",
        "served",
        "starting",
        "used",
    )

    def __init__(self, path: Path, limit: Limit) -> None:
        self.path, self.limit = path, limit
        self.name = "/".join(path)
        self.most = inf if limit.concurrency is None else limit.concurrency
        self.apart_ms = 0.0 if limit.rate is None else limit.rate.apart_ms
        self.used = 0
        """Slots that are taken."""
        self.claimed = 0
        """How many of them by nobody yet: they are kept for one that waits for something else, too."""
        self.resting: dict[InvocationId, None] = {}
        """Who has a slot and only waits, the longest first; nobody, if it keeps its slot while it does."""
        self.backlog = 0
        """How many wait for their start."""
        self.picked = 0
        """How many are about to start: the rate counts them once they do."""
        self.next_start_ms = 0.0
        """When the next one would start, if starts came evenly (the theoretical arrival time of GCRA, ITU-T I.371)."""
        self.starting: list[tuple[float, int, Lane]] = []
        """A heap of lanes that wait for this meter to start, the next one first."""
        self.going_on: list[tuple[float, int, Lane]] = []
        """Likewise of those that have started before: no rate holds them back."""
        self.queued = 0
        """How many lanes that wait for nothing but their turn count for it, too."""
        self.rings = False
        """Whether the rate lets none start for now, and somebody will look again when it does."""
        self.claimant: Lane | None = None
        """Who has the next start, and keeps what it has claimed until then: one at a time, so that little is idle."""
        self.served = 0.0
        """The latest turn of those that it let in."""

    @property
    def full(self) -> bool:
        return self.used >= self.most

    @property
    def queue_full(self) -> bool:
        return self.limit.queue is not None and self.backlog >= self.limit.queue

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for a slot that is taken, and that its owner would not keep while it waits."""
        return self.full and not self.limit.hold and self.blocks_before(Mode.RESUME)

    def heap(self, mode: Mode) -> list[tuple[float, int, Lane]]:
        return self.starting if mode is Mode.START else self.going_on

    def blocks_before(self, mode: Mode) -> bool:
        """Whether there are lanes that wait for it whose turn comes before that of a newcomer."""
        starting = self.starting or self.claimant is not None
        return bool(self.going_on or (starting and (mode is Mode.START or not self.rings)))

    def opens_ms(self, now_ms: int) -> float:
        """From when on the rate lets another one start, if those that are about to start do so now."""
        rate = self.limit.rate
        if rate is None:
            return 0.0
        next_start_ms = self.next_start_ms if self.next_start_ms > now_ms else now_ms
        return next_start_ms + (self.picked - rate.burst + 1) * self.apart_ms

    def start(self, now_ms: int) -> None:
        """One of those that were picked does."""
        self.picked -= 1
        self.next_start_ms = max(self.next_start_ms, now_ms) + self.apart_ms

    def resume(self, next_start_ms: float, now_ms: int, before: Rate | None = None) -> None:
        """Go on where another meter of the path was, whose clock may have been ahead, and whose rate another."""
        rate = self.limit.rate
        if rate is None:
            self.next_start_ms = next_start_ms
        else:
            starts = (next_start_ms - now_ms) / (before or rate).apart_ms
            self.next_start_ms = now_ms + min(starts, rate.burst) * self.apart_ms

    def wait(self) -> timedelta:
        """About how long until a place in the line is free."""
        rate = self.limit.rate
        return timedelta(seconds=1) if rate is None else max(timedelta(seconds=1), rate.per / rate.count)

    @property
    def refusal(self) -> str:
        said = f"{self.limit.queue} wait, and {self.backlog} do" if self.limit.queue else "nobody wait"
        return f"{self.name} lets {said}: send it again later{self._rule}"

    @property
    def _rule(self) -> str:
        return "" if self.limit.pattern == self.name else f" (by the limit {self.limit.pattern})"

    def __str__(self) -> str:
        limit = self.limit
        if self.full:
            aside = f", {self.claimed} set aside for who waits for another limit, too" if self.claimed else ""
            running = self.used - self.claimed
            return f"{self.name} lets {limit.concurrency} run at once, and {running} do{aside}{self._rule}"
        return self.start_rule if limit.rate is not None else f"{self.name} has room{self._rule}"

    @property
    def start_rule(self) -> str:
        rate = self.limit.rate
        assert rate is not None
        return f"{self.name} lets {rate.count} start in {rate.per}{self._rule}"

    @property
    def order(self) -> tuple[bool, int, Path]:
        """Slots are claimed in one order by all, or two lanes could wait for each other.

        What is held comes first: whoever holds it has claimed it before all else. Then what few use.
        """
        return not self.limit.hold, _RANKS.index(self.path[0]), self.path


class Lane:
    """A line that its limits let in one after the other."""

    __slots__ = (
        "bounced",
        "bounded",
        "claims",
        "key",
        "last_blocker",
        "left",
        "line",
        "meters",
        "pending",
        "picked",
        "placed",
        "rated",
        "stride",
        "tag",
        "text",
        "waiting",
    )

    def __init__(self, key: LaneKey, meters: Iterable[Meter]) -> None:
        self.key, self.text = key, key.write()
        self.stride = 0.5**key.priority
        self.set_meters(meters)
        self.claims = 0
        """How much of what it needs is taken for its next one: slots in their order, then starts."""
        self.bounced = 0
        """How often it was sent from one meter to another, and overtaken at both, since one was let in."""
        self.line = Window[int](PAGE)
        """Numbers and ids, also of some that have left."""
        self.waiting = 0
        """How many stand in it, also on the disk."""
        self.pending = 0
        """How many will, once they have their key."""
        self.left = 0
        """How many of them were let in, or went elsewhere."""
        self.picked = 0
        """How many of them have their slots, and are about to leave."""
        self.tag = 0.0
        """Its next one's turn in virtual time: weighted fair queueing, after Demers, Keshav and Shenker (1989)."""
        self.placed = False
        """Whether it is among the open ones, or a meter's blocked ones."""
        self.last_blocker: Meter | None = None
        """Whose blocked it was among last."""

    def set_meters(self, meters: Iterable[Meter]) -> None:
        self.meters = tuple(sorted(meters, key=lambda meter: meter.order))
        """Where each of them takes a slot."""
        starts = self.key.mode is Mode.START
        rated = [(rate, meter) for meter in self.meters if starts and (rate := meter.limit.rate) is not None]
        self.rated = tuple(meter for _, meter in sorted(rated, key=lambda each: (-each[0].apart_ms, each[1].path)))
        """Those that count its starts, the slowest first: what it claims there is idle until the next one lets it."""
        self.bounded = tuple(meter for meter in self.meters if meter.limit.queue is not None)
        """Those that bound how many wait."""

    @property
    def eager(self) -> bool:
        return self.waiting > self.picked

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.pending or self.picked or self.placed or self.claims)

    @property
    def held(self) -> list[Meter]:
        """Where a slot is kept from the start to the end."""
        return [meter for meter in self.meters if meter.limit.hold]

    def find_blocker(self, now_ms: int) -> Meter | None:
        claims = self.claims
        for meter in self.meters[claims:]:
            if meter.used >= meter.most:
                return meter
        for meter in self.rated[self.claimed_starts :] if claims else self.rated:
            if meter.opens_ms(now_ms) > now_ms:
                return meter
        return None

    @property
    def claimed_starts(self) -> int:
        return max(0, self.claims - len(self.meters))

    def take(self) -> None:
        """A slot at each meter, for one of them."""
        if self.claims:
            self.drop_claims()
        tag = self.tag
        for meter in self.meters:
            meter.used += 1
            if meter.served < tag:
                meter.served = tag
        for meter in self.rated:
            meter.picked += 1
        self.bounced = 0

    def drop_claims(self) -> tuple[Sequence[Meter], Sequence[Meter]]:
        """Of which meters it had claimed slots, and of which starts; nobody has them now."""
        slots, starts = self.meters[: self.claims], self.rated[: self.claimed_starts]
        self.claims = 0
        for meter in slots:
            meter.used -= 1
            meter.claimed -= 1
        for meter in starts:
            meter.picked -= 1
        return slots, starts

    def give_back(self) -> None:
        """What one of them took."""
        for meter in self.meters:
            meter.used -= 1
        for meter in self.rated:
            meter.picked -= 1

    def start(self, now_ms: int) -> None:
        for meter in self.rated:
            meter.start(now_ms)

    def claim(self, now_ms: int) -> None:
        """Take what is free for the next one, up to where it is blocked: what it needs may never be free at once."""
        for meter in takewhile(lambda meter: not meter.full, self.meters[self.claims :]):
            meter.used += 1
            meter.claimed += 1
            self.claims += 1
        starts = self.rated[self.claimed_starts :] if self.claims >= len(self.meters) else ()
        for meter in takewhile(lambda meter: meter.opens_ms(now_ms) <= now_ms, starts):
            meter.picked += 1
            self.claims += 1

    def was_overtaken(self, meter: Meter) -> bool:
        """Whether a later turn came before its own; if none did, the meter is why it waits, and nothing else."""
        return meter.served > self.tag

    def add_backlog(self, by: int) -> None:
        """So many more wait for their start."""
        if self.key.mode is Mode.START:
            for meter in self.meters:
                meter.backlog += by
