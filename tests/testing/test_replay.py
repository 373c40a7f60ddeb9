"""``replay_check``: recorded journals against today's code."""

from __future__ import annotations

import inspect
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from durable import Context, Engine, Service, handler
from durable.core.invocation import Invocation
from durable.errors import StoreError
from durable.store import rows
from durable.testing import ReplayDivergedError, TestEngine, recordings, replay_check


class Shop(Service):
    def __init__(self, ran: list[str]) -> None:
        self.ran = ran

    @handler
    async def buy(self, ctx: Context, order: str) -> str:
        await ctx.run("charge", self.ran.append, order)
        await ctx.run("ship", self.ran.append, order)
        return order


class Swapped(Service, name="Shop"):
    @handler
    async def buy(self, ctx: Context, order: str) -> str:
        await ctx.run("charge", print, order)
        await ctx.sleep(timedelta(days=1))
        return order


class Shortened(Service, name="Shop"):
    @handler
    async def buy(self, ctx: Context, order: str) -> str:
        await ctx.run("charge", print, order)
        return order


class Lengthened(Shop, name="Shop"):
    @handler
    async def buy(self, ctx: Context, order: str) -> str:
        await ctx.run("charge", self.ran.append, order)
        await ctx.run("ship", self.ran.append, order)
        await ctx.run("mail", self.ran.append, order)
        return order


class Renamed(Shop, name="Shop"):
    @handler
    async def buy(self, ctx: Context, order: str) -> str:
        await ctx.run("charge", self.ran.append, order)
        await ctx.run("ship", self.ran.append, order)
        return order.upper()


class Relabelled(Service, name="Shop"):
    @handler
    async def buy(self, ctx: Context, order: str) -> str:
        await ctx.run("pay", print, order)
        return order


async def recorded() -> TestEngine:
    async with TestEngine(Shop([])) as engine:
        await engine.call(Shop.buy, "o-1")
    return engine


async def test_the_same_code_fits_and_no_step_runs():
    ran: list[str] = []

    assert await replay_check(await recorded(), Shop(ran)) == 1
    assert ran == []


async def test_another_command_is_shown_beside_the_journal_with_its_line():
    lines, start = inspect.getsourcelines(Swapped)
    line = start + next(number for number, text in enumerate(lines) if "ctx.sleep" in text)

    with pytest.raises(ReplayDivergedError, match="diverges at journal entry 3") as caught:
        await replay_check(await recorded(), Swapped())

    (different,) = [row for row in str(caught.value).splitlines() if row.startswith("  !")]
    assert "Run(completion=2, name='ship')" in different
    assert "Sleep(completion=2)" in different
    assert different.endswith(f"{__file__}:{line}")


async def test_what_differs_of_the_same_command_is_shown_below_it():
    with pytest.raises(ReplayDivergedError) as caught:
        await replay_check(await recorded(), Relabelled())

    rows = str(caught.value).splitlines()
    below = rows[1 + next(number for number, row in enumerate(rows) if row.startswith("  !"))]
    assert below == "    differs in name"


@pytest.mark.parametrize(
    ("service", "why"),
    [
        (Shortened(), "before its journal ends"),
        (Lengthened([]), "goes on where its journal ends"),
        (Renamed([]), "the outcome was"),
    ],
)
async def test_code_that_ends_elsewhere_does_not_fit(service: Service, why: str):
    with pytest.raises(ReplayDivergedError, match=why):
        await replay_check(await recorded(), service)


async def test_what_is_under_way_is_walked_to_its_end():
    async with TestEngine(Swapped()) as engine:
        await engine.send(Swapped.buy, "o-1")
        await engine.settle()

        assert await replay_check(engine, Swapped()) == 1


class Post(Service):
    """Its journals hold the id of an awakeable, as an argument and as a result."""

    @handler
    async def ask(self, ctx: Context) -> str:
        answer = ctx.awakeable(str)
        return await ctx.call(Post.pass_on, answer.id) and await answer

    @handler
    async def pass_on(self, ctx: Context, id: str) -> str:
        ctx.resolve_awakeable(id, "yes")
        return id


async def test_the_ids_of_awakeables_are_those_of_the_engine_that_wrote_the_journal():
    async with TestEngine(Post()) as engine:
        assert await engine.call(Post.ask) == "yes"

    assert await replay_check(engine, Post()) == 2


async def test_the_ids_of_awakeables_are_those_of_the_file(tmp_path: Path):
    async with Engine(tmp_path / "prod.db", Post()) as engine:
        assert await engine.call(Post.ask) == "yes"

    assert await replay_check(tmp_path / "prod.db", Post()) == 2


async def test_a_file_is_read_and_left_as_it_is(tmp_path: Path):
    async with Engine(tmp_path / "prod.db", Shop([])) as engine:
        await engine.call(Shop.buy, "o-1")
    before = (tmp_path / "prod.db").read_bytes()

    assert await replay_check(tmp_path / "prod.db", Shop([])) == 1
    assert (tmp_path / "prod.db").read_bytes() == before


@pytest.mark.parametrize(
    ("pragma", "why"),
    [
        pytest.param("user_version=99", "schema version 99", id="newer"),
        pytest.param("application_id=7", "another program's database", id="foreign"),
    ],
)
async def test_a_file_of_another_kind_is_refused(tmp_path: Path, pragma: str, why: str):
    async with Engine(tmp_path / "prod.db", Shop([])) as engine:
        await engine.call(Shop.buy, "o-1")
    with closing(sqlite3.connect(tmp_path / "prod.db")) as connection:
        connection.execute(f"PRAGMA {pragma}")

    with pytest.raises(StoreError, match=why):
        await replay_check(tmp_path / "prod.db", Shop([]))


async def test_an_empty_file_is_refused(tmp_path: Path):
    (tmp_path / "prod.db").touch()

    with pytest.raises(StoreError, match="no engine has opened it yet"):
        await replay_check(tmp_path / "prod.db", Shop([]))


async def test_a_file_in_use_is_read_as_of_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is purged between two of its reads is still there."""
    read = rows.read_invocation
    async with Engine(tmp_path / "prod.db", Shop([])) as engine:
        for order in ("o-1", "o-2"):
            await engine.call(Shop.buy, order)

    def purge_meanwhile(row: rows.Row) -> Invocation:
        with closing(sqlite3.connect(tmp_path / "prod.db")) as connection, connection:
            connection.execute("DELETE FROM journal")
        return read(row)

    monkeypatch.setattr(rows, "read_invocation", purge_meanwhile)
    found = recordings(tmp_path / "prod.db")

    assert [bool(each.entries) for each in found] == [True, True]


async def test_a_handler_that_is_gone_is_named():
    with pytest.raises(ReplayDivergedError, match="there is no handler Shop/buy"):
        await replay_check(await recorded())
