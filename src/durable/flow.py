"""How many may run, how many may start, and how many may wait: the limits that people write, and what they are for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Literal, TypeGuard, get_args

import msgspec

Path = tuple[str, ...]
"""What is limited: ``("engine",)``, ``("handler", "Mailer", "send")``, ``("limit", "tenant", "acme")``."""

PRIORITIES = range(10)
"""0 is what nobody asked for; each one above is served twice as often as the one below, while both wait."""

LIMIT_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,35}")
_LEVEL = re.compile(r"[a-zA-Z0-9_.-]{1,36}")
_LINE = re.compile(r"[\x21-\x7e]{1,200}")
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
        if not _is_whole(self.count) or self.count < 1:
            raise ValueError(f"a rate's count is a whole number of at least 1, got {self.count!r}")
        if not _is_whole(self.burst) or self.burst < 1:
            raise ValueError(f"a rate's burst is a whole number of at least 1, got {self.burst!r}")
        _check_type(self.per, timedelta, "a rate is per timedelta; write Rate(100, timedelta(minutes=1))")
        if self.per <= timedelta(0):
            raise ValueError(f"a rate is per a time longer than zero, got {self.per}")

    @property
    def apart_ms(self) -> float:
        """From one start to the next, if they come evenly."""
        return self.per.total_seconds() * 1000 / self.count


class Debounce(msgspec.Struct, frozen=True):
    """A call waits for ``window``; a later one within that time takes its place, and waits anew.

    However many come, one runs ``longest`` after the first of them.
    """

    window: timedelta
    longest: timedelta | None = None

    def __post_init__(self) -> None:
        for name in ("window", "longest"):
            duration: object = getattr(self, name)
            if duration is None and name == "longest":
                continue
            if not isinstance(duration, timedelta):
                raise TypeError(f"{name} is a timedelta, got {duration!r}; write Debounce(timedelta(seconds=5))")
            if duration <= timedelta(0):
                raise ValueError(f"{name} must be longer than zero, got {duration}")


Singleton = Literal["skip", "queue", "cancel"]
"""What a call does while another one is under way: nothing; wait for it; or cancel it, and run when it has ended."""


def check_single(singleton: object, debounce: object) -> None:
    if singleton is not None and singleton not in get_args(Singleton):
        raise ValueError(f"singleton is one of {', '.join(get_args(Singleton))}, got {singleton!r}")
    if debounce is not None and not isinstance(debounce, Debounce):
        raise TypeError(f"debounce is a Debounce, got {debounce!r}; write Debounce(timedelta(seconds=5))")
    if singleton is not None and debounce is not None:
        raise ValueError("a handler is a singleton, or debounced, not both: what is debounced runs one at a time")


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
        for name, least in (("concurrency", 0), ("queue", 0)):
            bound: object = getattr(self, name)
            if bound is not None and (not _is_whole(bound) or bound < least):
                raise ValueError(f"{name} is a whole number of at least {least}, or None, got {bound!r}")
        if self.rate is not None:
            _check_type(self.rate, Rate, "rate is a Rate; write Rate(100, timedelta(minutes=1))")
        _check_type(self.hold, bool, "hold is True or False")

    def __str__(self) -> str:
        return f"limit {self.pattern}"


def parse_pattern(pattern: object) -> Path:
    """The parts of a pattern; :class:`ValueError` if nothing is called that."""
    if not isinstance(pattern, str):
        raise TypeError(f"the pattern of a limit is a str, got {pattern!r}; {_EXPECTED}")
    kind, _, rest = pattern.partition("/")
    # A key may hold anything.
    parts = (kind, *rest.split("/", 1 if kind == "key" else -1)) if rest else (kind,)
    if len(parts) not in _DEPTHS.get(kind, ()) or not all(parts):
        raise ValueError(f"nothing is called {pattern!r}; {_EXPECTED}")
    if kind == "limit":
        for part in parts[1:]:
            if part != "*" and not _LEVEL.fullmatch(part):
                raise ValueError(f"{pattern!r} cannot be: each part of a limit key matches {_LEVEL.pattern}")
    return parts


def check_limits(limits: tuple[Limit, ...]) -> None:
    """A tuple of them, no two for one pattern."""
    _check_type(limits, tuple, "limits are a tuple of Limit")
    for limit in limits:
        _check_type(limit, Limit, "limits are a tuple of Limit")
    patterns = [limit.pattern for limit in limits]
    twice = next((pattern for pattern in patterns if patterns.count(pattern) > 1), None)
    if twice is not None:
        raise ValueError(f"two limits are for {twice}; make them one")


def _check_type(value: object, type: type, what: str) -> None:
    if not isinstance(value, type):
        raise TypeError(f"{what}, got {value!r}")


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


def check_line(key: object) -> str:
    if not isinstance(key, str) or not _LINE.fullmatch(key):
        raise ValueError(f"a singleton key is 1 to 200 visible ASCII characters, got {key!r}")
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
        # Most specific first: False sorts before True.
        self._ranked = sorted(self.by_pattern, key=lambda parts: [part == "*" for part in parts])

    def __bool__(self) -> bool:
        return bool(self.by_pattern)

    def tells_keys_apart(self, service: str) -> bool:
        return service in self._keyed or "*" in self._keyed

    def of(self, path: Path) -> Limit | None:
        """The limit that counts for a path."""
        exact = self.by_pattern.get(path)
        if exact is not None:
            return exact
        return next((self.by_pattern[parts] for parts in self._ranked if _matches(parts, path)), None)


def _matches(parts: Path, path: Path) -> bool:
    return len(parts) == len(path) and all(part in ("*", name) for part, name in zip(parts, path, strict=True))


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
