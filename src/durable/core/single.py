"""Handlers of which one call runs at a time, or only the last of a burst: what becomes of those that are there already.

Such a call is an exclusive one, in a line that is named after its handler. Everything else follows from that: order,
recovery, ``why``, and that a kill or a cancellation frees the line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from durable.core import lifecycle
from durable.core.entries import Signalled
from durable.core.ids import CANCEL, write_invocation
from durable.core.invocation import Kind, Request, Single, Status, instance_id
from durable.core.lanes import Meter
from durable.core.ledger import Ledger, Resident
from durable.core.lifecycle import Needed
from durable.core.outcome import Failure, Success

SUPERSEDED = Failure(409, "superseded: a later call came within its time")


class Way(NamedTuple):
    """How a call is to be accepted."""

    request: Request
    due_ms: int | None
    skipped_for: Resident | None = None
    """It is not accepted, because this one is there."""


def skipped(resident: Resident) -> Failure:
    target, id = resident.invocation.request.target, write_invocation(resident.invocation.id)
    return Failure(409, f"skipped: {target} is under way as {id}; attach to that, or call it again later")


def way_needs(ledger: Ledger, request: Request) -> Iterator[Needed]:
    """Who stands in the line, and what their end touches."""
    instance = ledger.instances.get(instance_id(request.target))
    if request.single is None or request.single.mode == "queue" or instance is None:
        return
    for id in instance.lock:
        yield id
        if (resident := ledger.find(id)) is not None:
            yield from lifecycle.signal_needs(ledger, resident, CANCEL)


def full_queue(ledger: Ledger, request: Request, now_ms: int) -> Meter | None:
    """Whose line is full, if a new invocation would have to wait in it."""
    admission = ledger.admission
    if not admission.active or _needs_no_place(ledger, request):
        return None
    key_free = request.kind is not Kind.EXCLUSIVE or not ledger.instances[instance_id(request.target)].lock
    return admission.full_queue(request, now_ms, key_free=key_free)


def _needs_no_place(ledger: Ledger, request: Request) -> bool:
    """It is skipped, waits for its window, or takes the place of another."""
    match request.single:
        case Single(mode="skip"):
            return bool(_line(ledger, request))
        case Single(mode="cancel"):
            return any(lifecycle.waits_to_start(resident.invocation) for resident in _line(ledger, request))
        case Single(mode="last"):
            return True
        case _:
            return False


def _line(ledger: Ledger, request: Request) -> list[Resident]:
    lock = ledger.instances[instance_id(request.target)].lock
    return [resident for id in lock if (resident := ledger.find(id)) is not None]


def make_way(ledger: Ledger, request: Request, now_ms: int, due_ms: int | None) -> Way:
    """Skip it, or end those that it replaces."""
    single = request.single
    if single is None or single.mode == "queue":
        return Way(request, due_ms)
    line = _line(ledger, request)
    if single.mode == "skip":
        return Way(request, due_ms, line[0] if line else None)
    if single.mode == "cancel":
        cancel(ledger, line, now_ms)
        return Way(request, due_ms)
    return _replace_last(ledger, request, single, line, now_ms)


def cancel(ledger: Ledger, residents: Sequence[Resident], now_ms: int) -> None:
    """Each once: a second cancellation would interrupt the undoing of the first."""
    for resident in reversed(residents):  # so that nobody is started by the end of another
        if not any(isinstance(entry, Signalled) and entry.signal == CANCEL for entry in resident.entries):
            lifecycle.signal(ledger, resident, Signalled(CANCEL, Success()), now_ms)


def _replace_last(ledger: Ledger, request: Request, single: Single, line: list[Resident], now_ms: int) -> Way:
    last = line[-1] if line and line[-1].invocation.status is Status.SCHEDULED else None
    before = None if last is None else last.invocation.request.single
    since_ms = now_ms if before is None or before.since_ms is None else before.since_ms
    if last is not None:
        lifecycle.complete(ledger, last, SUPERSEDED, now_ms)
    longest_ms = single.window_ms if single.longest_ms is None else since_ms + single.longest_ms - now_ms
    due_ms = now_ms + min(single.window_ms, longest_ms)
    return Way(msgspec.structs.replace(request, single=msgspec.structs.replace(single, since_ms=since_ms)), due_ms)
