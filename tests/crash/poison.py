"""A process whose handler ends it, beside twenty that do their work: `python -m tests.crash.poison FILE KIND`.

It asks for the same again each time, as clients do, and prints what came of it if it lives that long.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

import msgspec

from durable import Context, Engine, Options, RetryPolicy, Service, handler

OTHERS = 20
MOMENT = timedelta(milliseconds=20)


class Said(msgspec.Struct, frozen=True):
    """What the last process found."""

    others: list[int]
    status: str
    why: str


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def exit_at_once() -> None:
    os._exit(1)


def segfault() -> None:
    ctypes.string_at(0)


def abort_in_a_child() -> None:
    if os.fork() == 0:
        os._exit(1)  # the child's own end is nobody's affair
    kill_itself()


def die_a_moment_later() -> None:
    time.sleep(1.2)
    kill_itself()


def take_all_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    taken: list[bytes] = []
    while True:
        taken.append(bytes(64 << 20))


def recurse() -> None:
    recurse()


def spin() -> None:
    """Until the kernel loses its patience, as a person would."""
    used = int(resource.getrusage(resource.RUSAGE_SELF).ru_utime)
    resource.setrlimit(resource.RLIMIT_CPU, (used + 2, used + 2))
    while True:
        pass


KINDS: Mapping[str, Callable[[], None]] = {
    "exit": exit_at_once,
    "kill": kill_itself,
    "segfault": segfault,
    "fork": abort_in_a_child,
    "late": die_a_moment_later,
    "memory": take_all_memory,
    "spin": spin,
    "recursion": recurse,
}


class Work(Service):
    @handler
    async def do(self, ctx: Context, number: int) -> int:
        await ctx.run("first", asyncio.sleep, MOMENT.total_seconds())
        await ctx.sleep(MOMENT)
        return await ctx.run("second", lambda: number)


class Poison(Service):
    @handler
    async def in_the_handler(self, ctx: Context, kind: str) -> None:
        await ctx.run("before", lambda: None)
        KINDS[kind]()

    @handler
    async def in_a_step(self, ctx: Context, kind: str) -> None:
        await ctx.run("deadly", KINDS[kind])

    @handler
    async def after_a_sleep(self, ctx: Context, kind: str) -> None:
        await ctx.sleep(MOMENT)
        KINDS[kind]()


async def run(path: str, where: str, kind: str) -> Said:
    options = Options(retry=RetryPolicy(max_attempts=3, exhausted="pause"))
    async with Engine(path, Work(), Poison(), options=options) as engine:
        die = {"handler": Poison.in_the_handler, "step": Poison.in_a_step, "sleep": Poison.after_a_sleep}[where]
        first = [await engine.send(Work.do.options(idempotency_key=str(n)), n) for n in range(OTHERS // 2)]
        poison = await engine.send(die.options(idempotency_key="poison"), kind)
        second = [await engine.send(Work.do.options(idempotency_key=str(n)), n) for n in range(OTHERS // 2, OTHERS)]
        others = [await each.result() for each in (*first, *second)]
        for _ in range(1000):
            if await poison.status() == "paused":
                break
            await asyncio.sleep(0.01)
        return Said(others, await poison.status(), str(await poison.why()))


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(run(*sys.argv[1:]))))
