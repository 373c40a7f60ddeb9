"""How many may run, how many may start, and how many may wait: the limits that people write, and what they are for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import TypeGuard

import msgspec

from durable.sizes import LONGEST_TEXT, LONGEST_TIME, check_text

Path = tuple[str, ...]
"""What is limited: ``("engine",)``, ``("handler", "Mailer", "send")``, ``("limit", "tenant", "acme")``."""

PRIORITIES = range(10)
"""0 is what nobody asked for; each one above is served twice as often as the one below, while both wait."""

LARGEST_COUNT = 2**31 - 1
"""More is a mistake, and must not get as far as the database."""

_LONGEST_BURST_MS = 100 * LONGEST_TIME.total_seconds() * 1000
"""A thousand years, until a burst that is used up is there again: the store counts microseconds in 63 bits."""

LIMIT_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,35}")
_LEVEL = re.compile(r"[a-zA-Z0-9_.-]{1,36}")
_DEPTHS = {"engine": (1,), "service": (2,), "handler": (3,), "key": (3,), "limit": (2, 3, 4)}
_EXPECTED = (
    "expected engine, service/NAME, handler/SERVICE/NAME, key/SERVICE/KEY, or limit/NAME with up to two levels of a "
    "limit key; any part but the first may be *"
)


class Rate(msgspec.Struct, frozen=True):
    """``count`` starts in each ``per``, evenly spaced; after a quiet time up to ``burst`` at once.

    In no stretch of ``per`` are there more than ``count + burst`` starts, also over restarts of the engine.
    """

    count: int
    per: timedelta
    burst: int = 1

    def __post_init__(self) -> None:
        _check_count(self.count, "a rate's count", 1)
        _check_count(self.burst, "a rate's burst", 1)
        _check_type(self.per, timedelta, "a rate is per timedelta; write Rate(100, timedelta(minutes=1))")
        if not timedelta(0) < self.per <= LONGEST_TIME:
            raise ValueError(f"a rate is per a time longer than zero, and at most ten years, got {self.per}")
        if self.burst * self.apart_ms > _LONGEST_BURST_MS:
            raise ValueError(f"a rate of {self.count} in {self.per} needs too long for a burst of {self.burst}")

    @property
    def apart_ms(self) -> float:
        """From one start to the next, if they come evenly."""
        return self.per.total_seconds() * 1000 / self.count


class Limit(msgspec.Struct, frozen=True):
    """What holds for everything that ``pattern`` names. ``None`` is no bound.

    A pattern is a path: ``engine``, ``service/Mailer``, ``handler/Mailer/send``, ``key/Cart/jane``, ``limit/tenant``
    (all keys of the named limit together), ``limit/tenant/acme``, ``limit/tenant/acme/eu``. ``*`` in the place of a
    name gives each its own budget. Of the patterns that match one path, the most specific counts: a name is more
    specific than ``*``, and further left matters more.
    """

    pattern: str
    concurrency: int | None = None
    """How many run at once."""
    rate: Rate | None = None
    """How many start; what goes on after a wait or a crash is no start."""
    queue: int | None = None
    """How many may wait for their turn; past that, new ones from outside are refused with status 429."""
    hold: bool = False
    """Whether one that waits, backs off or is paused keeps its slot, from its start to its end."""
    description: str = ""

    def __post_init__(self) -> None:
        parse_pattern(self.pattern)
        for name in ("concurrency", "queue"):
            bound: object = getattr(self, name)
            if bound is not None:
                _check_count(bound, name, 0)
        if self.rate is not None:
            _check_type(self.rate, Rate, "rate is a Rate; write Rate(100, timedelta(minutes=1))")
        _check_type(self.hold, bool, "hold is True or False")
        if self.hold and self.concurrency is None:
            raise ValueError("hold keeps the slots of a concurrency, and there is none; give it concurrency= too")
        check_text(self.description, "the description of a limit", LONGEST_TEXT)

    @property
    def empty(self) -> bool:
        """Whether it bounds nothing: who it is for is free of more general limits."""
        return self.concurrency is None and self.rate is None and self.queue is None

    def __str__(self) -> str:
        return f"limit {self.pattern}"


def parse_pattern(pattern: object) -> Path:
    """The parts of a pattern; :class:`ValueError` if nothing is called that."""
    if not isinstance(pattern, str):
        raise TypeError(f"the pattern of a limit is a str, got {pattern!r}; {_EXPECTED}")
    check_text(pattern, "the pattern of a limit", LONGEST_TEXT)
    # A key may hold anything.
    parts = tuple(pattern.split("/", 2 if pattern.startswith("key/") else -1))
    kind = parts[0]
    if len(parts) not in _DEPTHS.get(kind, ()) or not all(parts):
        raise ValueError(f"nothing is called {pattern!r}; {_EXPECTED}")
    if kind == "limit":
        for part in parts[1:]:
            if part != "*" and not _LEVEL.fullmatch(part):
                raise ValueError(f"{pattern!r} cannot be: each part of a limit key matches {_LEVEL.pattern}")
    return parts


def check_declared(limits: tuple[Limit, ...]) -> None:
    """Of what code declares, one without bounds is there to except something from a more general one."""
    check_limits(limits)
    paths = [parse_pattern(limit.pattern) for limit in limits if not limit.empty]
    for limit in limits:
        if limit.empty and not any(matches(path, parse_pattern(limit.pattern)) for path in paths):
            raise ValueError(f"{limit} says nothing; give it concurrency=, rate= or queue=")


def read_path(name: str) -> Path:
    """A path as its rows have it: what a pattern may not say, an empty key, it may."""
    return tuple(name.split("/", 2 if name.startswith("key/") else -1))


def check_limits(limits: tuple[Limit, ...]) -> None:
    """A tuple of them, no two for one pattern."""
    _check_type(limits, tuple, "limits are a tuple of Limit")
    for limit in limits:
        _check_type(limit, Limit, "a limit is a Limit; write Limit('engine', concurrency=10)")
    twice = next((pattern for pattern, n in Counter(limit.pattern for limit in limits).items() if n > 1), None)
    if twice is not None:
        raise ValueError(f"two limits are for {twice}; make them one")


def _check_type(value: object, wanted: type, what: str) -> None:
    if not isinstance(value, wanted):
        raise TypeError(f"{what}, got {value!r}")


def _check_count(value: object, what: str, least: int) -> None:
    if not _is_whole(value) or not least <= value <= LARGEST_COUNT:
        raise ValueError(f"{what} is a whole number from {least} to {LARGEST_COUNT:,}, got {value!r}")


def check_limit_name(name: object) -> None:
    if name is not None and not (isinstance(name, str) and LIMIT_NAME.fullmatch(name)):
        raise ValueError(f"the name of a limit matches {LIMIT_NAME.pattern}, got {name!r}")


def no_named_limit(handler: object) -> str:
    return f"{handler} counts for no named limit, and takes no limit key; declare one with @handler(limit=...)"


def check_limit_key(key: object) -> str:
    """One or two levels: ``acme`` or ``acme/eu``."""
    levels = key.split("/") if isinstance(key, str) else []
    if not isinstance(key, str) or not 1 <= len(levels) <= 2 or not all(_LEVEL.fullmatch(level) for level in levels):
        raise ValueError(f"a limit key is one or two parts like acme or acme/eu, each {_LEVEL.pattern}, got {key!r}")
    return key


def check_priority(priority: object) -> int:
    if not _is_whole(priority) or priority not in PRIORITIES:
        raise ValueError(f"a priority is a whole number from 0 to {PRIORITIES[-1]}, got {priority!r}")
    return priority


class LimitSet:
    """Limits by pattern."""

    def __init__(self, limits: Iterable[Limit] = ()) -> None:
        self.by_pattern = {parse_pattern(limit.pattern): limit for limit in limits}
        self._keyed = {parts[1] for parts in self.by_pattern if parts[0] == "key"}
        # Where patterns have a star, the most specific first: False sorts before True. There are few, of many patterns.
        self._stars = sorted({tuple(part == "*" for part in parts) for parts in self.by_pattern if "*" in parts})

    def __bool__(self) -> bool:
        return bool(self.by_pattern)

    def tells_keys_apart(self, service: str) -> bool:
        return service in self._keyed or "*" in self._keyed

    def of(self, path: Path) -> Limit | None:
        """The limit that counts for a path."""
        exact = self.by_pattern.get(path)
        if exact is not None:
            return exact
        for stars in self._stars:
            if len(stars) == len(path):
                general = tuple("*" if star else part for star, part in zip(stars, path, strict=True))
                if (limit := self.by_pattern.get(general)) is not None:
                    return limit
        return None


def matches(parts: Path, path: Path) -> bool:
    return len(parts) == len(path) and all(part in ("*", name) for part, name in zip(parts, path, strict=True))


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
