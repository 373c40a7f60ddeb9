"""What the log says of an attempt that failed and of an invocation that is paused: which one, why, and what is next."""

from __future__ import annotations

import logging

from durable.core.ids import write_invocation
from durable.core.invocation import Invocation, Kind, Status
from durable.core.moments import write_moment

log = logging.getLogger("durable.invoker")


def named(invocation: Invocation) -> str:
    return f"{invocation.request.target} ({write_invocation(invocation.id)})"


def tagged(invocation: Invocation) -> dict[str, str]:
    """The ``extra`` of a record."""
    return {"invocation": write_invocation(invocation.id)}


def failing(invocation: Invocation, error: BaseException, steps: int) -> None:
    """Its attempt has failed, and is over once its other steps have ended: those may take long."""
    wait = "%s raised %r; its attempt is over when its other steps have ended, %d of them"
    log.warning(wait, named(invocation), error, steps, extra=tagged(invocation))


def outrun(invocation: Invocation, error: BaseException) -> None:
    """Its attempt failed, after the invocation had been killed or paused."""
    _failed(invocation, error, "it was killed or paused meanwhile")


def failed(invocation: Invocation, error: BaseException) -> None:
    """An attempt, after it was decided what comes next."""
    _failed(invocation, error, f"it was number {invocation.attempts} in a row{_next(invocation)}")
    if invocation.status is Status.PAUSED:
        paused(invocation)


def paused(invocation: Invocation) -> None:
    """Nothing of it moves until a person acts."""
    why = None if invocation.failure is None else invocation.failure.message
    log.error(
        "%s is paused%s: %s\n"
        "Mend the cause, deploy, then resume it: PATCH /invocations/%s/resume of the admin app, or "
        "`await engine.invocation(id).resume()`.",
        named(invocation),
        " and keeps its key, for which others may wait" if invocation.request.kind is Kind.EXCLUSIVE else "",
        why,
        write_invocation(invocation.id),
        extra=tagged(invocation),
    )


def _failed(invocation: Invocation, error: BaseException, says: str) -> None:
    log.warning("an attempt of %s failed; %s", named(invocation), says, exc_info=error, extra=tagged(invocation))


def _next(invocation: Invocation) -> str:
    if invocation.status is Status.BACKING_OFF and invocation.due_ms is not None:
        return f", the next begins at {write_moment(invocation.due_ms)}"
    return ", and the last"
