"""A process whose handlers and steps refuse to end ends all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

STUBBORN = """
import asyncio
from datetime import timedelta

from durable import Context, Options, Service, handler
from durable.testing import TestEngine


class Stubborn(Service):
    @handler
    async def go(self, ctx: Context) -> None:
        while True:
            try:
                await ctx.sleep(timedelta(hours=1))
            except BaseException:
                pass


async def main() -> None:
    async with TestEngine(Stubborn(), options=Options(inactivity=timedelta(0), strict=False)) as engine:
        for _ in range(3):
            await engine.send(Stubborn.go)
        await engine.skip(timedelta(hours=3))


asyncio.run(main())
print("the end")
"""


def test_a_process_with_handlers_that_swallow_everything_ends() -> None:
    ended = subprocess.run([sys.executable, "-c", STUBBORN], capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "the end\n", "")


BLOCKED = """
import asyncio, sys, threading
from datetime import timedelta

from durable import Context, Engine, Options, Service, handler


class Blocked(Service):
    def __init__(self) -> None:
        self.began = asyncio.Event()

    @handler
    async def go(self, ctx: Context) -> None:
        await ctx.run("read", self.read, asyncio.get_running_loop())

    def read(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(self.began.set)
        threading.Event().wait()


async def main() -> None:
    blocked = Blocked()
    async with Engine(sys.argv[1], blocked, options=Options(grace=timedelta(0))) as engine:
        await engine.send(Blocked.go)
        await blocked.began.wait()


asyncio.run(main())
print("the end")
"""


def test_a_process_with_a_step_that_blocks_ends_and_names_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BLOCKED, str(tmp_path / "x.db")]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stdout) == (0, "the end\n")
    assert "step 'read' of Blocked.go runs longer than an engine that closes waits" in ended.stderr
