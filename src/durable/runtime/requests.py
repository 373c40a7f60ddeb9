"""What crosses the border of an engine: calls as they come in, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from durable.core import ids
from durable.core.entries import Target
from durable.core.ids import InvocationId
from durable.core.invocation import Kind
from durable.core.outcome import Outcome


class Submission(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A call or a send from outside, encoded."""

    target: Target
    payload: bytes
    headers: Mapping[str, str] = {}
    identity: str | None = None
    """Who calls, as somebody authenticated it."""
    idempotency_key: str | None = None
    delay: timedelta | None = None
    limit_key: str | None = None
    """Whose part of the handler's named limit it counts for."""
    priority: int = 0
    attach: bool = False
    """Whether a call of a workflow's run that was invoked before waits for its outcome."""


class Accepted(NamedTuple):
    id: str
    new: bool
    """False: the same idempotency key, or workflow key, was accepted before."""
    due: datetime | None
    """When it starts, if that was put off."""


class Called(NamedTuple):
    invocation: InvocationId
    outcome: Outcome | None
    """``None`` if, and only if, it was the run of a workflow that was accepted before: it is not waited for."""
    expires: datetime | None
    """When the outcome is forgotten; only if it was there before this call."""

    @property
    def id(self) -> str:
        return ids.write_invocation(self.invocation)


class Peeked(NamedTuple):
    target: Target
    outcome: Outcome | None
    """``None``: not completed."""
    expires: datetime | None
    paused: bool = False
    """It goes on when somebody resumes it."""


class HandlerInfo(NamedTuple):
    """What a caller from outside must know of a handler."""

    kind: Kind
    private: bool
    takes_input: bool
    raw_input: bool
    """Bytes as they come, of any content type; otherwise JSON."""
    raw_output: bool
    """``application/octet-stream``; otherwise JSON."""
    limited: bool = False
    """Whether it takes a limit key."""
    lines: bool = False
    """Whether it takes a singleton key."""
    needs_input: bool = False
    """Whether it cannot be called without one."""


Services = Mapping[str, Mapping[str, HandlerInfo]]
"""By the wire names of service and handler."""
