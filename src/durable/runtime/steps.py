"""The bodies of steps: begun once what they depend on is durable, repeated by their policy, recorded when they end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from durable.core.invocation import Invocation
from durable.core.moments import write_moment
from durable.core.outcome import Failure, Outcome, Success
from durable.errors import RetryableError, TerminalError
from durable.machine import Action
from durable.retry import RetryPolicy
from durable.runtime.clock import Clock
from durable.runtime.report import named, tagged

LONGEST_DELAY = timedelta(days=3653)

log = logging.getLogger("durable.steps")


class Step:
    """One step of an attempt, from its beginning to its outcome."""

    __slots__ = ("_retry", "action", "left", "name", "resting", "task")

    def __init__(self, name: str, action: Action, retry: RetryPolicy | None) -> None:
        self.name = name
        self.action, self._retry = action, retry
        self.task: asyncio.Task[None] | None = None
        """Once it has begun."""
        self.resting = False
        """Whether it waits for the time of its next attempt."""
        self.left = False
        """Whether it is not tried again: its attempt is over, or the engine closes."""

    def leave(self) -> None:
        """What runs of it may end; a rest is over now, for nothing runs then."""
        self.left = True
        if self.resting and self.task is not None:
            self.task.cancel()

    def report_late(self, handler: str) -> None:
        """Tell that it still runs, though nobody waits for it any longer."""
        if self.task is not None:
            late = "step %r of %s runs longer than an engine that closes waits; it is left, to run again"
            log.warning(late, self.name, handler)

    async def outcome(self, invocation: Invocation, clock: Clock, chance: Callable[[], float]) -> Outcome:
        """What to record. Without a policy, an error that is not terminal is raised: it ends the attempt."""
        attempts, began_ms = 0, clock.now_ms()
        while True:
            try:
                return Success(await self.action())
            except TerminalError as error:
                return Failure.of(error)
            except BaseException as error:
                if self._retry is None or self.left or is_cancelled(error):
                    raise
                attempts += 1
                if self._retry.gives_up(attempts, timedelta(milliseconds=clock.now_ms() - began_ms)):
                    self._report(invocation, error, f"it was number {attempts}, and the last")
                    return Failure(500, f"step {self.name!r} failed {attempts} times, the last time with {error!r}")
                wished = wished_delay(error)
                delay = self._retry.delay(attempts, chance()) if wished is None else wished
                due_ms = clock.now_ms() + round(delay.total_seconds() * 1000)
                self._report(invocation, error, f"it was number {attempts}, the next begins at {write_moment(due_ms)}")
            await self._rest(clock, due_ms)

    def _report(self, invocation: Invocation, error: BaseException, says: str) -> None:
        failed, extra = "an attempt of step %r of %s failed; %s", tagged(invocation)
        log.warning(failed, self.name, named(invocation), says, exc_info=error, extra=extra)

    async def _rest(self, clock: Clock, due_ms: int) -> None:
        done = asyncio.Event()
        alarm = clock.call_at(due_ms, done.set)
        self.resting = True
        try:
            await done.wait()
        finally:
            self.resting = False
            alarm.cancel()


def wished_delay(error: BaseException) -> timedelta | None:
    """When an error says that it is worth another try, within what a clock can count."""
    wished: object = error.retry_after if isinstance(error, RetryableError) else None
    if not isinstance(wished, timedelta):
        return None
    return min(max(wished, timedelta(0)), LONGEST_DELAY)


def is_cancelled(error: BaseException) -> bool:
    """Whether the engine cancelled this task; a body may well await something that was cancelled by others."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and bool(task.cancelling())
