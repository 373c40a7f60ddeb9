"""What must be true of a disk between any two commits, and when nothing is under way any more."""

from __future__ import annotations

from collections.abc import Iterator

from durable.core.entries import Attach, Call, Completed, Entry, GetPromise, Sleep
from durable.core.invocation import Caller, Commit, Invocation, Kind, Status, Timer, instance_id
from durable.core.outcome import Success
from tests.simulation.sqlite import faults
from tests.simulation.world import World

Wait = Sleep | Call | Attach | GetPromise


def audit(world: World) -> None:
    """Of a disk that nobody uses."""
    if world.file is not None and world.file.exists():
        for fault in faults(world.file, world.disk):
            world.violated(fault)
    for row in list(world.disk.invocations.values()):
        for what in _wrong(world, row):
            world.violated(f"{row.request.target} ({row.status}): {what}")
    _audit_timers(world)


def _wrong(world: World, row: Invocation) -> Iterator[str]:
    disk = world.disk
    waits = _waits(disk.journal(row.n)) if row.status is not Status.COMPLETED else []
    yield from _wrong_status(world, row, waits)
    for wait in waits:
        yield from _wrong_wait(world, row, wait)
    if row.request.kind is Kind.EXCLUSIVE and row.place is not None and row.status is not Status.COMPLETED:
        holds = disk.queue(instance_id(row.request.target))[0][1] == row.id
        if holds == (row.status is Status.PENDING):
            yield "it holds its key and waits for it" if holds else "it runs without its key"


def _wrong_status(world: World, row: Invocation, waits: list[Wait]) -> Iterator[str]:
    if (row.status is Status.COMPLETED) != (row.outcome is not None):
        yield "an outcome and its status disagree"
    if row.created_ms > row.modified_ms:
        yield "it was modified before it was created"
    if row.status is Status.SUSPENDED and not row.awaiting:
        yield "it is suspended, and waits for nothing"
    if row.outcome is not None:
        known = world.outcomes.setdefault(row.n, row.outcome)
        if known != row.outcome:
            yield f"its outcome was {known}, and is {row.outcome}"


def _wrong_wait(world: World, row: Invocation, wait: Wait) -> Iterator[str]:
    disk, caller = world.disk, Caller(row.id, wait.completion)
    if isinstance(wait, GetPromise):
        name = (*instance_id(row.request.target), wait.name)
        if name in disk.promises or (*name, caller) not in disk.listeners:
            yield f"it waits for promise {wait.name}, which is there or does not know it"
    elif isinstance(wait, Attach | Call):
        n = disk.numbers.get(wait.invocation_id)
        callee = None if n is None else disk.invocations[n]
        if callee is None or callee.status is Status.COMPLETED:
            yield "it waits for an invocation that is over"
        elif callee.request.caller != caller and (callee.id, caller) not in disk.waiters:
            yield "it waits for an invocation that does not know it"


def _audit_timers(world: World) -> None:
    disk, wanted = world.disk, set[Timer]()
    for row in disk.invocations.values():
        if row.status is not Status.COMPLETED:
            waits = _waits(disk.journal(row.n))
            wanted |= {Timer(each.due_ms, row.n, each.completion) for each in waits if isinstance(each, Sleep)}
    if wanted != disk.timers:
        world.violated(f"timers: {wanted - disk.timers} are missing, {disk.timers - wanted} too many")


def audit_commit(world: World, commit: Commit, now_ms: int) -> None:
    """No sleep ends early, by the engine's own time."""
    for n, (_, new) in commit.entries.items():
        accepted = commit.accepted.get(n)
        if accepted is not None and accepted.request.restarted_from is not None:
            continue  # what it begins with ended in another life, by that one's time
        ends = {each.completion for each in new if isinstance(each, Completed) and isinstance(each.outcome, Success)}
        for sleep in [*world.disk.journal(n), *new] if ends else ():
            if isinstance(sleep, Sleep) and sleep.completion in ends and sleep.due_ms > now_ms:
                world.violated(f"a sleep of number {n} ends {sleep.due_ms - now_ms} ms early")


def _waits(entries: list[Entry]) -> list[Wait]:
    answered = {entry.completion for entry in entries if isinstance(entry, Completed)}
    return [e for e in entries if isinstance(e, Wait) and e.completion not in answered]
