"""Schedules of a running engine: when runs start, what overlaps, what is caught up, and what a crash changes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from durable import (
    Context,
    Engine,
    EngineStoppedError,
    Limit,
    ObjectContext,
    PayloadError,
    ScheduleNotFoundError,
    ScheduleStateError,
    Service,
    TerminalError,
    Timetable,
    VirtualObject,
    Workflow,
    WorkflowContext,
    handler,
    schedule,
)
from durable.audit import audit
from durable.core.invocation import Commit
from durable.errors import DamagedError
from durable.testing import Scene, TestEngine, crash_everywhere
from durable.timetable import CatchUp, Overlap
from tests.store.files import execute

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HOURLY = Timetable("0 * * * *")


class Reports(Service):
    """Writes down for which time it ran; with ``lasts`` a run takes so long."""

    def __init__(self, lasts: timedelta = timedelta(0)) -> None:
        self.lasts = lasts
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []

    @handler
    async def build(self, ctx: Context, region: str) -> str:
        time = ctx.headers["x-schedule-time"]
        await ctx.run("begin", lambda: self.begun.append(shown(time)))
        try:
            if self.lasts:
                await ctx.sleep(self.lasts)
        except TerminalError:
            await ctx.run("cancelled", lambda: self.cancelled.append(shown(time)))
            raise
        await ctx.run("end", lambda: self.ended.append(shown(time)))
        return region


def shown(time: str) -> str:
    return datetime.fromisoformat(time).strftime("%d %H:%M")


def moment(engine: TestEngine) -> str:
    return datetime.fromtimestamp(engine.clock.now_ms() / 1000, UTC).strftime("%d %H:%M")


async def after_downtime(engine: TestEngine, away: timedelta, *services: Any) -> TestEngine:
    engine.clock.move_to(engine.clock.now_ms() + round(away.total_seconds() * 1000))
    return TestEngine(*services, after=engine)


async def test_it_runs_at_each_of_its_times() -> None:
    reports = Reports()
    async with TestEngine(reports) as engine:
        await engine.schedules.create("hourly", HOURLY, Reports.build, "eu")

        await engine.skip(HOUR * 3)

        assert reports.begun == ["01 01:00", "01 02:00", "01 03:00"]


async def test_a_run_is_an_invocation_that_the_schedule_names() -> None:
    async with TestEngine(Reports()) as engine:
        await engine.schedules.create("hourly", HOURLY, Reports.build, "eu")
        await engine.skip(HOUR)

        info = await engine.schedules.get("hourly")

        assert info.last_at == NEW_YEAR + HOUR
        assert info.next_at == NEW_YEAR + HOUR * 2
        assert info.last_run is not None
        assert await engine.invocation(info.last_run).result() == "eu"


@pytest.mark.parametrize(
    ("overlap", "begun"),
    [
        ("skip", ["01 01:00", "01 04:00"]),
        ("queue", ["01 01:00", "01 02:00"]),
        ("cancel", ["01 01:00", "01 02:00", "01 03:00", "01 04:00"]),
        ("allow", ["01 01:00", "01 02:00", "01 03:00", "01 04:00"]),
    ],
)
async def test_what_happens_to_a_time_that_comes_while_a_run_is_under_way(overlap: Overlap, begun: list[str]) -> None:
    reports = Reports(lasts=HOUR * 2 + MINUTE)
    async with TestEngine(reports) as engine:
        await engine.schedules.create("hourly", Timetable("0 * * * *", overlap=overlap), Reports.build, "eu")

        await engine.skip(HOUR * 4)

        assert reports.begun == begun
        assert reports.cancelled == (begun[:-1] if overlap == "cancel" else [])


async def test_a_queue_runs_every_time_one_after_the_other() -> None:
    reports = Reports(lasts=HOUR * 2)
    async with TestEngine(reports) as engine:
        timetable = Timetable("0 * * * *", overlap="queue", end=NEW_YEAR + HOUR * 5)
        await engine.schedules.create("hourly", timetable, Reports.build, "eu")

        await engine.skip(HOUR * 4)
        assert (await engine.schedules.get("hourly")).waiting
        await engine.skip(HOUR * 10)

        assert reports.begun == reports.ended == ["01 01:00", "01 02:00", "01 03:00", "01 04:00"]
        assert not (await engine.schedules.get("hourly")).waiting


@pytest.mark.parametrize(
    ("catch_up", "window", "begun"),
    [
        ("none", None, []),
        ("one", None, ["01 05:00"]),
        ("one", MINUTE, []),
        ("all", None, ["01 01:00", "01 02:00", "01 03:00", "01 04:00", "01 05:00"]),
        ("all", HOUR * 2, ["01 04:00", "01 05:00"]),
    ],
)
async def test_what_passed_while_no_engine_was_there(
    catch_up: CatchUp, window: timedelta | None, begun: list[str]
) -> None:
    reports = Reports()
    async with TestEngine(reports) as engine:
        timetable = Timetable("0 * * * *", catch_up=catch_up, window=window)
        await engine.schedules.create("hourly", timetable, Reports.build, "eu")

    async with await after_downtime(engine, HOUR * 5 + MINUTE * 30, reports) as engine:
        await engine.settle()

        assert reports.begun == begun


async def test_a_restart_of_seconds_misses_nothing() -> None:
    reports = Reports()
    async with TestEngine(reports) as engine:
        timetable = Timetable("0 * * * *", catch_up="none")
        await engine.schedules.create("hourly", timetable, Reports.build, "eu")

    async with await after_downtime(engine, HOUR + timedelta(seconds=10), reports) as engine:
        await engine.settle()

        assert reports.begun == ["01 01:00"]


async def test_a_laptop_that_slept_for_a_week_runs_once() -> None:
    reports = Reports()
    async with TestEngine(reports) as engine:
        await engine.schedules.create("often", Timetable("*/5 * * * *"), Reports.build, "eu")

        engine.clock.move_to(engine.clock.now_ms() + 7 * 86_400_000)
        await engine.settle()

        assert reports.begun == ["08 00:00"]


async def test_a_paused_one_starts_nothing_and_goes_on_with_the_next_time() -> None:
    reports = Reports()
    async with TestEngine(reports) as engine:
        await engine.schedules.create("hourly", HOURLY, Reports.build, "eu")
        assert (await engine.schedules.pause("hourly")).next_at is None
        await engine.skip(HOUR * 3)
        assert reports.begun == []

        await engine.schedules.resume("hourly")
        await engine.skip(HOUR)

        assert reports.begun == ["01 04:00"]


async def test_a_pause_outlives_the_engine() -> None:
    reports = Reports()
    async with TestEngine(reports) as engine:
        await engine.schedules.create("hourly", HOURLY, Reports.build, "eu")
        await engine.schedules.pause("hourly")

    async with await after_downtime(engine, HOUR * 2, reports) as engine:
        await engine.skip(HOUR * 2)

        assert reports.begun == []


async def test_a_trigger_runs_it_now_also_if_it_is_paused() -> None:
    reports = Reports()
    async with TestEngine(reports) as engine:
        await engine.schedules.create("hourly", HOURLY, Reports.build, "eu")
        await engine.schedules.pause("hourly")

        first, second = await engine.schedules.trigger("hourly"), await engine.schedules.trigger("hourly")

        assert first.id != second.id
        assert [await first.result(), await second.result()] == ["eu", "eu"]
        assert reports.begun == ["01 00:00", "01 00:00"]


async def test_a_triggered_run_counts_as_under_way() -> None:
    reports = Reports(lasts=MINUTE * 90)
    async with TestEngine(reports) as engine:
        await engine.schedules.create("hourly", HOURLY, Reports.build, "eu")

        run = await engine.schedules.trigger("hourly")
        assert (await engine.schedules.get("hourly")).under_way == (run.id,)
        await engine.skip(HOUR * 2)

        assert reports.begun == ["01 00:00", "01 02:00"]


async def test_a_backfill_runs_what_was_not_run_one_after_the_other() -> None:
    reports = Reports(lasts=MINUTE)
    async with TestEngine(reports) as engine:
        await engine.schedules.create("hourly", HOURLY, Reports.build, "eu")
        await engine.skip(HOUR * 2 + MINUTE * 5)

        await engine.schedules.backfill("hourly", NEW_YEAR - HOUR * 2, NEW_YEAR + HOUR * 2 + MINUTE)
        await engine.skip(MINUTE * 5)

        assert reports.begun == ["01 01:00", "01 02:00", "31 22:00", "31 23:00", "01 00:00"]
        assert reports.begun == reports.ended


async def test_two_backfills_of_one_day_run_each_time_once() -> None:
    reports = Reports()
    async with TestEngine(reports) as engine:
        await engine.schedules.create("hourly", HOURLY, Reports.build, "eu")

        for _ in range(2):
            await engine.schedules.backfill("hourly", NEW_YEAR - HOUR * 3, NEW_YEAR - HOUR)
        await engine.settle()

        assert reports.begun == ["31 21:00", "31 22:00"]


async def test_a_backfill_of_what_has_not_come_is_refused() -> None:
    async with TestEngine(Reports()) as engine:
        await engine.schedules.create("hourly", HOURLY, Reports.build, "eu")

        with pytest.raises(ValueError, match="a backfill ends now at the latest"):
            await engine.schedules.backfill("hourly", NEW_YEAR, NEW_YEAR + HOUR)


async def test_a_backfill_is_from_a_datetime_to_a_datetime() -> None:
    text: Any = "2026-01-01"
    async with TestEngine(Reports()) as engine:
        await engine.schedules.create("hourly", HOURLY, Reports.build, "eu")

        with pytest.raises(
            TypeError, match=r"the start of a backfill is a datetime, got '2026-01-01'; write datetime\("
        ):
            await engine.schedules.backfill("hourly", text, NEW_YEAR)
        with pytest.raises(TypeError, match="the end of a backfill is a datetime"):
            await engine.schedules.backfill("hourly", NEW_YEAR - HOUR, text)


async def test_jitter_makes_it_late_by_the_same_each_time() -> None:
    async def starts() -> list[int]:
        async with TestEngine(Reports()) as engine:
            timetable = Timetable("0 * * * *", jitter=MINUTE * 10)
            await engine.schedules.create("hourly", timetable, Reports.build, "eu")
            found = list[int]()
            for _ in range(5):
                next_at = (await engine.schedules.get("hourly")).next_at
                assert next_at is not None
                found.append(round(next_at.timestamp()) % 3600)
                await engine.skip(HOUR)
            return found

    first = await starts()

    assert first == await starts()
    assert len(set(first)) > 1
    assert all(0 <= each < 600 for each in first)


async def test_a_deleted_one_is_gone_and_its_run_goes_on() -> None:
    reports = Reports(lasts=HOUR * 2)
    async with TestEngine(reports) as engine:
        await engine.schedules.create("hourly", HOURLY, Reports.build, "eu")
        await engine.skip(HOUR)

        await engine.schedules.delete("hourly")
        await engine.skip(HOUR * 5)

        assert reports.ended == ["01 01:00"]
        assert await engine.schedules.all() == []
        with pytest.raises(
            ScheduleNotFoundError, match=r"no schedule 'hourly'; `await engine\.schedules\.all\(\)`, over"
        ):
            await engine.schedules.get("hourly")


async def test_what_is_there_is_created_no_more_but_put() -> None:
    reports = Reports()
    async with TestEngine(reports) as engine:
        await engine.schedules.create("it", HOURLY, Reports.build, "eu")
        with pytest.raises(ScheduleStateError, match=r"already; put\(\) changes it"):
            await engine.schedules.create("it", HOURLY, Reports.build, "eu")

        await engine.schedules.put("it", Timetable("30 * * * *"), Reports.build, "us")
        await engine.skip(HOUR)

        assert reports.begun == ["01 00:30"]


async def test_an_input_that_the_handler_cannot_take_is_refused_when_it_is_written() -> None:
    async with TestEngine(Reports()) as engine:
        wrong: Any = 7
        await engine.schedules.create("it", HOURLY, Reports.build, "eu")

        for verb in (engine.schedules.create, engine.schedules.put):
            with pytest.raises(PayloadError, match=r"the input of Reports\.build does not decode: Expected `str`"):
                await verb("other", HOURLY, Reports.build, wrong)

        assert [each.id for each in await engine.schedules.all()] == ["it"]


class Shop(Service):
    def __init__(self) -> None:
        self.ran: list[str] = []

    @schedule("0 3 * * *", tz="Europe/Paris")
    @schedule(every=HOUR * 12, name="twice")
    @handler
    async def tidy(self, ctx: Context, deep: bool = True) -> None:
        await ctx.run("note", lambda: self.ran.append(f"{ctx.headers['x-schedule-id']} {deep}"))


async def test_a_decorated_handler_runs_by_itself() -> None:
    shop = Shop()
    async with TestEngine(shop) as engine:
        assert [(each.id, each.declared) for each in await engine.schedules.all()] == [
            ("Shop.tidy", True),
            ("Shop.tidy.twice", True),
        ]
        await engine.skip(HOUR * 12)

        assert shop.ran == ["Shop.tidy True", "Shop.tidy.twice True"]


def nightly(cron: str | None) -> Any:
    """The same service, as three versions of the code have it."""

    class Night(Service):
        ran: list[str]

        @handler
        async def tidy(self, ctx: Context) -> None:
            time = ctx.headers["x-schedule-time"]
            await ctx.run("note", lambda: self.ran.append(shown(time)))

    if cron is not None:

        class Night(Service):  # type: ignore[no-redef]
            ran: list[str]

            @schedule(cron)
            @handler
            async def tidy(self, ctx: Context) -> None:
                time = ctx.headers["x-schedule-time"]
                await ctx.run("note", lambda: self.ran.append(shown(time)))

    night = Night()
    night.ran = []
    return night


async def test_the_code_says_when_from_the_moment_it_is_opened_with() -> None:
    async with TestEngine(nightly("0 * * * *")) as engine:
        await engine.skip(HOUR)
    changed = nightly("30 * * * *")

    async with await after_downtime(engine, HOUR * 2 + MINUTE, changed) as engine:
        await engine.skip(HOUR)

        assert changed.ran == ["01 03:30"]


async def test_what_the_code_does_not_declare_any_more_is_gone() -> None:
    async with TestEngine(nightly("0 * * * *")) as engine:
        await engine.skip(HOUR)

    async with await after_downtime(engine, HOUR, nightly(None)) as engine:
        assert await engine.schedules.all() == []


async def test_one_that_is_declared_stays_paused_through_a_change_of_the_code() -> None:
    async with TestEngine(nightly("0 * * * *")) as engine:
        await engine.schedules.pause("Night.tidy")
    changed = nightly("30 * * * *")

    async with await after_downtime(engine, HOUR, changed) as engine:
        await engine.skip(HOUR * 2)

        assert changed.ran == []
        assert (await engine.schedules.get("Night.tidy")).paused


async def test_what_the_code_declares_is_changed_there_only() -> None:
    async with TestEngine(Shop()) as engine:
        with pytest.raises(ScheduleStateError, match="declared in the code; change it there, or pause it"):
            await engine.schedules.put("Shop.tidy", HOURLY, Shop.tidy)
        with pytest.raises(ScheduleStateError, match="declared in the code"):
            await engine.schedules.delete("Shop.tidy")


async def test_one_whose_handler_is_not_there_stands_still_until_it_is() -> None:
    reports = Reports()
    async with TestEngine(reports) as engine:
        await engine.schedules.create("hourly", HOURLY, Reports.build, "eu")

    async with await after_downtime(engine, HOUR, Shop()) as engine:
        info = await engine.schedules.get("hourly")
        await engine.skip(HOUR * 2)
        assert info.problem == "there is no handler Reports/build in this engine"

    async with await after_downtime(engine, MINUTE, reports) as engine:
        await engine.settle()
        assert reports.begun == ["01 03:00"]


async def test_one_that_names_a_key_waits_for_it_like_any_call() -> None:
    class Counter(VirtualObject):
        counted = 0

        @schedule(every=HOUR, key="visits")
        @handler
        async def count(self, ctx: ObjectContext) -> str:
            await ctx.run("count", self._count)
            return ctx.key

        def _count(self) -> None:
            self.counted += 1

    counter = Counter()
    async with TestEngine(counter) as engine:
        await engine.skip(HOUR * 2)
        last = (await engine.schedules.get("Counter.count")).last_run
        assert last is not None

        assert await engine.invocation(last).result() == "visits"
        assert counter.counted == 2


def test_the_run_of_a_workflow_cannot_be_scheduled() -> None:
    with pytest.raises(TypeError, match="the run of a workflow, of which there is one per key"):

        class Flow(Workflow):
            @schedule(every=HOUR, key="a")
            @handler
            async def run(self, ctx: WorkflowContext) -> None: ...


def test_the_decorator_goes_above_handler() -> None:
    with pytest.raises(TypeError, match="write it above @handler"):

        class Wrong(Service):
            @handler
            @schedule(every=HOUR)  # type: ignore[type-var]
            async def run(self, ctx: Context) -> None: ...


def test_a_handler_that_needs_an_input_is_scheduled_at_run_time() -> None:
    class Needy(Service):
        @schedule(every=HOUR)
        @handler
        async def run(self, ctx: Context, what: str) -> None: ...

    said = r"the schedule 'Needy.run' cannot call its handler: .*: 'what'; @schedule takes a key=; .*schedules\.put\("
    with pytest.raises(TypeError, match=said):
        TestEngine(Needy())


async def test_what_is_put_without_its_input_is_refused() -> None:
    async with TestEngine(Shop(), Reports()) as engine:
        with pytest.raises(TypeError, match=r"the schedule 'it' cannot call its handler: .* follow the handler"):
            await engine.schedules.put("it", HOURLY, Reports.build)  # type: ignore[call-arg]


class Mail(Service):
    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    @handler(retention=timedelta(days=30))
    async def send(self, ctx: Context) -> None:
        time = ctx.headers["x-schedule-time"]
        await ctx.run("send", self._send, time)
        await ctx.sleep(MINUTE * 50)  # into the next time

    async def _send(self, time: str) -> None:
        self.scene.effect("sent", time)


@pytest.mark.parametrize("overlap", ["queue", "cancel", "allow"])
async def test_a_crash_at_any_commit_loses_and_repeats_no_run(overlap: Overlap) -> None:
    timetable = Timetable("*/40 * * * *", overlap=overlap, catch_up="all", end=NEW_YEAR + HOUR * 3)

    async def scenario(scene: Scene) -> None:
        async with scene.engine(Mail(scene)) as engine:
            await engine.schedules.put("it", timetable, Mail.send)
            await engine.skip(HOUR * 8)

    assert await crash_everywhere(scenario) > 20


async def test_a_crash_after_a_backfill_was_asked_for_runs_all_of_it() -> None:
    reports = Reports()
    async with TestEngine(reports) as engine:
        await engine.schedules.create("hourly", HOURLY, Reports.build, "eu")
        engine._store.crash_at, engine._store.written = engine.commits + 1, True
        with pytest.raises(EngineStoppedError):
            await engine.schedules.backfill("hourly", NEW_YEAR - HOUR * 3, NEW_YEAR)

    async with await after_downtime(engine, MINUTE, reports) as engine:
        await engine.settle()

        assert reports.begun == ["31 21:00", "31 22:00", "31 23:00"]


async def test_a_run_and_its_schedules_row_are_one_commit() -> None:
    async with TestEngine(Reports()) as engine:
        await engine.schedules.create("hourly", HOURLY, Reports.build, "eu")
        commits = list[Commit]()
        write = engine.disk.write
        engine.disk.write = lambda commit: (commits.append(commit), write(commit))[1]  # type: ignore[method-assign]

        await engine.skip(HOUR)

        ((commit, row),) = [(each, each.schedules["hourly"]) for each in commits if each.schedules]
        assert row is not None
        assert [each.id for each in commit.accepted.values()] == [row.last and row.last.id]


async def test_schedules_outlive_a_file(tmp_path: Path) -> None:
    path, day = tmp_path / "db", timedelta(days=1)
    async with Engine(path, Shop()) as engine:
        await engine.schedules.create("it", Timetable(every=day, jitter=MINUTE, window=day), Shop.tidy, deep=False)
        await engine.schedules.pause("it")
        before = await engine.schedules.all()

    assert audit(path).clean
    async with Engine(path, Shop()) as engine:
        assert await engine.schedules.all() == before
        await (await engine.schedules.trigger("it")).result()
    assert audit(path).clean


async def test_a_damaged_one_is_left_alone_and_keeps_nobody_from_opening(tmp_path: Path) -> None:
    path = tmp_path / "db"
    async with Engine(path, Shop()) as engine:
        await engine.schedules.create("it", HOURLY, Shop.tidy)
    for id in ("it", "Shop.tidy"):
        execute(path, f"UPDATE schedule SET schedule = x'80' WHERE id = '{id}'")

    assert [finding.subject for finding in audit(path).findings] == ["schedule 'Shop.tidy'", "schedule 'it'"]
    async with Engine(path, Shop()) as engine:
        assert [each.id for each in await engine.schedules.all()] == ["Shop.tidy.twice"]
        with pytest.raises(DamagedError, match="schedule 'it' is not what was written"):
            await engine.schedules.put("it", HOURLY, Shop.tidy)
        await engine.schedules.delete("it")
        await engine.schedules.create("it", HOURLY, Shop.tidy)


async def test_a_schedule_of_what_is_not_served_is_refused() -> None:
    async with TestEngine(Shop()) as engine:
        with pytest.raises(TerminalError, match="there is no handler Reports/build"):
            await engine.schedules.create("it", HOURLY, Reports.build, "eu")


@pytest.mark.parametrize("id", ["", "a/b"])
async def test_an_id_that_no_path_can_hold_is_refused(id: str) -> None:
    async with TestEngine(Shop()) as engine:
        with pytest.raises(ValueError, match="is not empty, and has no slash"):
            await engine.schedules.create(id, HOURLY, Shop.tidy)


class Kept(VirtualObject):
    def __init__(self) -> None:
        self.ran: list[str] = []

    @schedule("0 * * * *", key="jane")
    @handler
    async def tick(self, ctx: ObjectContext) -> None:
        self.ran.append(shown(ctx.headers["x-schedule-time"]))


@pytest.mark.parametrize("runs", [0, 1, 2])
async def test_a_schedule_of_a_key_catches_up_when_nothing_of_it_is_in_memory(runs: int) -> None:
    kept = Kept()
    async with TestEngine(kept) as engine:
        await engine.skip(HOUR * runs)
    async with await after_downtime(engine, HOUR * 2 + MINUTE, kept) as engine:
        await engine.settle()
        await engine.skip(HOUR)
        assert kept.ran == [
            *(f"01 {hour:02}:00" for hour in range(1, runs + 1)),
            f"01 {runs + 2:02}:00",
            f"01 {runs + 3:02}:00",
        ]
        assert (await engine.audit()).clean


async def test_a_schedule_goes_on_after_a_run_that_left_no_record() -> None:
    kept = Kept()
    async with TestEngine(kept) as engine:
        await engine.limits.put(Limit("service/Kept", concurrency=0))
        await engine.skip(HOUR)
        (info,) = await engine.schedules.all()
        await engine.invocation(info.under_way[0]).cancel()  # before its start
        await engine.limits.remove("service/Kept")
    async with await after_downtime(engine, HOUR * 2, kept) as engine:
        await engine.skip(HOUR)
        assert kept.ran == ["01 03:00", "01 04:00"]


async def test_two_backfills_of_the_same_times_run_none_twice() -> None:
    kept = Kept()
    async with TestEngine(kept) as engine:
        (info,) = await engine.schedules.all()
        now = NEW_YEAR
        for first, last in ((10, 0), (12, 8), (10, 0)):
            await engine.schedules.backfill(info.id, now - HOUR * first, now - HOUR * last)
            await engine.settle()
        assert sorted(kept.ran) == sorted(set(kept.ran))
        assert len(kept.ran) == 12
        assert (await engine.audit()).clean


async def test_two_backfills_at_once_run_no_time_twice() -> None:
    """Of runs that have left memory the row must be read again."""
    quick = Quick()
    async with TestEngine(quick) as engine:
        await engine.schedules.create("hourly", HOURLY, Quick.run)
        for first, last in ((10, 0), (12, 8)):
            await engine.schedules.backfill("hourly", NEW_YEAR - HOUR * first, NEW_YEAR - HOUR * last)
        await engine.settle()
        assert sorted(quick.ran) == sorted(set(quick.ran))
        assert len(quick.ran) == 12


class Quick(Service):
    def __init__(self) -> None:
        self.ran: list[str] = []

    @handler
    async def run(self, ctx: Context) -> None:
        self.ran.append(shown(ctx.headers["x-schedule-time"]))
