"""Limits, schedules and suspects that a golden database holds: each counts as before, on a clock that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from durable import Engine, Invocation, Options
from durable.core import suspects
from durable.store import Store
from durable.store.sqlite import SQLiteStore
from durable.testing import TestEngine
from tests.golden.finish import LIMITS_SINCE
from tests.golden.make import HANGING, LIMITED, unpack
from tests.golden.services import FIRST_NIGHT, NIGHTLY, ONE_AN_HOUR, ONE_IS_SERVED, Desk, Outside, services
from tests.golden.test_golden import GOLDEN, each, version
from tests.store.files import execute

WITH_LIMITS = [archive for archive in GOLDEN if version(archive) >= LIMITS_SINCE]
MOMENT = timedelta(milliseconds=1)


class Kept(TestEngine):
    """On a file, whose last change was a moment ago."""

    def __init__(self, path: Path, outside: Outside) -> None:
        options = Options(inactivity=timedelta(0), grace=timedelta(0), audit=timedelta(0))
        super().__init__(*services(outside), options=options)
        self._path = path
        ((last_ms,),) = execute(path, "SELECT max(modified_ms) FROM invocation")
        self.clock.move_to(last_ms + 1)

    def _open_store(self) -> Store:
        return SQLiteStore(self._path)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)


@each(WITH_LIMITS)
async def test_a_schedule_is_there_and_runs_once_at_its_time(archive: Path, tmp_path: Path) -> None:
    outside = Outside(open=True)
    engine = Kept(unpack(archive, tmp_path), outside)
    engine.clock.move_to(round(FIRST_NIGHT.timestamp() * 1000) - 60_000)

    async with engine:
        [nightly] = await engine.schedules.all()
        assert (nightly.id, nightly.timetable, nightly.next_at, nightly.last_run) == (
            "nightly",
            NIGHTLY,
            FIRST_NIGHT,
            None,
        )
        await engine.skip(timedelta(minutes=1) - MOMENT)
        assert outside.asked.count("nightly") == 0
        await engine.skip(MOMENT)
        assert outside.asked.count("nightly") == 1
        [nightly] = await engine.schedules.all()
        assert (nightly.last_at, nightly.next_at) == (FIRST_NIGHT, FIRST_NIGHT + timedelta(days=1))
        await engine.skip(timedelta(hours=23))
        assert outside.asked.count("nightly") == 1


@each(WITH_LIMITS)
async def test_who_waits_for_a_slot_is_let_in_when_its_holder_ends(archive: Path, tmp_path: Path) -> None:
    async with Kept(unpack(archive, tmp_path), Outside(open=True)) as engine:
        assert engine.limits.all() == [ONE_AN_HOUR, ONE_IS_SERVED]
        holder, waiter = [await named(engine, name) for name in ("holder", "waiter")]
        third = await engine.send(Desk.serve, "third")
        await engine.settle()
        assert [await who.status() for who in (holder, waiter, third)] == ["suspended", "ready", "ready"]

        await holder.signal("served", "served")
        await engine.settle()

        assert [await who.status() for who in (holder, waiter, third)] == ["completed", "suspended", "ready"]
        [_, desk] = engine.limits.usage()
        assert (desk.path, desk.running, desk.waiting) == (ONE_IS_SERVED.pattern, 1, 1)


@each(WITH_LIMITS)
async def test_a_rate_lets_nobody_start_before_the_hour_is_over(archive: Path, tmp_path: Path) -> None:
    outside = Outside(open=True)

    async with Kept(unpack(archive, tmp_path), outside) as engine:
        [bell, _] = engine.limits.usage()
        assert bell.next_start is not None
        assert timedelta(minutes=59) < bell.next_start - engine.now < timedelta(hours=1)
        await engine.skip(bell.next_start - engine.now - MOMENT)
        assert (await (await named(engine, "to ring")).status(), "to ring" in outside.asked) == ("ready", False)
        await engine.skip(2 * MOMENT)
        assert outside.asked.count("to ring") == 1


async def named(engine: Engine, name: str) -> Invocation[Any]:
    return await engine.lookup(LIMITED[name].options(idempotency_key=name))


@each(WITH_LIMITS)
async def test_a_death_is_counted_on_top_of_those_before(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspects, "SHORTEST_MS", 1)
    path = unpack(archive, tmp_path)
    before = counts(path)
    execute(path, "UPDATE meta SET clean = 0")

    async with Kept(path, Outside(open=False)):
        pass

    assert [deaths for deaths, *_ in before.values()] == [1] * len(HANGING)
    assert counts(path) == {n: (2, *others) for n, (_, *others) in before.items()}


def counts(path: Path) -> dict[int, tuple[int, int, int]]:
    """Of each suspect, by number."""
    rows = execute(path, "SELECT n, deaths, alone, position FROM suspect")
    return {n: (deaths, alone, position) for n, deaths, alone, position in rows}
