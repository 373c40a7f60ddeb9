"""A benchmark that cannot go on says so, and does not hang."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from benchmarks.ceiling import Ceiling
from benchmarks.http_client import HttpError, Pool
from benchmarks.results import Machine, Results, measure
from benchmarks.scale import TINY


async def test_a_ceiling_that_cannot_write_tells_its_workers() -> None:
    with ThreadPoolExecutor(1) as thread:
        ceiling = Ceiling(sqlite3.connect(":memory:", check_same_thread=False), thread)  # without tables
        writing = asyncio.ensure_future(ceiling.write())

        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError, match="no such table"):
                await asyncio.wait_for(ceiling.invoke(), 5)
        with pytest.raises(sqlite3.OperationalError):
            await writing


async def test_a_request_on_a_closed_connection_fails() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        connection = await Pool(server.sockets[0].getsockname()[1], "/", b"").connect()
        for _ in range(500):
            if not connection.closed:
                await asyncio.sleep(0.01)

        with pytest.raises(HttpError, match="was closed"):
            await asyncio.wait_for(connection.ask(b"anything"), 5)


@pytest.mark.parametrize("other", [{"processors": 1_000}, {"when": "2020-01-01 00:00 UTC"}])
def test_parts_of_two_machines_or_days_are_not_mixed(other: dict[str, Any]) -> None:
    elsewhere = msgspec.structs.replace(Machine.here(), **other)

    with pytest.raises(ValueError, match="measure all of them here"):
        measure(TINY, (), print, Results(machine=elsewhere))


def test_parts_of_one_day_are_put_together() -> None:
    before = msgspec.structs.replace(Machine.here(), when=f"{Machine.here().when[:10]} at dawn")

    assert measure(TINY, (), print, Results(machine=before)).machine.when != before.when
