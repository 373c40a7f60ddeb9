"""What an author says beside the code: a handler's and a class's keywords, and what then holds of a handler."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from inspect import cleandoc
from typing import TypedDict

import msgspec

from durable.flow import Limit, Rate, check_limit_name
from durable.retry import RetryPolicy, check_policy
from durable.singleton import Debounce, Singleton, check_single
from durable.sizes import check_flag, check_text

SERVICE_NAME = re.compile(r"(?!restate$)[a-zA-Z_][a-zA-Z0-9_.-]*")
HANDLER_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

_DAY = timedelta(days=1)


class ServiceKeywords(TypedDict, total=False):
    """Of ``class Foo(Service, ...)``, beside its name: for its handlers that do not say otherwise."""

    retry: RetryPolicy
    """How long a failing attempt is repeated."""
    retention: timedelta
    """How long the outcome is kept."""
    idempotency_retention: timedelta
    """How long the outcome of a call with an idempotency key is kept, if not as long as others."""
    journal_retention: timedelta | None
    """How long the journal is kept, if not as long as the outcome; never longer."""
    private: bool
    """Whether it can be called by handlers only."""
    strict_idempotency: bool
    """Whether another input under the same idempotency key is refused; otherwise it gets the first one's outcome."""
    limit: str
    """The named limit that its calls count for, each with the ``limit_key`` of its caller."""
    metadata: Mapping[str, str]
    """For people and tools; the engine does not read it."""


class HandlerKeywords(ServiceKeywords, total=False):
    """Of ``@handler(...)``."""

    name: str
    """On the wire; otherwise the method's."""
    concurrency: int
    """How many of its calls run at once."""
    rate: Rate
    """How many of its calls start."""
    queue: int
    """How many of its calls may wait for their turn."""
    hold: bool
    """Whether a call that waits keeps its slot."""
    singleton: Singleton
    """One call runs at a time; and what others do meanwhile."""
    debounce: Debounce
    """Of calls soon after one another the last one runs."""


def check_class_keywords(keywords: Iterable[str], name: str) -> None:
    """Refuse what a class cannot say for each of its handlers."""
    for keyword in keywords:
        if keyword in HandlerKeywords.__annotations__ and keyword not in ServiceKeywords.__annotations__:
            raise TypeError(
                f"{keyword} of the class {name} would bind nothing: say it on its handlers, with "
                f"@handler({keyword}=...); a Limit('service/{name}', ...) in Options(limits=...) holds for all of them"
            )


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """The keywords of a handler or a class; ``None`` is nothing said."""

    name: str | None = None
    retry: RetryPolicy | None = None
    retention: timedelta | None = None
    idempotency_retention: timedelta | None = None
    journal_retention: timedelta | None = None
    private: bool | None = None
    strict_idempotency: bool | None = None
    limit: str | None = None
    concurrency: int | None = None
    rate: Rate | None = None
    queue: int | None = None
    hold: bool | None = None
    singleton: Singleton | None = None
    debounce: Debounce | None = None
    metadata: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        if self.retry is not None:
            check_policy(self.retry)
        _check_retention(self.retention, "retention")
        _check_retention(self.idempotency_retention, "idempotency_retention")
        _check_retention(self.journal_retention, "journal_retention")
        if (
            self.retention is not None
            and self.journal_retention is not None
            and self.journal_retention > self.retention
        ):
            raise ValueError(
                f"journal_retention ({self.journal_retention}) is longer than retention ({self.retention}); "
                "a journal goes with the record of its invocation"
            )
        check_limit_name(self.limit)
        check_flag(self.hold, "hold")
        self.bounds("handler/any/any")
        check_single(self.singleton, self.debounce)
        check_flag(self.private, "private")
        check_flag(self.strict_idempotency, "strict_idempotency")
        _check_mapping(self.metadata)
        for name, value in self.metadata.items():
            check_text(name, "the name of metadata")
            check_text(value, f"metadata {name!r}")
        msgspec.structs.force_setattr(self, "metadata", dict(self.metadata))

    def bounds(self, pattern: str) -> Limit | None:
        """As a limit for ``pattern``, if there are any."""
        if self.concurrency is None and self.rate is None and self.queue is None and not self.hold:
            return None
        return Limit(pattern, self.concurrency, self.rate, self.queue, bool(self.hold))

    def over(self, general: Declaration) -> Declaration:
        """This, and where it says nothing, ``general``; but for the name and the bounds, which are never another's."""
        retention = self.retention if self.retention is not None else general.retention
        journal = self.journal_retention if self.journal_retention is not None else general.journal_retention
        if journal is not None and retention is not None:
            journal = min(journal, retention)
        return Declaration(
            name=self.name,
            retry=self.retry or general.retry,
            retention=retention,
            idempotency_retention=(
                general.idempotency_retention if self.idempotency_retention is None else self.idempotency_retention
            ),
            journal_retention=journal,
            private=general.private if self.private is None else self.private,
            strict_idempotency=(
                general.strict_idempotency if self.strict_idempotency is None else self.strict_idempotency
            ),
            limit=self.limit or general.limit,
            concurrency=self.concurrency,
            rate=self.rate,
            queue=self.queue,
            hold=self.hold,
            singleton=self.singleton,
            debounce=self.debounce,
            metadata={**general.metadata, **self.metadata},
        )


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds of a handler, or of a service for those of its handlers that do not say otherwise."""

    retry: RetryPolicy | None = None
    """``None``: the engine's."""
    retention: timedelta = _DAY
    idempotency_retention: timedelta = _DAY
    journal_retention: timedelta = _DAY
    private: bool = False
    strict_idempotency: bool = True
    limit: str | None = None
    """The named limit that its calls count for."""
    singleton: Singleton | None = None
    debounce: Debounce | None = None
    metadata: Mapping[str, str] = {}

    @property
    def lines(self) -> bool:
        """Whether calls stand in a line, although there is no key."""
        return self.singleton is not None or self.debounce is not None

    @classmethod
    def of(cls, declared: Declaration) -> Settings:
        retention = _DAY if declared.retention is None else declared.retention
        journal = retention if declared.journal_retention is None else min(declared.journal_retention, retention)
        return cls(
            retry=declared.retry,
            retention=retention,
            idempotency_retention=(
                retention if declared.idempotency_retention is None else declared.idempotency_retention
            ),
            journal_retention=journal,
            private=bool(declared.private),
            strict_idempotency=declared.strict_idempotency is not False,
            limit=declared.limit,
            singleton=declared.singleton,
            debounce=declared.debounce,
            metadata=declared.metadata,
        )


def wire_name(name: str, pattern: re.Pattern[str]) -> str:
    name = check_text(name, "a name on the wire")
    if not pattern.fullmatch(name):
        raise TypeError(f"{name!r} cannot be a name on the wire ({pattern.pattern}); give another with name=")
    return name


def documentation(docstring: str | None) -> str | None:
    """A docstring without its indentation; ``None`` if there is nothing in it."""
    return cleandoc(docstring) or None if docstring else None


def _check_retention(retention: object, what: str) -> None:
    if retention is None:
        return
    if not isinstance(retention, timedelta):
        raise TypeError(f"{what} is a timedelta, got {retention!r}; write timedelta(days=1)")
    if retention < timedelta(0):
        raise ValueError(f"{what} cannot be negative, got {retention}")


def _check_mapping(metadata: object) -> None:
    if not isinstance(metadata, Mapping):
        raise TypeError(f'metadata is a mapping of texts, got {metadata!r}; write metadata={{"team": "shop"}}')
