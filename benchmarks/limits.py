"""What limits take: an engine with ten of them beside one with none, in turns, and a long line beside a short one.

``python -m benchmarks.limits``, or ``python -m benchmarks.limits line 1000 100000``: files in the working directory.
The second has so many wait, and says what each takes, and how long it takes to let one in.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.growth.crowd import resident_bytes, until
from benchmarks.services import text_step
from durable import Context, Engine, Limit, Options, Rate, Service, handler
from durable.handlers import ServiceHandler

CLIENTS = 128
CALLS = 3_000
ROUNDS = 7
TENANTS = 20
WIDE = 10_000
SECOND = timedelta(seconds=1)

TEN = (
    Limit("engine", concurrency=WIDE, queue=WIDE),
    Limit("service/*", concurrency=WIDE),
    Limit("service/Work", concurrency=WIDE, rate=Rate(10**6, SECOND, burst=10**6)),
    Limit("handler/Work/*", concurrency=WIDE),
    Limit("handler/Work/three", concurrency=WIDE, queue=WIDE),
    Limit("handler/Work/none", rate=Rate(10**6, SECOND, burst=10**6)),
    Limit("limit/tenant", concurrency=WIDE),
    Limit("limit/tenant/*", concurrency=WIDE),
    Limit("limit/tenant/t7", concurrency=WIDE, rate=Rate(10**6, SECOND, burst=10**6)),
    Limit("limit/tenant/*/*", concurrency=WIDE),
)
"""Wide enough to hold nobody back."""


class Work(Service, limit="tenant"):
    @handler
    async def none(self, ctx: Context, text: str) -> str:
        return text

    @handler
    async def three(self, ctx: Context, text: str) -> str:
        for name in ("first", "second", "third"):
            text = await ctx.run(name, text_step, text)
        return text


class Plain(Service, name="Work"):
    @handler
    async def none(self, ctx: Context, text: str) -> str:
        return text

    @handler
    async def three(self, ctx: Context, text: str) -> str:
        for name in ("first", "second", "third"):
            text = await ctx.run(name, text_step, text)
        return text


Call = Callable[[int], Awaitable[str]]


async def turn(engine: Engine, handlers: Sequence[ServiceHandler[Context, [str], str]], number: int) -> str:
    return await engine.call(handlers[number % len(handlers)], "x")


async def bear(call: Call) -> float:
    """Calls a second, of clients that each wait for an answer before they ask again."""
    numbers = iter(range(CALLS))

    async def client() -> None:
        for number in numbers:
            await call(number)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return CALLS / (time.perf_counter() - began)


async def compare(directory: Path) -> None:
    binding = (*TEN[1:], Limit("engine", concurrency=CLIENTS // 2))
    async with (
        Engine(directory / "none.db", Plain()) as without,
        Engine(directory / "ten.db", Work(), options=Options(limits=TEN)) as ten,
        Engine(directory / "binding.db", Work(), options=Options(limits=binding)) as half,
    ):
        for name, plain, limited in (("three", Plain.three, Work.three), ("none", Plain.none, Work.none)):
            keyed = [limited.options(limit_key=f"t{number}", priority=number % 3) for number in range(TENANTS)]
            calls: dict[str, Call] = {
                "without": partial(turn, without, [plain]),
                "ten": partial(turn, ten, keyed),
                "half may run": partial(turn, half, keyed),
            }
            rates: dict[str, list[float]] = {who: [] for who in calls}
            for _ in range(ROUNDS):
                for who, call in calls.items():
                    gc.collect()
                    rates[who].append(await bear(call))
            for who, found in rates.items():
                ratio = median(one / other for one, other in zip(found, rates["without"], strict=True))
                print(f"{name:>6} steps  {who:>12} {median(found):>8,.0f}/s  {ratio:.2f} of without", flush=True)


async def stand_in_line(count: int, directory: Path) -> str:
    closed, path = Limit("handler/Work/none", concurrency=0), directory / "line.db"
    async with Engine(path, Work(), options=Options(limits=(closed,))) as engine:
        before = resident_bytes()
        for start in range(0, count, 1000):
            await asyncio.gather(*(engine.send(Work.none, "x") for _ in range(start, min(start + 1000, count))))
        taken = resident_bytes() - before
    began = time.perf_counter()
    async with Engine(path, Work(), options=Options(limits=(closed,))) as engine:
        opened = time.perf_counter() - began
        sent = await engine.send(Work.none, "last")
        began = time.perf_counter()
        await engine.limits.put(Limit("handler/Work/none", concurrency=8))
        await until(lambda: all(each.waiting <= max(0, count - 1000) for each in engine.limits.usage()))
        let_in = time.perf_counter() - began
        await engine.limits.put(closed)
        assert await sent.status() in ("ready", "completed")
    return f"{count:>9,} {taken / count:>10.0f} {opened:>8.2f} {1e6 * let_in / min(count, 1000):>12.0f}"


def main() -> None:
    with TemporaryDirectory(dir=Path.cwd()) as name:
        directory, arguments = Path(name), sys.argv[1:]
        if arguments[:1] == ["alone"]:
            print(asyncio.run(stand_in_line(int(arguments[1]), directory)))
        elif arguments[:1] == ["line"]:
            print("  waiting  bytes each  open s  us to let in", flush=True)
            for count in arguments[1:]:
                subprocess.run([sys.executable, "-m", "benchmarks.limits", "alone", count], check=True)
        else:
            asyncio.run(compare(directory))


if __name__ == "__main__":
    main()
