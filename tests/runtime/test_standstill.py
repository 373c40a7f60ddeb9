"""The engine's audit of what its file alone does not tell: lanes that let nobody in, schedules that do not start."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from durable import Context, Engine, Limit, ObjectContext, Options, Rate, Service, Timetable, VirtualObject, handler
from durable.audit import Audit, Finding
from durable.service import AnyService
from durable.store import Store
from durable.store.sqlite import SQLiteStore
from durable.testing import TestEngine

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


class Work(Service, limit="tenant"):
    @handler
    async def do(self, ctx: Context, ms: int) -> int:
        await ctx.sleep(timedelta(milliseconds=ms))
        return ms

    @handler
    async def ask(self, ctx: Context) -> str:
        return await ctx.signal("done", str)


class Desk(VirtualObject):
    @handler
    async def do(self, ctx: ObjectContext, ms: int) -> int:
        await ctx.sleep(timedelta(milliseconds=ms))
        return ms


class Filed(TestEngine):
    """The store of production, and the clock of a test."""

    def __init__(self, path: Path, *limits: Limit, after: TestEngine | None = None) -> None:
        services: tuple[AnyService, ...] = () if after else (Work(),)
        super().__init__(*services, after=after, options=Options(limits=limits))
        self._path = path

    def _open_store(self) -> Store:
        return SQLiteStore(self._path)

    async def audit(self) -> Audit:
        return await Engine.audit(self)

    def found(self) -> tuple[Finding, ...]:
        assert self.last_audit is not None
        return self.last_audit.findings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


ONE = Limit("service/Work", concurrency=1, hold=True)


async def test_a_lane_that_is_free_and_that_nobody_lets_in_from_is_a_finding(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Filed(path, ONE) as engine:
        await engine.send(Work.do, 1_000)
        waits = await engine.send(Work.do, 1_000)
        await engine.settle()
        monkeypatch.setattr(engine._open.gatekeeper.errand, "begin", lambda: None)  # its wake-up is lost

        await engine.skip(3 * HOUR)

        (finding,) = engine.found()
        assert (finding.invariant, finding.subject) == ("I9", waits.id)
        assert "no limit holds back the 1 of its lane 's0 Work/do tenant '" in finding.explanation


async def test_a_gatekeeper_that_hangs_is_a_finding(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Filed(path, ONE) as engine:
        await engine.send(Work.do, 1_000)
        waits = await engine.send(Work.do, 1_000)
        await engine.settle()
        monkeypatch.setattr(engine._open.gatekeeper, "_admit", lambda page: asyncio.Event().wait())
        monkeypatch.setattr(type(engine._open), "idle", property(lambda self: not self.auditor.errand.busy))

        await engine.skip(3 * HOUR)

        assert [(finding.invariant, finding.subject) for finding in engine.found()] == [("I9", waits.id)]


async def test_whoever_waits_and_is_not_counted_is_a_finding(path: Path) -> None:
    async with Filed(path, ONE) as engine:
        for _ in range(3):
            await engine.send(Work.ask)
        await engine.settle()
        (lane,) = (lane for lane in engine._open.kernel.ledger.admission.lanes.values() if lane.waiting)
        lane.waiting -= 1

        (finding,) = (await engine.audit()).findings

        assert (finding.invariant, finding.subject) == ("I9", "limits")
        assert "counts 1 ready and 0 pending, and the file has 2 and 0" in finding.explanation


async def test_a_lane_that_was_forgotten_is_a_finding(path: Path) -> None:
    async with Filed(path, ONE) as engine:
        for _ in range(3):
            await engine.send(Work.ask)
        await engine.settle()
        engine._open.kernel.ledger.admission.lanes.clear()

        (finding,) = (await engine.audit()).findings

        assert "counts 0 ready and 0 pending, and the file has 2 and 0" in finding.explanation


async def test_whoever_waits_for_hours_because_a_limit_says_so_is_no_finding(path: Path) -> None:
    daily = Limit("limit/tenant", rate=Rate(1, timedelta(days=1)))
    async with Filed(path, ONE, daily) as engine:
        for _ in range(2):
            await engine.send(Work.ask)
            await engine.send(Work.do.options(limit_key="acme"), 1_000)

        await engine.skip(3 * HOUR)

        assert engine.found() == ()


async def test_a_schedule_that_does_not_start_is_a_finding(path: Path) -> None:
    async with Filed(path) as engine:
        await engine.schedules.create("hourly", Timetable("0 * * * *"), Work.do, 1)
        await engine.schedules.create("paused", Timetable("0 * * * *"), Work.do, 1)
        await engine.schedules.pause("paused")
        await engine.settle()
        engine._open.scheduler.errand.begin_at(None)  # its alarm is lost

        await engine.skip(timedelta(hours=3, minutes=30))

        (finding,) = engine.found()
        assert (finding.invariant, finding.subject) == ("I9", "schedule 'hourly'")
        assert "its next run was due at 2026-01-01T01:00:00.000Z" in finding.explanation


async def test_a_schedule_whose_handler_is_gone_is_no_finding(path: Path) -> None:
    async with Filed(path) as engine:
        await engine.schedules.create("hourly", Timetable("0 * * * *"), Work.do, 1)
    async with Filed(path, after=engine) as engine:  # without the service
        await engine.skip(4 * HOUR)

        assert engine.found() == ()


async def test_audits_of_lanes_that_come_and_go_find_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable.runtime.standstill.LATE_MS", 500)
    chance = random.Random(7)
    limits = (
        Limit("engine", concurrency=6),
        Limit("limit/tenant/*", concurrency=1),
        Limit("key/Desk/*", concurrency=1),
    )
    async with Engine(path, Work(), Desk(), options=Options(inactivity=timedelta(0), limits=limits)) as engine:
        audited, done = asyncio.Event(), count()

        async def work(n: int) -> None:
            while not audited.is_set():
                tenant = Work.do.options(limit_key=f"t{n % 7}", priority=n % 3)
                asked = engine.call(tenant, n % 4) if n % 2 else engine.call(Desk.do, f"{n % 5}", n % 3)
                await asked
                next(done)

        async def change() -> None:
            while not audited.is_set():
                await engine.limits.put(Limit("engine", concurrency=chance.randrange(1, 9)))
                await engine.limits.put(Limit("service/Work", rate=Rate(chance.randrange(100, 900), SECOND)))
                await asyncio.sleep(0.01)

        working = asyncio.gather(change(), *(work(n) for n in range(40)))
        auditor, found = engine._open.auditor, list[Finding]()
        for _ in range(100):
            found += await auditor._standstill.look(auditor._kernel.clock.now_ms(), None)
        audited.set()
        await working

        assert next(done) >= 100
        assert found == []
