"""Steps as a test sees them: which one runs now, and where the handler asked for it."""

from __future__ import annotations

from contextvars import ContextVar

import msgspec

from durable.machine import Action
from durable.runtime.attempt import Attempt
from durable.runtime.line import current_line
from durable.runtime.steps import Step
from durable.testing.faults import Faults


class Watched(msgspec.Struct, frozen=True):
    """A step that runs."""

    handler: str
    name: str
    where: str
    """The file and line of its ``ctx.run``."""


running: ContextVar[Watched | None] = ContextVar("running", default=None)


def watch(faults: Faults, attempt: Attempt, step: Step) -> None:
    """Let it say which one it is while it runs, and fail as it was told to."""
    step.action = _said(faults.around(step), Watched(attempt.handler, step.name, current_line()))


def _said(action: Action, watched: Watched) -> Action:
    async def act() -> bytes:
        token = running.set(watched)
        try:
            return await action()
        finally:
            running.reset(token)

    return act
