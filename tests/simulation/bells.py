"""Which schedules there are in one simulation, and what is done to them. Pure; two seeds of three have none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import msgspec

from durable.core.entries import Target
from durable.core.schedule import Definition
from durable.testing.clock import EPOCH_MS
from durable.timetable import CatchUp, Overlap, Timetable

BEGIN = datetime.fromtimestamp(EPOCH_MS / 1000, UTC)
OVER = BEGIN + timedelta(seconds=14)
"""No schedule runs before the one or after the other: whatever the clock does, the runs are few."""


class Bell(msgspec.Struct, frozen=True):
    """One schedule."""

    id: str
    key: str | None
    """Of the virtual object that is called, or else it is a service."""
    every_ms: int
    overlap: Overlap
    catch_up: CatchUp
    jitter_ms: int

    @property
    def timetable(self) -> Timetable:
        every, jitter = timedelta(milliseconds=self.every_ms), timedelta(milliseconds=self.jitter_ms)
        return Timetable(
            every=every, overlap=self.overlap, catch_up=self.catch_up, jitter=jitter, start=BEGIN, end=OVER
        )

    def declared(self) -> Definition:
        """As code says it that was deployed."""
        target = Target("Bell" if self.key is None else "Tower", "ring", self.key)
        return Definition(id=self.id, target=target, payload=b"", timetable=self.timetable, declared=True)


class Order(msgspec.Struct, frozen=True):
    """What an operator does to a schedule."""

    at_ms: int
    verb: str
    bell: Bell


class Bells(msgspec.Struct, frozen=True):
    declared: tuple[Bell, ...] = ()
    orders: tuple[Order, ...] = ()


VERBS = ("create", "create", "put", "pause", "resume", "trigger", "backfill", "backfill", "delete")


def bells(seed: int) -> Bells:
    random = Random(f"bells {seed}")
    if random.random() < 0.67:
        return Bells()
    declared = tuple(_bell(random, f"declared {n}") for n in range(random.choice((0, 1, 1, 2))))
    created = [_bell(random, f"created {n}") for n in range(random.choice((1, 1, 2)))]
    orders = [Order(random.randint(1, 5_000), "create", bell) for bell in created]
    for _ in range(random.choice((0, 2, 6))):
        bell = random.choice((*declared, *created))
        orders.append(Order(random.randint(2_000, 16_000), random.choice(VERBS), bell))
    return Bells(declared, tuple(sorted(orders, key=lambda order: order.at_ms)))


def _bell(random: Random, id: str) -> Bell:
    overlaps: tuple[Overlap, ...] = ("skip", "queue", "queue", "cancel", "allow", "allow")
    catches: tuple[CatchUp, ...] = ("none", "one", "all", "all")
    return Bell(
        id,
        key=random.choice((None, "0", "0", "1")),
        every_ms=random.choice((1_000, 2_000, 3_000)),
        overlap=random.choice(overlaps),
        catch_up=random.choice(catches),
        jitter_ms=random.choice((0, 0, 0, 500)),
    )
