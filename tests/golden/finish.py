"""What has to become of all that a golden database left under way. It may be played again after a crash."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from durable import Engine, Invocation, TerminalError
from tests.golden.make import LIMITED, SHELF, WORKS
from tests.golden.services import ONE_AN_HOUR, Approval, Desk, Shelf, Work

LIMITS_SINCE = 5
"""The first version with limits, schedules and suspects."""

_RESULTS: dict[str, object] = {
    "done": "said by done",
    "refused": 418,
    "step": ["said by step before", "asked by step"],
    "paused": ["said by paused before", "asked by paused"],
    "asleep": "asleep woke",
    "both": [None, "said by both"],
    "awaiting": ["late", "asked by awaiting"],
    "answered": ["yes", "asked by answered"],
    "caller": ["said by caller callee before", "asked by caller callee"],
    "failing": "failing came through",
    "cancelled": 409,
    "signalled": ["first", "second"],
    "scheduled": "said by scheduled",
    "large": f"said by {'x' * 20_000}",
    "without journal": "said by without journal",
    "purged": 404,
    "forgotten": 404,
    "second": ["first", "second held"],
    "third": ["first", "second held", "third"],
    "fourth": ["first", "second held", "third", "fourth held"],
    "approval open": ["late", "asked by approval open"],
    "approval answered": ["yes", "asked by approval answered"],
}

_LIMITED: dict[str, object] = {
    "holder": "holder served",
    "waiter": "waiter served",
    "rung": "said by rung",
    "to ring": "said by to ring",
}

_ASKED = {
    "step", "paused", "awaiting", "answered", "caller callee", "cancelled undo", "scheduled", "second", "fourth",
    "approval open", "approval answered",
}  # fmt: skip


def results(version: int) -> dict[str, object]:
    """What a database of this schema version must come to. A failure is its status."""
    return {**_RESULTS, **_LIMITED} if version >= LIMITS_SINCE else _RESULTS


def asked(version: int) -> set[str]:
    """The steps that are left to do; every other one is recorded."""
    return _ASKED | {"to ring"} if version >= LIMITS_SINCE else _ASKED


async def finish(engine: Engine, version: int, awakeables: Mapping[str, str]) -> dict[str, object]:
    """Do what they wait for, and return what came of each."""
    await engine.awakeable(awakeables["awaiting"]).resolve("late")
    await (await engine.lookup(Work.signals.options(idempotency_key="signalled"))).signal("one", "first")
    with suppress(TerminalError):  # it was confirmed before the crash
        await engine.call(Approval.brief, "open", "late")
    paused = await engine.lookup(Work.step.options(idempotency_key="paused"))
    if await paused.status() == "paused":
        await paused.resume()
    if version >= LIMITS_SINCE:
        await _serve(engine)
    return {name: await result(invocation) for name, invocation in (await _all(engine, version)).items()}


async def _serve(engine: Engine) -> None:
    for name in ("holder", "waiter"):
        await (await engine.lookup(_named(Desk.serve, name))).signal("served", "served")
    with suppress(TerminalError):  # it was removed before the crash
        await engine.limits.remove(ONE_AN_HOUR.pattern)


async def _all(engine: Engine, version: int) -> dict[str, Invocation[Any]]:
    handlers = {**WORKS, **dict.fromkeys(("scheduled", "large", "purged", "without journal"), Work.finish)}
    if version >= LIMITS_SINCE:
        handlers |= LIMITED
    works = {name: await engine.lookup(_named(handler, name)) for name, handler in handlers.items()}
    held = {"second": Shelf.hold, "third": Shelf.put, "fourth": Shelf.hold}
    keyed = {name: await engine.lookup(_named(handler, name), SHELF) for name, handler in held.items()}
    return {**works, **keyed, **{f"approval {key}": await engine.lookup(Approval.run, key) for key in _APPROVALS}}


_APPROVALS = ("open", "answered")


def _named(handler: Any, name: str) -> Any:
    return handler.options(idempotency_key=name)


async def result(invocation: Invocation[Any]) -> object:
    """A failure is its status."""
    try:
        return await invocation.result()
    except TerminalError as error:
        return error.status
