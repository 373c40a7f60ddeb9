"""Every error a user can meet, by whose fault it is: the handler's, the caller's, or ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta


class DurableError(Exception):
    """Base of every error this package raises on purpose."""


class TerminalError(DurableError):
    """Ends the invocation with a failure; the engine does not retry it.

    Callers get the same message, status and metadata. Raised inside ``ctx.run``, it becomes the recorded result
    of that step and is raised again on every replay.
    """

    def __init__(self, message: str, *, status: int = 500, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.metadata = dict(metadata or {})


class InvocationCancelledError(TerminalError):
    """Raised at an ``await`` of an invocation that was cancelled; status 409."""

    def __init__(self, message: str = "cancelled") -> None:
        super().__init__(message, status=409)


class DurableTimeoutError(TerminalError, TimeoutError):
    """``or_timeout`` ran out; status 408. Caught by ``except TimeoutError``; uncaught, it ends the invocation."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=408)


class AllFailedError(TerminalError):
    """``first_success`` found none; its status is the one that all ``failures`` have, or else 500."""

    def __init__(self, failures: Sequence[TerminalError]) -> None:
        statuses = {failure.status for failure in failures}
        super().__init__(
            f"all {len(failures)} failed: " + "; ".join(failure.message for failure in failures),
            status=statuses.pop() if len(statuses) == 1 else 500,
        )
        self.failures = tuple(failures)
        """In the order of the arguments."""


class MisuseError(TerminalError):
    """Strict mode found a mistake in the code of a handler; status 500."""


class PayloadError(TerminalError):
    """A value that cannot be encoded (status 500), or an input that does not decode (status 400)."""


class InvocationNotFoundError(TerminalError):
    """There is no such invocation, or its retention is over; status 404."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=404)

    @classmethod
    def of(cls, id: str) -> InvocationNotFoundError:
        return cls(
            f"invocation {id} not found: it was never accepted here, or is forgotten: purged, cancelled before its "
            "start, or past its retention"
        )


class InvocationNotReadyError(TerminalError):
    """The invocation has no outcome yet; status 470, as in Restate."""

    def __init__(self, message: str = "the invocation exists but has not completed yet") -> None:
        super().__init__(message, status=470)


class BadIdError(TerminalError, ValueError):
    """The text is not an id, or not one that this engine made; status 400."""

    def __init__(self, message: str, *, why: str | None = None) -> None:
        super().__init__(message, status=400)
        self.why = message if why is None else why
        """In Restate's words."""


class InvocationStateError(TerminalError):
    """What was asked of an invocation cannot be done to it as it is; the message says why."""

    def __init__(self, message: str, *, status: int = 409) -> None:
        super().__init__(message, status=status)


class QueueFullError(TerminalError):
    """As many wait as a limit's ``queue`` lets: the request was not accepted; status 429."""

    def __init__(self, message: str, *, retry_after: timedelta) -> None:
        super().__init__(message, status=429)
        self.retry_after = retry_after
        """When it may be worth to send it again."""


class ScheduleNotFoundError(TerminalError):
    """There is no schedule with this id; status 404."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=404)


class ScheduleStateError(TerminalError):
    """What was asked of a schedule cannot be done to it; the message says why. Status 409."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=409)


class RetryableError(DurableError):
    """Ends this attempt; the next one starts after ``retry_after``, or when the retry policy says."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class JournalMismatchError(DurableError):
    """The handler took another path than the one its journal records; the invocation is paused."""


class StoreError(DurableError):
    """The database cannot be used: held by another engine, of a newer schema, not ours, or damaged."""


class DamagedError(StoreError):
    """A stored row is not what was written: its checksum, or its shape, is wrong. The message names the row."""


class DiskFullError(StoreError):
    """The disk of the database is full: nothing new is accepted until there is room, and then the engine goes on.

    Whoever waited for a commit that found no room does not know yet whether the request was accepted: send it again
    with the same idempotency key.
    """


class EngineStoppedError(DurableError):
    """The engine is not running, or stopped before it knew the outcome: the request may or may not have been accepted.

    Send it again with the same idempotency key.
    """


class Suspended(BaseException):
    """Ends an attempt that can only go on when something outside happens. Private: not an error, never caught."""
