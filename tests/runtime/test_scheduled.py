"""The runs of schedules among other calls: limits, singletons, cancellations, and who goes first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable import Context, Debounce, Limit, Saga, Service, TerminalError, Timetable, handler, schedule
from durable.testing import TestEngine

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class Jobs(Service):
    """Each takes as long as it is told, in seconds, and says so."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.log: list[str] = []
        self.interrupted = 0

    @handler(limit="tenant")
    async def metered(self, ctx: Context, seconds: int) -> None:
        await self._work(ctx, seconds)

    @handler(singleton="skip")
    async def skipping(self, ctx: Context, seconds: int) -> None:
        await self._work(ctx, seconds)

    @handler(singleton="cancel")
    async def cancelling(self, ctx: Context, seconds: int) -> None:
        await self._work(ctx, seconds)

    @handler(debounce=Debounce(MINUTE))
    async def debounced(self, ctx: Context, seconds: int) -> None:
        await self._work(ctx, seconds)

    @handler
    async def plain(self, ctx: Context, seconds: int) -> None:
        await self._work(ctx, seconds)

    @handler
    async def undoing(self, ctx: Context, seconds: int) -> None:
        """Takes that long, and as long again to be undone."""
        async with Saga() as saga:
            saga.undo(lambda: self._undo(ctx, seconds))
            await ctx.sleep(SECOND * seconds)

    async def _undo(self, ctx: Context, seconds: int) -> None:
        try:
            await ctx.sleep(SECOND * seconds)
        except TerminalError:
            self.interrupted += 1
        self.log.append("undone")

    async def _work(self, ctx: Context, seconds: int) -> None:
        time = datetime.fromisoformat(ctx.headers["x-schedule-time"])
        await ctx.run("begin", self._begin, time)
        try:
            await ctx.sleep(SECOND * seconds)
        except TerminalError:
            await ctx.run("cancelled", self.log.append, time.strftime("%H:%M cancelled"))
            raise
        await ctx.run("end", self._end)

    async def _begin(self, time: datetime) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        self.log.append(time.strftime("%H:%M"))

    async def _end(self) -> None:
        self.now -= 1


def every(length: timedelta, **keywords: Any) -> Timetable:
    return Timetable(every=length, **keywords)


async def test_runs_count_for_the_named_limit_of_their_handler() -> None:
    jobs = Jobs()
    async with TestEngine(jobs) as engine:
        await engine.limits.put(Limit("limit/tenant", concurrency=1, hold=True))
        for n in range(4):
            await engine.schedules.create(f"s{n}", every(HOUR), Jobs.metered, 5)

        await engine.skip(HOUR + MINUTE)

        assert len(jobs.log) == 4
        assert jobs.most == 1


async def test_a_schedule_has_a_limit_key_and_a_priority() -> None:
    jobs = Jobs()
    async with TestEngine(jobs) as engine:
        await engine.limits.put(Limit("limit/tenant/acme", concurrency=0))
        acme = Jobs.metered.options(limit_key="acme", priority=3)
        info = await engine.schedules.create("acme", every(HOUR), acme, 5)
        await engine.schedules.create("beta", every(HOUR), Jobs.metered.options(limit_key="beta"), 5)

        await engine.skip(HOUR + MINUTE)

        assert (info.limit_key, info.priority) == ("acme", 3)
        assert len(jobs.log) == 1
        [waiting] = [row for row in engine.disk.invocations.values() if row.outcome is None]
        assert (waiting.request.limit, waiting.request.priority) == ("tenant/acme", 3)


async def test_a_run_of_a_singleton_is_skipped_as_any_call_of_it() -> None:
    jobs = Jobs()
    async with TestEngine(jobs) as engine:
        await engine.schedules.create("it", every(MINUTE, overlap="allow"), Jobs.skipping, 150)
        await engine.skip(MINUTE)

        with pytest.raises(TerminalError, match="skipped: Jobs/skipping") as refused:
            await engine.schedules.trigger("it")

        assert refused.value.status == 409
        await engine.skip(MINUTE * 4)
        assert jobs.log == ["00:01", "00:04"]


async def test_a_run_of_a_singleton_that_cancels_takes_the_place_of_the_one_before() -> None:
    jobs = Jobs()
    async with TestEngine(jobs) as engine:
        await engine.schedules.create("it", every(MINUTE, overlap="allow"), Jobs.cancelling, 90)

        await engine.skip(MINUTE * 3)

        assert jobs.log == ["00:01", "00:01 cancelled", "00:02", "00:02 cancelled", "00:03"]


async def test_a_run_of_a_debounced_handler_waits_for_its_window() -> None:
    jobs = Jobs()
    async with TestEngine(jobs) as engine:
        await engine.schedules.create(
            "it", every(SECOND * 20, overlap="allow", end=NEW_YEAR + MINUTE * 2), Jobs.debounced, 0
        )

        await engine.skip(MINUTE * 10)

        assert jobs.log == ["00:01"]  # of 00:01:40, the last


async def test_a_run_that_is_cancelled_is_cancelled_once_however_long_its_undoing_takes() -> None:
    jobs = Jobs()
    async with TestEngine(jobs) as engine:
        await engine.schedules.create("it", every(MINUTE, overlap="cancel"), Jobs.undoing, 150)

        await engine.skip(HOUR)

        assert jobs.interrupted == 0
        assert len(jobs.log) > 15


@pytest.mark.parametrize(("overlap", "seconds"), [("skip", 25), ("cancel", 40)])
async def test_a_schedule_is_never_behind_by_more_than_a_run(overlap: Any, seconds: int) -> None:
    """However long a backfill of it is."""
    jobs = Jobs()
    async with TestEngine(jobs) as engine:
        await engine.schedules.create("it", every(MINUTE, overlap=overlap), Jobs.plain, seconds)
        await engine.schedules.backfill("it", NEW_YEAR - HOUR, NEW_YEAR)
        jobs.log.clear()

        await engine.skip(HOUR - SECOND)

        regular = [time for time in jobs.log if time.startswith("00:")]
        assert regular == [f"00:{minute:02}" for minute in range(1, 60)]
        assert "00:59 cancelled" not in jobs.log
        assert len(jobs.log) > len(regular)


class Ticking(Service):
    @schedule(every=HOUR)
    @handler
    async def tick(self, ctx: Context) -> None:
        pass


async def test_what_waits_of_a_declared_schedule_can_be_given_up() -> None:
    async with TestEngine(Ticking()) as engine:
        await engine.schedules.pause("Ticking.tick")
        await engine.schedules.backfill("Ticking.tick", NEW_YEAR - timedelta(days=20_000), NEW_YEAR)

        given_up = await engine.schedules.give_up("Ticking.tick")

        assert not given_up.waiting
        await engine.schedules.resume("Ticking.tick")
        await engine.skip(HOUR)
        assert len(engine.disk.invocations) == 1


@pytest.mark.parametrize("start", [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC)])
async def test_a_backfill_of_times_before_there_were_clocks_is_refused(start: datetime) -> None:
    async with TestEngine(Ticking()) as engine:
        with pytest.raises(ValueError, match="a backfill begins in 1970 at the earliest"):
            await engine.schedules.backfill("Ticking.tick", start, NEW_YEAR)
