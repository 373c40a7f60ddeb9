"""Which attempts run: it starts them, begins their steps, and takes the decision that their end calls for."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from itertools import chain
from typing import Protocol

from durable.core import commands, lifecycle
from durable.core import entries as e
from durable.core.ids import InvocationId, plain
from durable.core.invocation import Invocation, Kind, Status, instance_id
from durable.core.journal import Divergence
from durable.core.ledger import Resident
from durable.core.lifecycle import Failed, Needed
from durable.core.outcome import Failure, Outcome, Success
from durable.errors import (
    DamagedError,
    EngineStoppedError,
    JournalMismatchError,
    TerminalError,
)
from durable.machine import Machine
from durable.options import Options
from durable.retry import RetryPolicy
from durable.runtime import report
from durable.runtime.attempt import Attempt
from durable.runtime.kernel import Kernel
from durable.runtime.parking import Parking
from durable.runtime.steps import Step, is_cancelled, wished_delay
from durable.runtime.strict import Strict

log = logging.getLogger("durable.invoker")


class Runnable(Protocol):
    """A handler, bound to its service."""

    @property
    def retry(self) -> RetryPolicy | None: ...
    @property
    def source(self) -> str:
        """The file and line of its code."""
        ...

    def invoke(self, machine: Machine, payload: bytes, /) -> Coroutine[object, object, bytes]: ...


Runnables = Mapping[tuple[str, str], Runnable]


class Invoker:
    """Implements :class:`durable.runtime.attempt.Host`."""

    def __init__(self, kernel: Kernel, runnables: Runnables, chance: Callable[[], float], options: Options) -> None:
        self._kernel, self._runnables, self._options = kernel, runnables, options
        self._chance, self._context = chance, copy_context()
        self.entropy: Callable[[int], bytes] = os.urandom
        """Of new ids."""
        self.directory, self.secret = kernel.ledger.directory, kernel.secret
        self.attempts: dict[InvocationId, Attempt] = {}
        self._parking = Parking(kernel, options.inactivity, options.parked, self.suspend)
        self._make_attempt = Strict() if options.strict else Attempt
        self._unended: dict[InvocationId, set[asyncio.Task[None]]] = {}
        """Steps that have begun and whose attempts are over."""
        self._starting: set[asyncio.Task[None]] = set()
        """Of the tasks: attempts that wait for what they need."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self.on_step: Callable[[Attempt, Step], None] = lambda attempt, step: None

    @property
    def busy(self) -> bool:
        """Whether anything moves that is not waiting for the outside or the clock."""
        return bool(self._starting) or any(not attempt.still for attempt in self.attempts.values())

    # -- effects

    def start(self, resident: Resident) -> None:
        if not self._closed:
            # Not in the context of whoever decided this: a replay would not have it.
            self._starting.add(self._spawn(self._attempt(resident.invocation), self._context.copy()))

    def wake(self, resident: Resident, entry: e.Notification) -> None:
        attempt = self.attempts.get(resident.invocation.id)
        if attempt is not None:
            self._parking.leave(resident.invocation.id)
            attempt.hear(entry)

    def halt(self, resident: Resident) -> None:
        """Its invocation was killed or paused. Steps that have begun may end, unless nobody wants their results."""
        id = resident.invocation.id
        attempt = self.attempts.get(id)
        if attempt is not None:
            self._close(attempt)
        if resident.invocation.status is Status.COMPLETED:
            for task in self._unended.get(id, ()):
                task.cancel()

    def suspend(self, id: InvocationId) -> None:
        """Drop a handler that waits; a notification will bring it back."""
        attempt = self.attempts.get(id)
        if attempt is not None and attempt.waiting and attempt.resident.invocation.status is Status.RUNNING:
            lifecycle.suspend(self._kernel.ledger, attempt.resident, self.now_ms())
            self._close(attempt)
            self._kernel.act()

    def stop(self) -> None:
        """The engine stopped: no handler may go on."""
        self._closed = True
        for step in self._begun():
            step.cancel()
        for attempt in list(self.attempts.values()):
            self._close(attempt)

    async def close(self) -> None:
        """Let steps that have begun end, within the grace period; then suspend who waits, and drop the rest."""
        self._closed = True
        self._parking.close()
        waiting = [id for id, attempt in self.attempts.items() if attempt.waiting]
        for step in [step for attempt in self.attempts.values() for step in attempt.steps]:
            step.leave()
        if begun := self._begun():
            await asyncio.wait(begun, timeout=self._options.grace.total_seconds())
        begun = self._begun()
        for attempt in self.attempts.values():
            for step in attempt.steps:
                step.report_late(attempt.handler)
        for id in waiting:
            self.suspend(id)  # nothing of it is to be recovered; of one whose step left, that step is
        for attempt in list(self.attempts.values()):
            self._close(attempt)
        await self._drop({*self._tasks, *begun})

    def _begun(self) -> list[asyncio.Task[None]]:
        """Every step that runs."""
        running = [task for attempt in self.attempts.values() for task in attempt.begun]
        return running + [task for tasks in self._unended.values() for task in tasks]

    # -- Host

    def now_ms(self) -> int:
        return self._kernel.clock.now_ms()

    def new_id(self) -> InvocationId:
        return plain(self.now_ms(), self.entropy(10))

    def flush_now(self, attempt: Attempt, /) -> bool:
        if attempt.flushing.locked() or self._kernel.writer.is_behind:
            return False
        if attempt.journal.staged:
            if not self._kernel.residency.has(self._staged_needs(attempt)):
                return False
            self._decide_staged(attempt)
            self._kernel.act()
        return True

    async def flush(self, attempt: Attempt, /) -> None:
        async with attempt.flushing:
            await self._kernel.writer.catch_up()
            if attempt.journal.staged:
                async with self._kernel.residency.hold(lambda: self._staged_needs(attempt)):
                    self._decide_staged(attempt)
                    self._kernel.act()

    def flush_soon(self, attempt: Attempt, /) -> None:
        if not attempt.closed and not attempt.flushing.locked() and not self.flush_now(attempt):
            self._spawn(self.flush(attempt))

    def begin(self, attempt: Attempt, command: e.Run, step: Step, /) -> None:
        attempt.steps.add(step)
        # In the context of the handler, which is no longer the current one when the decision is on the disk.
        begin = partial(self._begin_now, attempt, command, step, copy_context())
        self._kernel.writer.when(self._kernel.ledger.number - 1, begin)

    def parked(self, attempt: Attempt, /) -> None:
        id = attempt.resident.invocation.id
        self._parking.enter(id)
        if self._kernel.ledger.admission.is_wanted(id):
            asyncio.get_running_loop().call_soon(self.suspend, id)

    def diverged(self, attempt: Attempt, error: JournalMismatchError, /) -> None:
        self._pause(attempt, Failure(570, str(error)))

    # -- how

    def _begin_now(self, attempt: Attempt, command: e.Run, step: Step, context: Context) -> None:
        if attempt.closed or self._closed:
            return attempt.steps.discard(step)  # the next attempt will begin it
        work = self._perform(attempt, command, step)
        step.task = asyncio.get_running_loop().create_task(work, context=context)
        step.task.add_done_callback(partial(self._ended, attempt, step))

    def _ended(self, attempt: Attempt, step: Step, task: asyncio.Task[None]) -> None:
        self._check(task)
        attempt.steps.discard(step)
        id = attempt.resident.invocation.id
        if attempt.closed and task in (unended := self._unended.get(id, set())):
            self._kernel.residency.unpin(id)
            unended.discard(task)
            if not unended:
                del self._unended[id]

    async def _attempt(self, invocation: Invocation) -> None:
        try:
            await self._attempt_now(invocation)
        except DamagedError as error:
            await self._pause_unreadable(invocation.id, error)

    async def _pause_unreadable(self, id: InvocationId, error: DamagedError) -> None:
        """Its key, or what it came to, cannot be read."""
        log.critical("an invocation is paused, what it needs cannot be read: %s", error)
        async with self._kernel.residency.hold_one(id):
            resident = self._kernel.ledger.find(id)
            if resident is not None and resident.invocation.status is Status.RUNNING:
                lifecycle.pause(self._kernel.ledger, resident, Failure(500, str(error)), self.now_ms())
                self.halt(resident)
                self._kernel.act()

    async def _attempt_now(self, invocation: Invocation) -> None:
        id, ledger = invocation.id, self._kernel.ledger
        keyed = invocation.request.kind is not Kind.SERVICE
        needs: tuple[Needed, ...] = (id, instance_id(invocation.request.target)) if keyed else (id,)
        async with self._kernel.residency.hold(lambda: needs):
            while steps := self._unended.get(id):
                await asyncio.wait(steps)  # of an attempt that was paused: no step may run twice at once
            resident = ledger.find(id)
            if resident is None:
                return  # it cannot be read
            if resident.invocation.status is not Status.RUNNING or id in self.attempts or self._closed:
                return
            instance = ledger.instance_of(resident.invocation) if keyed else None
            attempt = self.attempts[id] = self._make_attempt(self, resident, instance)
            self._starting -= {asyncio.current_task()}
            with suppress(EngineStoppedError):  # its row says running: the next engine goes on with it
                await self._drive(attempt)

    async def _drive(self, attempt: Attempt) -> None:
        request = attempt.resident.invocation.request
        runnable = self._runnables.get((request.target.service, request.target.handler))
        if runnable is None:
            return self._pause_unknown(attempt)
        try:
            outcome: Outcome = Success(await attempt.drive(runnable.invoke(attempt, request.payload)))
        except BaseException as error:
            if attempt.closed:
                return None  # the end of the attempt, however it left the handler: in a group, say
            if not isinstance(error, TerminalError):
                return await self._failed(attempt, error)
            outcome = Failure.of(error)
        return await self._complete(attempt, outcome)

    async def _complete(self, attempt: Attempt, outcome: Outcome) -> None:
        def needs() -> Iterator[Needed]:
            return chain(self._staged_needs(attempt), lifecycle.complete_needs(self._kernel.ledger, attempt.resident))

        if not attempt.flushing.locked() and self._kernel.residency.has(needs()):
            return self._complete_now(attempt, outcome)
        async with attempt.flushing, self._kernel.residency.hold(needs):
            self._complete_now(attempt, outcome)
        return None

    def _complete_now(self, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.closed:
            return
        try:
            attempt.journal.finish()
        except Divergence as error:
            return self.diverged(attempt, attempt.mismatch(error, self._end_of(attempt, outcome)))
        self._decide_staged(attempt)
        if attempt.resident.invocation.status is Status.RUNNING:  # it may have killed or paused itself
            lifecycle.complete(self._kernel.ledger, attempt.resident, outcome, self.now_ms())
        attempt.cancel_steps()
        self._close(attempt)
        self._kernel.act()

    def _end_of(self, attempt: Attempt, outcome: Outcome) -> str:
        """Where a handler is that ended too early, and with what: nothing of it is on the stack any more."""
        target = attempt.resident.invocation.request.target
        end = "" if isinstance(outcome, Success) else f", which ended with {outcome.message}"
        return f"{self._runnables[target.service, target.handler].source}{end}"

    async def _failed(self, attempt: Attempt, error: BaseException) -> None:
        """This attempt is over; steps that have begun may end, and their results are kept."""
        if attempt.closed:
            return
        retry_after = wished_delay(error)
        attempt.close()
        id = attempt.resident.invocation.id
        self._kernel.residency.pin(id)
        try:
            others = [task for task in attempt.begun if task is not asyncio.current_task()]
            if others:
                report.failing(attempt.resident.invocation, error, len(others))
                await asyncio.wait(others)
            failed = Failed(Failure.raised(error), retry_after, self._chance(), attempt.cancellation_waits)
            await self._fail(attempt, failed, error)
        finally:
            self._kernel.residency.unpin(id)

    async def _fail(self, attempt: Attempt, failed: Failed, error: BaseException) -> None:
        ledger, resident = self._kernel.ledger, attempt.resident
        target = resident.invocation.request.target
        policy = self._runnables[target.service, target.handler].retry or self._options.retry
        async with self._kernel.residency.hold(lambda: lifecycle.complete_needs(ledger, resident)):
            if self.attempts.get(resident.invocation.id) is not attempt:
                return report.outrun(resident.invocation, error)
            self._close(attempt)
            gave_up = lifecycle.fail(ledger, resident, failed, policy, self.now_ms())
            report.failed(resident.invocation, error)
            if gave_up:
                outcome = lifecycle.CANCELLED if failed.cancelled else failed.failure
                lifecycle.complete(ledger, resident, outcome, self.now_ms())
            self._kernel.act()

    def _pause_unknown(self, attempt: Attempt) -> None:
        target = attempt.resident.invocation.request.target
        reason = f"there is no handler {target.service}/{target.handler} in this engine: add its service"
        self._pause(attempt, Failure(404, reason))

    def _pause(self, attempt: Attempt, failure: Failure) -> None:
        lifecycle.pause(self._kernel.ledger, attempt.resident, failure, self.now_ms())
        report.paused(attempt.resident.invocation)
        self._close(attempt)
        self._kernel.act()

    async def _perform(self, attempt: Attempt, command: e.Run, step: Step) -> None:
        """The body of a step, recorded when it ends. All that was decided before it is on the disk."""
        try:
            outcome = await step.outcome(attempt.resident.invocation, self._kernel.clock, self._chance)
        except BaseException as error:
            if is_cancelled(error):
                raise
            if not step.left:
                await self._failed(attempt, error)
            return
        # It has ended before anybody hears of it: the handler may wait again, and be suspended, at once.
        attempt.steps.discard(step)
        lifecycle.notify(self._kernel.ledger, attempt.resident, e.Completed(command.completion, outcome), self.now_ms())
        self._kernel.act()

    def _staged_needs(self, attempt: Attempt) -> Iterator[Needed]:
        for command in attempt.journal.staged:
            if type(command) in commands.ALONE:
                continue
            yield from commands.needs(self._kernel.ledger, attempt.resident, command)

    def _decide_staged(self, attempt: Attempt) -> None:
        staged, attempt.journal.staged = attempt.journal.staged, []
        now_ms = self.now_ms()
        for command in staged:
            if attempt.resident.invocation.status is Status.RUNNING:
                commands.apply(self._kernel.ledger, attempt.resident, command, now_ms)

    def _close(self, attempt: Attempt) -> None:
        id = attempt.resident.invocation.id
        attempt.close()
        self._parking.leave(id)
        if self.attempts.get(id) is attempt:
            del self.attempts[id]
            for task in attempt.begun:
                self._kernel.residency.pin(id)  # it may outlive its attempt
                self._unended.setdefault(id, set()).add(task)

    def _spawn(self, work: Coroutine[object, object, None], context: Context | None = None) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._starting.discard(task)
        self._check(task)

    def _check(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, DamagedError):
            log.critical("an invocation cannot be read, and is left alone: %s", error)
        elif error is not None:
            self._kernel.writer.fail(error)  # not a handler's error, but the engine's own

    async def _drop(self, tasks: set[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)
