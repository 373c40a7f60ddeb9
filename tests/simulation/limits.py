"""Which limits there are in one simulation, before anything has happened. Pure; three seeds of five have none."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Literal
from zlib import crc32

import msgspec

from durable.flow import Limit, Rate

TENANTS = ("acme", "acme/eu", "bolt", None)

HELD = ("handler/Plain/work", "handler/Decision/run", "limit/tenant", "limit/tenant/*", "limit/tenant/acme")
"""Nobody who counts for one of these calls another who does: they could wait for each other for ever."""
FREE = (
    "engine",
    "service/Shelf",
    "service/*",
    "handler/Shelf/work",
    "handler/Register/*",
    "handler/*/*",
    "limit/room",
    "limit/room/*",
    "limit/room/acme/eu",
    "limit/*/*",
)
KEYED = ("key/*/*", "key/Shelf/*")
"""Do not count who stood in a line before there were any: declared by all code of a seed, or by none."""


Kind = Literal["put", "remove", "stop", "look"]


class Change(msgspec.Struct, frozen=True):
    """What an operator does. To stop is to put a limit of nothing, and to remove it a while later."""

    at_ms: int
    kind: Kind
    limit: Limit


class Limits(msgspec.Struct, frozen=True):
    deployments: tuple[tuple[Limit, ...], ...] = ((),)
    """What the code declares, process by process; the last counts for all others too."""
    changes: tuple[Change, ...] = ()

    def declared(self, process: int) -> tuple[Limit, ...]:
        return self.deployments[min(process, len(self.deployments)) - 1]


def limits(seed: int) -> Limits:
    random = Random(f"limits {seed}")
    if random.random() < 0.6:
        return Limits()
    always = tuple(_declared(random, pattern) for pattern in KEYED if random.random() < 0.1)
    deployments = [(*_some(random), *always) for _ in range(random.choice((1, 1, 2, 4)))]
    patterns = [limit.pattern for limits in deployments for limit in limits] or ["engine"]
    changes = [_change(random, patterns) for _ in range(random.choice((0, 0, 1, 3, 8)))]
    return Limits(tuple(deployments), tuple(sorted(changes, key=lambda change: change.at_ms)))


def tenant(tag: str) -> str | None:
    """Whose part of a named limit is used by what has a tag, and by all that it calls."""
    return TENANTS[_number(tag) % len(TENANTS)]


def priority(tag: str) -> int:
    return (0, 0, 3)[_number(tag) // 5 % 3]


def _number(tag: str) -> int:
    return crc32(tag.split(".")[0].encode())


def _some(random: Random) -> list[Limit]:
    patterns = [*random.sample(HELD, random.choice((0, 1, 1, 2))), *random.sample(FREE, random.choice((0, 1, 1, 3)))]
    return [_declared(random, pattern) for pattern in patterns]


def _declared(random: Random, pattern: str) -> Limit:
    """One that says something, or it is refused."""
    limit = _limit(random, pattern)
    bounds = (limit.concurrency, limit.rate, limit.queue)
    return limit if bounds != (None, None, None) else msgspec.structs.replace(limit, concurrency=2)


def _limit(random: Random, pattern: str) -> Limit:
    concurrency = random.choice((None, 1, 1, 2, 3))
    return Limit(
        pattern,
        concurrency=concurrency,
        rate=_rate(random) if random.random() < 0.4 else None,
        queue=random.choice((0, 1, 4)) if random.random() < 0.1 else None,
        hold=concurrency is not None and pattern in HELD and random.random() < 0.8,
    )


def _rate(random: Random) -> Rate:
    per = timedelta(milliseconds=random.choice((200, 1_000, 5_000)))
    return Rate(random.choice((1, 2, 7)), per, burst=random.choice((1, 1, 2, 4)))


def _change(random: Random, declared: list[str]) -> Change:
    other = random.choice((*HELD, *FREE))
    pattern = random.choice((random.choice(declared), other))
    kinds: tuple[Kind, ...] = ("put", "put", "put", "remove", "stop", "look")
    return Change(random.randint(1, 9_000), random.choice(kinds), _limit(random, pattern))
