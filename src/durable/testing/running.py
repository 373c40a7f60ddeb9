"""Steps as a test sees them: which one runs now, and where the handler asked for it."""

from __future__ import annotations

from contextvars import ContextVar

import msgspec

from durable.machine import Action
from durable.runtime.attempt import Attempt
from durable.runtime.line import current_line
from durable.runtime.steps import Step
from durable.testing.faults import Faults


class RunningStep(msgspec.Struct, frozen=True):
    """A step that runs."""

    handler: str
    name: str
    where: str
    """The file and line of its ``ctx.run``."""


running: ContextVar[RunningStep | None] = ContextVar("running", default=None)


def say_running(faults: Faults, attempt: Attempt, step: Step) -> None:
    """Let it say which one it is while it runs, and fail as it was told to."""
    step.action = _said(faults.around(step), RunningStep(attempt.handler, step.name, current_line()))


def _said(action: Action, step: RunningStep) -> Action:
    async def act() -> bytes:
        token = running.set(step)
        try:
            return await action()
        finally:
            running.reset(token)

    return act
