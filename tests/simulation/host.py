"""Keeps an engine running: opens it, lets it die as the scenario says, and opens the next one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

from durable.core.ids import read_invocation
from durable.core.invocation import Timer
from durable.engine import Engine
from durable.options import Options
from tests.simulation.audit import audit
from tests.simulation.loop import Process
from tests.simulation.scenario import TIMED_FAULTS, Fault
from tests.simulation.services import SERVICES
from tests.simulation.store import FaultyStore, InjectedError
from tests.simulation.world import SimulatedClock, World

PUNCTUAL_S = 1.05
"""By when a timer fires: a step of the clock is seen within a second."""


class SimulatedEngine(Engine):
    def __init__(self, world: World, process: Process) -> None:
        options = Options(
            inactivity=timedelta(milliseconds=world.scenario.inactivity_ms),
            resident=world.scenario.resident,
            audit=timedelta(0),  # it would need a thread
            limits=world.scenario.limits.declared(process.number),
        )
        services = (each(world) for each in SERVICES)
        super().__init__(":memory:", *services, options=options)
        self._declared = [bell.declared() for bell in world.scenario.bells.declared]
        self._clock = SimulatedClock(world, process)
        world.is_attempted = self._is_attempted
        world.open(options.limits, self._clock.now_ms())
        self.store = FaultyStore(world, process, self._clock)
        self._make_store = lambda: self.store
        self._chance = world.chance("jitter").random
        self._entropy = world.chance("ids").randbytes

    def _is_attempted(self, id: str) -> bool:
        return self._running is not None and read_invocation(id) in self._running.invoker.attempts

    async def kill(self, process: Process) -> None:
        """Let nothing of it go on, as after a crash."""
        process.mark_dead()
        if self._running is not None:
            self._running.kernel.writer.fail(InjectedError("killed"))
        await process.end()
        await self.store.kill()


def imbalance(engine: Engine) -> list[str]:
    """Where the slots that are counted are not those of who runs or holds."""
    return [f"slots: {finding}" for finding in engine._open.auditor.imbalance()]


class Host:
    def __init__(self, world: World) -> None:
        self.world = world
        self._up = asyncio.Event()
        self._process: Process | None = None
        self._engine: SimulatedEngine | None = None
        self._restart = asyncio.Event()
        self._late: dict[Timer, float] = {}
        """What could have fired, since when."""
        self.closing = False

    async def running(self) -> tuple[Process, Engine]:
        while True:
            await self._up.wait()
            assert self._process is not None
            assert self._engine is not None
            if not self._process.dead:
                return self._process, self._engine
            await asyncio.sleep(0.01)

    async def run(self) -> None:
        number = 0
        while not self.closing:
            number += 1
            await self._live(Process(number))
            audit(self.world)
            await asyncio.sleep(self.world.chance("downtime").choice((0, 0.01, 1)))

    async def _live(self, process: Process) -> None:
        self.world.note("open", process.number)
        engine = SimulatedEngine(self.world, process)
        self._process, self._engine = process, engine
        opening = process.begin(engine.__aenter__())
        await asyncio.wait({opening, process.death}, return_when=asyncio.FIRST_COMPLETED)
        watching = process.begin(self._watch(engine, process))
        if not process.dead and (error := opening.exception()) is not None:
            self._check_injected(error, "it did not open")
        elif not process.dead:
            for wrong in imbalance(engine):
                self.world.violated(wrong)
            self._up.set()
            restarting = asyncio.ensure_future(self._restart.wait())
            await asyncio.wait({process.death, restarting}, return_when=asyncio.FIRST_COMPLETED)
            restarting.cancel()
        self._up.clear()
        self._late = {}
        watching.cancel()
        if not process.dead:
            await self._close(engine, process)
        self._restart.clear()
        await self._kill(engine, process)

    async def _close(self, engine: SimulatedEngine, process: Process) -> None:
        self.world.note("close")
        self.world.counts["restarts"] += 1
        closing = process.begin(engine.__aexit__())
        await asyncio.wait({closing, process.death}, return_when=asyncio.FIRST_COMPLETED)
        if closing.done() and (error := closing.exception()) is not None:
            self.world.note("close failed", type(error).__name__)

    async def _kill(self, engine: SimulatedEngine, process: Process) -> None:
        if process.dead:
            self.world.counts["crashes"] += 1
        self.world.note("dead", process.number)
        await engine.kill(process)

    async def _watch(self, engine: SimulatedEngine, process: Process) -> None:
        """An engine that stopped is opened again; it may stop only for what was done to it."""
        pause = 0.005
        while True:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1)
            with suppress(Exception):
                if (stopped := engine.door.stopped) is not None:
                    self._check_injected(stopped, "the engine stopped by itself")
                    return process.mark_dead()
            if self._up.is_set():
                self._check_timers(engine)

    def _check_timers(self, engine: SimulatedEngine) -> None:
        """What is due fires soon, also after the clock stepped forward, if the engine is at leisure and can write."""
        disk, writer, now = self.world.disk, engine._open.kernel.writer, asyncio.get_running_loop().time()
        at_leisure = writer.idle and writer.full is None and not engine._open.timekeeper.errand.busy
        due = [timer for timer in disk.timers | disk.due() if timer.due_ms <= engine._clock.now_ms() and at_leisure]
        self._late = {timer: self._late.get(timer, now) for timer in due}
        for timer, since in self._late.items():
            if now - since > PUNCTUAL_S:
                self.world.violated(f"a timer of number {timer.n} did not fire, and could for {now - since:.1f} s")

    def _check_injected(self, error: BaseException, what: str) -> None:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, InjectedError):
            cause = cause.__cause__
        if cause is None:
            self.world.violated(f"{what}: {error!r}")

    async def trouble(self) -> None:
        """Faults that come by the clock."""
        timed = sorted((each for each in self.world.scenario.faults if each.kind in TIMED_FAULTS), key=_at)
        for fault in timed:
            await asyncio.sleep(max(fault.at / 1000 - asyncio.get_running_loop().time(), 0))
            self.world.note(fault.kind, fault.by)
            if fault.kind == "jump":
                self.world.jump(fault.by)
            elif fault.kind == "restart":
                self._restart.set()
            elif self._process is not None:
                self._process.mark_dead()
        await asyncio.sleep(60)
        self.world.catch_up()

    def shut(self) -> None:
        self.closing = True
        self._restart.set()


def _at(fault: Fault) -> int:
    return fault.at
