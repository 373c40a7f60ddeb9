"""How an engine runs: one frozen struct, every field with its default, its unit and its environment variable."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, get_args

import msgspec

from durable.errors import DurableError
from durable.flow import Limit, check_declared
from durable.retry import HANDLER_RETRIES, RetryPolicy, check_policy
from durable.sizes import LONGEST_NAME, check_flag, check_text

Durability = Literal["power", "process"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How long handlers wait in memory, how much stays there, what is retried and when the past is forgotten.

    ``Options.from_environment(os.environ)`` reads ``DURABLE_`` and the field's name in capitals: a number of seconds
    for a duration, a whole number for a count, the text itself for the version.
    """

    inactivity: timedelta = timedelta(seconds=60)
    """How long a handler waits in memory before it is suspended; zero suspends it whenever it waits."""
    parked: int = 10_000
    """How many handlers wait in memory; the one that has waited longest is suspended for the next."""
    resident: int = 10_000
    """How many invocations and keys stay in memory without need: a few KB each."""
    grace: timedelta = timedelta(seconds=10)
    """How long a closing engine waits for steps that have begun."""
    cleanup: timedelta = timedelta(hours=1)
    """How often it looks for invocations whose retention is over."""
    audit: timedelta = timedelta(hours=1)
    """How often it looks for what must never be in its database; zero: only when it is asked."""
    retry: RetryPolicy = HANDLER_RETRIES
    """For handlers and services that do not say. Not read from the environment."""
    version: str = ""
    """Of your code: recorded with every invocation that is accepted."""
    limits: tuple[Limit, ...] = ()
    """What may run, start and wait, beside what handlers say of themselves. Not read from the environment."""
    durability: Durability = "power"
    """What acknowledged work survives: ``"process"`` syncs nothing, and a power cut takes the last seconds with it."""

    strict: bool | None = None
    """Whether the usual mistakes in handlers are errors; ``None`` is only in a ``TestEngine``."""

    def __post_init__(self) -> None:
        for name in ("inactivity", "grace", "cleanup", "audit"):
            duration: object = getattr(self, name)
            if not isinstance(duration, timedelta):
                raise TypeError(f"{name} is a timedelta, got {duration!r}; write timedelta(seconds=5)")
            if duration < timedelta(0) or (name == "cleanup" and not duration):
                raise ValueError(f"{name} must be positive, got {duration}")
        for name in ("parked", "resident"):
            count: object = getattr(self, name)
            if not isinstance(count, int) or count < 1:
                raise ValueError(f"{name} must be an int of at least 1, got {count!r}")
        if self.durability not in get_args(Durability):
            raise ValueError(f"durability is one of {', '.join(get_args(Durability))}, got {self.durability!r}")
        check_flag(self.strict, "strict")
        check_policy(self.retry)
        check_declared(self.limits)
        check_text(self.version, "the version of your code", LONGEST_NAME)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], /) -> Options:
        """The defaults, but for what the environment says; a variable that makes no sense is a ``DurableError``."""
        names = {f"DURABLE_{name.upper()}": name for name in cls.__struct_fields__ if name not in ("retry", "limits")}
        said = {name: environment[variable] for variable, name in names.items() if variable in environment}
        try:
            return msgspec.convert(said, cls, strict=False)
        except msgspec.ValidationError as error:
            raise DurableError(f"the environment's DURABLE_ variables make no sense: {said}: {error}") from error
