"""A process that dies at every point that has a name: the next one finishes its day, and nobody sees a difference.

The figures of a long run are in docs/reliability.md, with its command.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from durable.runtime.writer import Writer
from durable.store.queries import QUERIES
from tests.crash.customers import WrongError
from tests.crash.day import live
from tests.crash.deaths import Days, die_everywhere
from tests.crash.nursery import Nursery
from tests.crash.points import Point, points


@pytest.mark.slow
def test_a_death_at_any_point_makes_no_difference(capsys: pytest.CaptureFixture[str]) -> None:
    met = die_everywhere()

    with capsys.disabled():
        print(f"\n{met.total()} deaths at {len(met)} points")
    assert {*met} == {*points()}
    assert len(met) >= 90


def live_early(directory: str, point: str = "", hit: str = "1") -> None:
    """Replies do not wait for the disk."""

    async def until(self: Writer, number: int, *, patient: bool = False) -> None:
        return None

    Writer.until = until  # type: ignore[method-assign]
    live(directory, point, hit)


@pytest.mark.slow
def test_a_reply_before_its_commit_is_found(tmp_path: Path) -> None:
    with Nursery("tests.crash.test_deaths:live_early", tmp_path / "log") as nursery:
        days, point = Days(tmp_path, nursery), Point(False, "durable.store.database:Database.commit")

        with pytest.raises(WrongError, match="was told to be accepted, and is None in the file"):
            any(not days.live("fresh", [(point, hit)]) for hit in range(1, 20))


def test_every_write_of_the_store_is_a_point() -> None:
    writes = {name for name, sql in QUERIES.items() if not sql.startswith("SELECT")}

    assert writes <= {point.what for point in points()}
