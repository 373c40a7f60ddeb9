"""What a map takes: the time for each input, and memory above that of the engine before it.

``python -m benchmarks.fan_out 1000 10000 100000``: each in a process of its own, its file in the working directory.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.growth.crowd import resident_bytes
from benchmarks.process import memory
from durable import Context, Engine, Service, handler

CONCURRENCY = 100


class Numbers(Service):
    @handler
    async def double(self, ctx: Context, n: int) -> int:
        return 2 * n

    @handler
    async def all(self, ctx: Context, count: int) -> int:
        return sum(await ctx.map(Numbers.double, range(count), concurrency=CONCURRENCY))


async def measure(count: int, directory: Path) -> str:
    async with Engine(directory / "numbers.db", Numbers()) as engine:
        await engine.call(Numbers.all, CONCURRENCY)
        before, began = resident_bytes(), time.perf_counter()
        total = await engine.call(Numbers.all, count)
        seconds, peak = time.perf_counter() - began, memory()["VmHWM"] - before
    assert total == count * (count - 1)
    return f"{count:>9,} {seconds:>8.1f} {1e6 * seconds / count:>9.0f} {peak / 1e6:>8.1f} {peak / count:>10.0f}"


def main() -> None:
    counts = sys.argv[1:]
    if len(counts) == 1:
        with TemporaryDirectory(dir=Path.cwd()) as directory:
            print(asyncio.run(measure(int(counts[0]), Path(directory))))
        return
    print("   inputs  seconds  us/input  peak MB  bytes/input", flush=True)
    for count in counts:
        subprocess.run([sys.executable, "-m", "benchmarks.fan_out", count], check=True)


if __name__ == "__main__":
    main()
