"""What is known of an invocation, as JSON, by Restate's names of the columns of ``sys_invocation``. Pure."""

from __future__ import annotations

import msgspec

from durable.core.entries import Target
from durable.core.ids import write_invocation
from durable.core.invocation import Invocation, Status
from durable.core.moments import write_moment
from durable.core.outcome import Failure


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One invocation. What is not so, or not known, is left out. No payloads: they may be anybody's secrets."""

    id: str
    target: str
    target_service_name: str
    target_service_key: str | None = None
    target_handler_name: str
    status: str
    created_at: str
    modified_at: str
    scheduled_start_at: str | None = None
    next_retry_at: str | None = None
    retry_count: int = 0
    """Failed attempts in a row."""
    last_failure: str | None = None
    last_failure_error_code: int | None = None
    idempotency_key: str | None = None
    invoked_by: str
    invoked_by_id: str | None = None
    restarted_from: str | None = None
    completion_result: str | None = None
    completion_failure: str | None = None
    expires_at: str | None = None
    """When its record may go; ours, as are the two below."""
    journal_kept: bool = True
    version: str = ""
    """Of the code that accepted it."""


def record(invocation: Invocation) -> Record:
    request, failure = invocation.request, invocation.failure
    return Record(
        id=write_invocation(invocation.id),
        target=_path(request.target),
        target_service_name=request.target.service,
        target_service_key=request.target.key,
        target_handler_name=request.target.handler,
        status=invocation.status,
        created_at=write_moment(invocation.created_ms),
        modified_at=write_moment(invocation.modified_ms),
        scheduled_start_at=_due(invocation, Status.SCHEDULED),
        next_retry_at=_due(invocation, Status.BACKING_OFF),
        retry_count=invocation.attempts,
        last_failure=None if failure is None else failure.message,
        last_failure_error_code=None if failure is None else failure.status,
        idempotency_key=request.idempotency_key,
        invoked_by=_invoker(invocation),
        invoked_by_id=None if request.caller is None else write_invocation(request.caller.id),
        restarted_from=None if request.restarted_from is None else write_invocation(request.restarted_from),
        completion_result=_result(invocation),
        completion_failure=_completion_failure(invocation),
        expires_at=None if invocation.expires_ms is None else write_moment(invocation.expires_ms),
        journal_kept=invocation.journal_kept,
        version=request.version,
    )


def _path(target: Target) -> str:
    return "/".join(part for part in (target.service, target.key, target.handler) if part is not None)


def _invoker(invocation: Invocation) -> str:
    if invocation.request.restarted_from is not None:
        return "restart_as_new"
    return "ingress" if invocation.request.caller is None else "service"


def _due(invocation: Invocation, status: Status) -> str | None:
    return write_moment(invocation.due_ms) if invocation.status is status and invocation.due_ms is not None else None


def _result(invocation: Invocation) -> str | None:
    if invocation.outcome is None:
        return None
    return "failure" if isinstance(invocation.outcome, Failure) else "success"


def _completion_failure(invocation: Invocation) -> str | None:
    outcome = invocation.outcome
    return f"[{outcome.status}] {outcome.message}" if isinstance(outcome, Failure) else None
