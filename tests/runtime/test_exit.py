"""A process whose handlers refuse to end ends all the same."""

from __future__ import annotations

import subprocess
import sys

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
    async with TestEngine(Stubborn(), options=Options(inactivity=timedelta(0))) as engine:
        for _ in range(3):
            await engine.send(Stubborn.go)
        await engine.skip(timedelta(hours=3))


asyncio.run(main())
print("the end")
"""


def test_a_process_with_handlers_that_swallow_everything_ends() -> None:
    ended = subprocess.run([sys.executable, "-c", STUBBORN], capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "the end\n", "")
