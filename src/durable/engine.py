"""The composition root: services, a store and a clock become a running engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from os import PathLike
from random import random
from typing import ParamSpec, Self, TypeVar

from durable.audit import Audit
from durable.backup import backup
from durable.client import Client, Invocation
from durable.core.ids import write_invocation
from durable.core.invocation import Kind, derived_id
from durable.core.ledger import Resident
from durable.core.lifecycle import ALREADY_INVOKED
from durable.core.outcome import Failure
from durable.core.schedule import Definition
from durable.errors import EngineStoppedError
from durable.futures import check_duration
from durable.handlers import Handler, check_handler
from durable.limiting import Limits, declared_limits
from durable.misuse import check_engine
from durable.options import Options
from durable.runtime.attempt import Attempt
from durable.runtime.auditor import Auditor
from durable.runtime.beside import Beside
from durable.runtime.clock import Clock, SystemClock
from durable.runtime.gatekeeper import Gatekeeper
from durable.runtime.invoker import Invoker, Runnable
from durable.runtime.kernel import Kernel
from durable.runtime.outside import Outside
from durable.runtime.recovery import Recovery
from durable.runtime.requests import Submission
from durable.runtime.retention import Retention
from durable.runtime.schedule_verbs import ScheduleVerbs
from durable.runtime.scheduler import Scheduler
from durable.runtime.standstill import Standstill
from durable.runtime.steps import Step
from durable.runtime.supervisor import on_engine_stop
from durable.runtime.timekeeper import Timekeeper
from durable.runtime.watchdog import Watchdog
from durable.schedules import Schedules, definitions_of
from durable.service import AnyService
from durable.serving import OF_OBJECTS, Bound, bind, check_served, directory, runnables, serve, shown
from durable.store import Store
from durable.store.sqlite import SQLiteStore
from durable.threads import end_threads, keep_threads

T = TypeVar("T")
P = ParamSpec("P")


class Engine(Client):
    """Runs services over one SQLite file; open it with ``async with``.

    A second engine on the same file is refused. Every acknowledged call survives a crash and a power cut.
    """

    def __init__(self, database: str | PathLike[str], /, *services: AnyService, options: Options | None = None) -> None:
        check_engine(database, options)
        self._options = options = options or Options()
        self._make_store: Callable[[], Store] = lambda: SQLiteStore(database, options.durability)
        self._clock: Clock = SystemClock()
        self._chance: Callable[[], float] = random
        self._entropy: Callable[[int], bytes] = os.urandom
        self._bound = bind(services)
        self._of_objects = dict(OF_OBJECTS)
        self._declared = [each for bound in self._bound.values() for each in definitions_of(bound.handler)]
        self._on_step: Callable[[Attempt, Step], None] | None = None
        self._running: _Running | None = None

    async def __aenter__(self) -> Self:
        """Take the database, and go on with everything that was under way."""
        if self._running is not None:
            raise EngineStoppedError("this engine is open already; open another one instead")
        running = _Running(self._make_store(), self._clock, self._chance, self._bound, self._of_objects)
        await running.open(self._options, self._entropy)
        if self._on_step is not None:
            running.invoker.on_step = self._on_step
        try:
            await running.gatekeeper.open()  # before anybody can ask for anything
            self._running = running  # before recovery: a step that goes on may call its own engine
            await running.recover(self._declared)
        except BaseException:
            self._running = None
            await running.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.close()

    # -- Client

    async def call(self, handler: Handler[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        called = await self.door.call(_submission(handler, None, args, kwargs))
        if called.outcome is None:
            raise ALREADY_INVOKED.error()
        if isinstance(called.outcome, Failure):
            raise called.outcome.error()
        return handler.decode_output(called.outcome.value or b"")

    async def send(self, handler: Handler[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Invocation[T]:
        accepted = await self.door.submit(_submission(handler, None, args, kwargs))
        return Invocation(self.door, accepted.id, handler.decode_output)

    async def send_later(
        self, delay: timedelta, handler: Handler[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Invocation[T]:
        accepted = await self.door.submit(_submission(handler, delay, args, kwargs))
        return Invocation(self.door, accepted.id, handler.decode_output)

    async def lookup(self, handler: Handler[..., T], key: str | None = None, /) -> Invocation[T]:
        check_handler(handler)
        target = handler.named_target(key)
        workflow = handler.kind is Kind.WORKFLOW
        id = derived_id(target, handler.idempotency_key, handler.identity, workflow=workflow)
        assert id is not None  # or it would have no name
        return Invocation(self.door, write_invocation(id), handler.decode_output)

    @property
    def services(self) -> Mapping[str, type[AnyService]]:
        """What it serves, by name on the wire; also while it is not open."""
        return {service: type(bound.owner) for (service, _), bound in self._bound.items()}

    @property
    def door(self) -> Outside:
        """What an ingress stands on: requests as bytes."""
        return self._open.outside

    @property
    def schedules(self) -> Schedules:
        """What runs again and again: what ``@schedule`` declares, and what is created here."""
        return Schedules(self._open.schedules, self.door)

    @property
    def _open(self) -> _Running:
        if self._running is None:
            raise EngineStoppedError("the engine is not open; use it inside `async with engine:`")
        return self._running

    async def audit(self) -> Audit:
        """Look at every row of the database for what must never be; it is read beside the work, and not changed."""
        return await self._open.auditor.audit()

    async def backup(self, target: str | PathLike[str], /) -> Audit:
        """Copy the database to a file that is not there yet, beside the work, and return the audit of the copy."""
        return await self._open.beside.run(lambda path, rest: backup(path, target, rest=rest))

    @property
    def restored_at(self) -> datetime | None:
        """When this database was last made of a backup: what was done between that and then is not in it."""
        restored_ms = self._open.restored_ms
        return None if restored_ms is None else datetime.fromtimestamp(restored_ms / 1000, UTC)

    @property
    def limits(self) -> Limits:
        """What may run, start and wait, and how much does; while the engine is open."""
        return Limits(self._open.gatekeeper, self.door.check)

    @property
    def last_audit(self) -> Audit | None:
        """What the last audit found; ``None`` before the first."""
        return self._open.auditor.last

    @property
    def idle(self) -> bool:
        """Whether nothing can move without the outside or the clock."""
        return self._running is None or self._running.idle


class _Running:
    """An engine between open and close."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        chance: Callable[[], float],
        bound: Mapping[tuple[str, str], Bound],
        of_objects: Mapping[str, Runnable],
    ) -> None:
        self._store, self._clock, self._chance, self._bound, self._of_objects = store, clock, chance, bound, of_objects
        self._on_stop = on_engine_stop.get()

    async def open(self, options: Options, entropy: Callable[[int], bytes]) -> None:
        served = serve(self._bound, self._of_objects)
        check_served(options.limits, self._bound, served)
        declared = declared_limits((each.handler for each in self._bound.values()), options.limits)
        try:
            opened = await self._store.open()
            self.restored_ms = opened.restored_ms
            self.kernel = Kernel(self._store, self._clock, directory(served), opened, options.resident)
            self.invoker = Invoker(self.kernel, runnables(served), self._chance, options)
            self.invoker.entropy = entropy
            self.timekeeper = Timekeeper(self.kernel)
            self.gatekeeper = Gatekeeper(self.kernel, declared, self.invoker.suspend)
            self.kernel.on_room = self.gatekeeper.arm
            self.outside = Outside(self.kernel, self.invoker.new_id, shown(self._bound), version=options.version)
            self.kernel.on_start, self.kernel.on_wake = self.invoker.start, self.invoker.wake
            self.kernel.on_halt = self.invoker.halt
            self.scheduler = Scheduler(self.kernel, version=options.version)
            self.schedules = ScheduleVerbs(self.kernel, self.scheduler, self.outside.check, self._check_input)
            self.kernel.on_done, self.kernel.on_timer = self._done, self.timekeeper.arm
            self.kernel.on_stop, self.kernel.writer.on_full = self._stopped, self.outside.refuse
            self.recovery = Recovery(self.kernel, self.invoker, opened)
            self.retention = Retention(self.kernel, options.cleanup)
            path = self._store.path if isinstance(self._store, SQLiteStore) else None
            self.beside = Beside(self.kernel, path)
            standstill = Standstill(self.kernel, self.beside, self.gatekeeper, self.scheduler)
            self.auditor = Auditor(self.kernel, self.beside, standstill, options.audit, lambda: self.invoker.attempts)
            if path is not None:  # in memory, time is a test's
                self.outside.watchdog = Watchdog(lambda: self.invoker.attempts)
        except BaseException:
            await self._store.close()
            raise
        keep_threads()

    async def close(self) -> None:
        self.outside.stop(EngineStoppedError("it was closed"))
        if self.outside.watchdog is not None:
            self.outside.watchdog.close()
        try:
            await self.auditor.errand.close()
            await self.beside.close()
            await self.retention.errand.close()
            await self.recovery.errand.close()
            await self.scheduler.errand.close()
            await self.timekeeper.errand.close()
            await self.gatekeeper.errand.close()
            await self.invoker.close()
            await self.kernel.writer.close()
        finally:
            end_threads()
            await self._store.close()

    @property
    def idle(self) -> bool:
        moving = (
            self.invoker.busy
            or self.timekeeper.errand.busy
            or self.gatekeeper.errand.busy
            or self.scheduler.errand.busy
            or self.retention.errand.busy
            or self.auditor.errand.busy
            or self.recovery.errand.busy
            or self.kernel.residency.loading
        )
        return self.kernel.writer.idle and not moving

    async def recover(self, declared: Sequence[Definition]) -> None:
        """Start what was under way when the last engine ended, and what was due meanwhile."""
        await self.recovery.judge()
        await self.timekeeper.refill()
        await self.recovery.start()
        await self.scheduler.open(declared)
        self.timekeeper.arm()
        self.scheduler.arm()
        self.gatekeeper.start()
        self.retention.arm()
        self.auditor.arm()

    def _check_input(self, definition: Definition) -> None:
        target = definition.target
        bound = self._bound.get((target.service, target.handler))
        if bound is not None:  # or it is a handler of the engine's own
            bound.handler.check_input(definition.payload)

    def _done(self, resident: Resident, number: int) -> None:
        self.outside.done(resident, number)
        self.scheduler.done(resident.invocation.id)

    def _stopped(self, error: BaseException) -> None:
        self.outside.stop(error)
        self.invoker.stop()
        if self._on_stop is not None:
            self._on_stop(error)


def _submission(
    handler: Handler[..., object], delay: timedelta | None, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> Submission:
    check_handler(handler)
    if delay is not None:
        check_duration(delay, "the delay of send_later")
    outgoing = handler.outgoing(args, kwargs)
    return Submission(
        target=outgoing.target,
        payload=outgoing.payload,
        headers=outgoing.headers,
        identity=handler.identity,
        idempotency_key=outgoing.idempotency_key,
        delay=delay,
        limit_key=outgoing.limit_key,
        priority=outgoing.priority,
        attach=handler.attach,
    )
