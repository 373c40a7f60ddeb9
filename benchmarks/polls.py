"""What ten thousand polls of one ``ctx.wait_until`` leave behind, and what a replay of them takes.

``python -m benchmarks.polls``
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.growth.crowd import resident_bytes, until
from durable import Context, Engine, Options, Service, handler

POLLS = 10_000
OPTIONS = Options(durability="process")


class Poller(Service):
    def __init__(self) -> None:
        self.asked = 0

    @handler
    async def wait(self, ctx: Context) -> bool:
        return await ctx.wait_until("never", self.never, every=timedelta(milliseconds=1), timeout=timedelta(hours=1))

    async def never(self) -> bool:
        self.asked += 1
        return False


async def measure(directory: Path) -> None:
    first, second, database = Poller(), Poller(), directory / "polls.db"
    async with Engine(database, first, options=OPTIONS) as engine:
        before, began = resident_bytes(), time.perf_counter()
        await engine.send(Poller.wait)
        await until(lambda: first.asked >= POLLS)
        print(f"{1e3 * (time.perf_counter() - began) / POLLS:.1f} ms a poll of 1 ms")
        print(f"{(resident_bytes() - before) / 1e6:.1f} MB in memory")
    print(f"{database.stat().st_size / 1e6:.1f} MB in the file")
    began = time.perf_counter()
    async with Engine(database, second, options=OPTIONS):
        await until(lambda: second.asked > 0)
        print(f"{1e3 * (time.perf_counter() - began):.0f} ms to open it, and to replay them up to the next poll")


if __name__ == "__main__":
    with TemporaryDirectory(dir=Path.cwd()) as directory:
        asyncio.run(measure(Path(directory)))
