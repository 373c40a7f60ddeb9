"""Which limits hold, as those know who put them: of two sets one or the other, while one is being changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from durable.flow import Limit

Path = tuple[str, ...]


class Rules:
    def __init__(self) -> None:
        self._declared: dict[str, Limit] | None = None
        self._stored: list[dict[str, Limit]] = [{}]
        self._known: dict[Path, list[Limit | None]] = {}

    def deploy(self, limits: Iterable[Limit]) -> bool:
        """The code says these from now on; whether it said others before."""
        self._known = {}
        before, self._declared = self._declared, {limit.pattern: limit for limit in limits}
        return before not in (None, self._declared)

    def begin_change(self, pattern: str, limit: Limit | None) -> None:
        self._known = {}
        before = self._stored[-1]
        after = {name: each for name, each in before.items() if name != pattern}
        self._stored = [before, after if limit is None else after | {pattern: limit}]

    def end_change(self) -> None:
        self._known = {}
        self._stored = self._stored[-1:]

    @property
    def empty(self) -> bool:
        return not self._declared and not any(self._stored)

    def of(self, path: Path) -> list[Limit | None]:
        """What may count for a path."""
        if path not in self._known:
            sets = [((self._declared or {}) | stored).values() for stored in self._stored]
            self._known[path] = [_counts(path, limits) for limits in sets]
        return self._known[path]

    def most(self, path: Path) -> int | None:
        """How many may be there at once; ``None`` if there may be no bound."""
        bounds = [None if limit is None else limit.concurrency for limit in self.of(path)]
        return None if None in bounds else max(bound for bound in bounds if bound is not None)

    def holds(self, path: Path) -> bool:
        """Whether slots are certainly kept."""
        return all(limit is not None and limit.hold for limit in self.of(path))

    def may_hold(self, path: Path) -> bool:
        return any(limit is not None and limit.hold for limit in self.of(path))


def paths(service: str, handler: str, key: str | None, limit: str | None) -> Iterator[Path]:
    """All that an invocation counts for."""
    yield ("engine",)
    yield ("service", service)
    yield ("handler", service, handler)
    if key is not None:
        yield ("key", service, key)
    levels = [] if limit is None else limit.split("/")
    yield from (("limit", *levels[:depth]) for depth in range(2, len(levels) + 1))
    if levels:
        yield ("limit", levels[0])


def _counts(path: Path, limits: Iterable[Limit]) -> Limit | None:
    """The most specific one: a name before ``*``, and further left matters more."""
    matching = [limit for limit in limits if _matches(_parts(limit), path)]
    return min(matching, key=lambda limit: [part == "*" for part in _parts(limit)], default=None)


def _parts(limit: Limit) -> list[str]:
    return limit.pattern.split("/")


def _matches(parts: list[str], path: Path) -> bool:
    return len(parts) == len(path) and all(part in ("*", name) for part, name in zip(parts, path, strict=True))
