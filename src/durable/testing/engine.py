"""An engine in memory, for the tests of those who write services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count

import msgspec

from durable.audit import Audit
from durable.engine import Engine
from durable.errors import EngineStoppedError
from durable.futures import check_duration
from durable.options import Options
from durable.runtime.attempt import Attempt
from durable.runtime.steps import Step
from durable.service import AnyService, VirtualObject
from durable.store import Store
from durable.store.memory import MemoryDisk
from durable.testing.audit import audit_disk
from durable.testing.clock import TestClock
from durable.testing.crash import Crashed, CrashingStore
from durable.testing.faults import Faults
from durable.testing.freeze import FREEZE, Freezer, check_held, new_step, submit
from durable.testing.hops import Hops
from durable.testing.running import say_running


class TestEngine(Engine):
    """An engine in memory, with a clock that only the test moves.

    An engine that is opened ``after`` another has its disk and its clock: the two are one, before and after a restart.
    With ``crash_at`` it dies at that commit, counted from 1: before anything is written, or with ``written`` after it.
    From then on every call raises ``EngineStoppedError``.
    """

    __test__ = False  # pytest: not a test class

    def __init__(
        self,
        *services: AnyService,
        after: TestEngine | None = None,
        options: Options | None = None,
        crash_at: int | None = None,
        written: bool = False,
    ) -> None:
        options = options or Options()
        if options.strict is None:
            options = msgspec.structs.replace(options, strict=True)
        super().__init__(":memory:", *services, options=options)
        self.disk: MemoryDisk = after.disk if after else MemoryDisk()
        self.clock: TestClock = after.clock if after else TestClock()
        self._clock = self.clock
        self._chance = lambda: 0.0
        self._store = CrashingStore(self.disk, crash_at, written=written)
        self._make_store = self._open_store
        self.faults = Faults()
        """What goes wrong with its steps: nothing, unless it is told to."""
        self._on_step = self._prepare
        self._of_objects[FREEZE] = Freezer()

    @property
    def commits(self) -> int:
        """How many commits it made."""
        return self._store.commits

    async def audit(self) -> Audit:
        """What is not as it must be on its disk, or in its count of slots; also of one that has died, or is closed."""
        found = audit_disk(self.disk)
        slots = () if self._running is None or self.door.stopped else await self._running.auditor.slots()
        return msgspec.structs.replace(found, findings=(*found.findings, *slots))

    @property
    def hops(self) -> Hops:
        """What passes before each of its steps and commits: nothing, unless a model's check has drawn something."""
        return self._store.hops

    @hops.setter
    def hops(self, hops: Hops) -> None:
        self._store.hops = hops

    def _prepare(self, attempt: Attempt, step: Step) -> None:
        say_running(self.faults, attempt, step)
        step.action = self.hops.before(step.action)

    def _open_store(self) -> Store:
        return self._store

    @asynccontextmanager
    async def freeze(self, service: type[VirtualObject], key: str, /) -> AsyncGenerator[None]:
        """Keep a key busy meanwhile: its exclusive handlers wait. A crash lets go of it.

        A key that is busy already is refused.
        """
        name = service.__keywords__.name
        if name is None or name not in self.services:
            raise ValueError(f"{service.__name__} is none of this engine's services: {sorted(self.services)}")
        step = new_step()
        self.faults.hang(step)
        id = await submit(self.door, name, key, step)
        try:
            await self.settle()
            await check_held(self.door, id, f"the key {key!r} of {name}")
            yield
        finally:
            self.faults.release(step)
            await self.settle()

    async def settle(self) -> None:
        """Run until nothing can move without the outside or the clock.

        :class:`EngineStoppedError` if the engine has stopped by itself, and no test wanted it: nothing would ever move.
        """
        quiet = 0
        for turn in count():
            # Most turns are the loop's own; after many, something real (a thread, a socket) is being waited for.
            await asyncio.sleep(0 if turn < 1000 else 0.001)
            quiet = quiet + 1 if self.idle else 0
            if quiet == 3:
                return self._check_alive()

    def _check_alive(self) -> None:
        stopped = None if self._running is None else self.door.stopped
        if stopped is not None and not isinstance(stopped, Crashed | EngineStoppedError):
            raise EngineStoppedError(f"the engine has stopped: {stopped!r}") from stopped

    async def skip(self, duration: timedelta, /) -> None:
        """Move the clock, firing every timer on the way, in order."""
        check_duration(duration, "what is skipped")
        until_ms = self.clock.now_ms() + round(duration.total_seconds() * 1000)
        await self.settle()
        while (due_ms := self.clock.next_ms()) is not None and due_ms <= until_ms:
            self.clock.move_to(due_ms)
            await self.settle()
        self.clock.move_to(until_ms)
        await self.settle()
