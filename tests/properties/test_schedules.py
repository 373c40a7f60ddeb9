"""Any mixture of clocks, crashes and people: each time runs once, and none is missed that all are caught up of."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from durable import Context, EngineStoppedError, Service, Timetable, handler
from durable.core import schedule
from durable.core.ids import write_invocation
from durable.core.schedule import Schedule
from durable.testing import TestEngine
from durable.testing.clock import EPOCH_MS
from durable.timetable import Overlap, to_ms
from tests.examples import examples

MINUTE = timedelta(minutes=1)
MINUTE_MS = 60_000
END = datetime(2026, 1, 1, 3, tzinfo=UTC)


class Reports(Service):
    """Watches from outside of the process which runs are under way."""

    def __init__(self, lasts: int) -> None:
        self.lasts = lasts
        self.under_way = set[str]()
        self.most = 0
        """How many runs for a time of the timetable were under way at once."""

    @handler(retention=timedelta(days=30))
    async def build(self, ctx: Context) -> None:
        id = ctx.invocation_id
        await ctx.run("begin", self._begin, id, ctx.headers["x-schedule-time"])
        if self.lasts:
            await ctx.sleep(MINUTE * self.lasts)
        await ctx.run("end", self._end, id)

    async def _end(self, id: str) -> None:
        self.under_way.discard(id)

    async def _begin(self, id: str, time: str) -> None:
        if id == write_invocation(schedule.run_id("it", to_ms(datetime.fromisoformat(time)))):
            self.under_way.add(id)
            self.most = max(self.most, len(self.under_way))


class Step(NamedTuple):
    verb: str
    minutes: int
    crash: int
    """At which commit from here, counted from 1, the engine dies; 0: it does not."""
    written: bool


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(["skip", "skip", "jump", "pause", "resume", "trigger", "backfill", "restart"]),
        st.integers(0, 40),
        st.sampled_from([0, 0, 1, 2, 3, 5]),
        st.booleans(),
    ),
    max_size=14,
)


class Story:
    """An engine and its successors, and what should have run."""

    def __init__(self, overlap: Overlap, every: int, lasts: int, jitter: int) -> None:
        self.timetable = Timetable(
            every=MINUTE * every, overlap=overlap, catch_up="all", jitter=MINUTE * jitter, end=END
        )
        self.reports = Reports(lasts)
        self.engine = TestEngine(self.reports)
        self.wanted = set[int]()
        self.triggered = set[str]()
        self.unsure = 0
        """Triggers that nobody knows the outcome of."""
        self.paused_ms: int | None = None
        self.since_ms = EPOCH_MS

    async def play(self, steps: list[Step]) -> None:
        await self.engine.__aenter__()
        await self.engine.schedules.create("it", self.timetable, Reports.build)
        for step in steps:
            store = self.engine._store
            store.crash_at, store.written = step.crash and store.commits + step.crash, step.written
            with suppress(EngineStoppedError):
                await self.do(step)
            if self.engine.door.stopped or step.verb == "restart":
                await self.reopen(step)
        self.engine._store.crash_at = None
        await self.end()

    async def do(self, step: Step) -> None:
        schedules, now_ms = self.engine.schedules, self.engine.clock.now_ms()
        match step.verb:
            case "skip":
                await self.engine.skip(MINUTE * step.minutes)
            case "jump":
                self.engine.clock.move_to(now_ms + step.minutes * MINUTE_MS)
                await self.engine.settle()
            case "pause":
                await schedules.pause("it")
                self.pause(now_ms)
            case "resume":
                await schedules.resume("it")
                self.resume(now_ms)
            case "trigger":
                self.unsure += 1
                self.triggered.add((await schedules.trigger("it")).id)
                self.unsure -= 1
            case "backfill":
                await self.backfill(step)
            case _:
                pass

    async def backfill(self, step: Step) -> None:
        now_ms = self.engine.clock.now_ms()
        start_ms = now_ms - step.minutes * MINUTE_MS - 1
        start, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (start_ms, now_ms))
        await self.engine.schedules.backfill("it", start, end)
        self.wanted |= self.between(to_ms(start) - 1, to_ms(end) - 1)

    async def reopen(self, step: Step) -> None:
        """As a process manager does, a while later; what was not answered is asked again, or looked up."""
        await self.engine.__aexit__(None, None, None)
        now_ms = self.engine.clock.now_ms()
        if step.verb == "restart":
            self.engine.clock.move_to(now_ms + step.minutes * MINUTE_MS)
        self.engine = TestEngine(self.reports, after=self.engine)
        await self.engine.__aenter__()
        paused = (await self.engine.schedules.get("it")).paused
        if step.verb == "pause" and paused:
            self.pause(now_ms)
        elif step.verb == "resume" and not paused:
            self.resume(now_ms)
        assert paused == (self.paused_ms is not None)
        if step.verb == "backfill":
            await self.backfill(step)

    def pause(self, now_ms: int) -> None:
        if self.paused_ms is None:
            self.paused_ms = now_ms
            self.wanted |= self.started_between(self.since_ms, now_ms)

    def resume(self, now_ms: int) -> None:
        if self.paused_ms is not None:
            self.paused_ms, self.since_ms = None, now_ms

    def between(self, after_ms: int, until_ms: int) -> set[int]:
        found, time_ms = set[int](), self.timetable.after(after_ms)
        while time_ms is not None and time_ms <= until_ms:
            found.add(time_ms)
            time_ms = self.timetable.after(time_ms)
        return found

    def started_between(self, after_ms: int, until_ms: int) -> set[int]:
        row = self.row()
        return {ms for ms in self.between(after_ms, until_ms) if schedule.starts_ms(row, ms) <= until_ms}

    def row(self) -> Schedule:
        return self.engine._open.scheduler.rows["it"]

    async def end(self) -> None:
        await self.engine.schedules.resume("it")
        self.resume(self.engine.clock.now_ms())
        self.wanted |= self.started_between(self.since_ms, to_ms(END) * 2)
        await self.engine.skip(timedelta(days=3))
        info = await self.engine.schedules.get("it")
        assert (info.waiting, info.under_way, info.next_at) == (False, (), None)
        assert (await self.engine.audit()).clean
        await self.engine.__aexit__(None, None, None)
        self.check()

    def check(self) -> None:
        rows = sorted(self.engine.disk.invocations.values(), key=lambda row: row.n)
        times = {row.id: to_ms(datetime.fromisoformat(row.request.headers["x-schedule-time"])) for row in rows}
        due = [time for id, time in times.items() if id == schedule.run_id("it", time)]
        triggered = {write_invocation(id) for id, time in times.items() if id == schedule.trigger_id("it", time)}
        assert len(due) + len(triggered) == len(rows)
        assert sorted(due) == sorted(self.wanted)
        assert self.triggered <= triggered
        assert len(triggered) <= len(self.triggered) + self.unsure
        if self.timetable.overlap != "allow":
            assert self.reports.most <= 1


@settings(max_examples=examples(60), deadline=None)
@given(
    st.sampled_from(["queue", "allow"]),
    st.sampled_from([3, 10, 25]),
    st.sampled_from([0, 4, 12]),
    st.sampled_from([0, 0, 5]),
    steps,
)
async def test_each_time_runs_once_whatever_happens(
    overlap: Overlap, every: int, lasts: int, jitter: int, steps: list[Step]
) -> None:
    await Story(overlap, every, lasts, jitter).play(steps)
