"""Over HTTP: uvicorn in one process, the load from another."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.http_client import Pool
from benchmarks.http_server import DATABASE
from benchmarks.load import Load, Run, drive
from benchmarks.process import Process, free_ports, listening, started, wait_until
from benchmarks.rounds import Contestant, Measured, rounds
from benchmarks.scale import Scale
from benchmarks.services import TEXT
from benchmarks.table import cell, markdown

BODY = msgspec.json.encode(TEXT)
PATH = "/Steps/three"

CONCURRENCIES = 1, 64


class Stack(msgspec.Struct, frozen=True):
    """What uvicorn stands on."""

    http: str
    loop: str

    def __str__(self) -> str:
        return f"{self.http}, {self.loop}"


FAST = Stack("httptools", "uvloop")
"""What the extra ``server`` brings."""
PLAIN = Stack("h11", "asyncio")


class OverHttp(msgspec.Struct, frozen=True):
    loads: dict[int, dict[str, Measured]]
    """By concurrency and name."""


def measure(scale: Scale) -> OverHttp:
    contestants: dict[str, Contestant] = {}
    for stack in (FAST, PLAIN) if scale.plain_stack else (FAST,):
        contestants |= {
            f"three steps ({stack})": partial(three_steps_over_http, stack),
            f"echo without an engine ({stack})": partial(_served_load, stack, "echo"),
        }
    return OverHttp(
        {
            concurrency: rounds(contestants, Load(concurrency, scale.seconds, scale.warm_up), scale.rounds)
            for concurrency in CONCURRENCIES
        }
    )


def three_steps_over_http(stack: Stack, directory: Path, load: Load) -> Run:
    return _served_load(stack, "engine", directory, load)


def _served_load(stack: Stack, app: str, directory: Path, load: Load) -> Run:
    with served(stack, app, directory) as (port, process):
        return asyncio.run(ask(Pool(port, PATH, BODY), load, process.cpu_seconds))


@contextmanager
def served(stack: Stack, app: str, directory: Path) -> Generator[tuple[int, Process]]:
    """A factory of ``http_server.py`` behind uvicorn: its port and its process."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "--factory", f"benchmarks.http_server:{app}", "--port", str(port)]
    command += ["--http", stack.http, "--loop", stack.loop, "--no-access-log", "--log-level", "warning"]
    with started(command, directory / "server.log", {DATABASE: str(directory / "engine.db")}) as process:
        wait_until(lambda: listening(port), process)
        yield port, process


async def ask(pool: Pool, load: Load, cpu: Callable[[], float]) -> Run:
    try:
        return await drive(pool.ask, load, cpu)
    finally:
        pool.close()


def details(found: OverHttp) -> str:
    lines = [
        [
            name,
            str(concurrency),
            cell(each.rate, "{:,.0f}"),
            cell(each.p50_ms),
            cell(each.p99_ms),
            cell(each.cpu_us, "{:,.0f}"),
        ]
        for concurrency, load in found.loads.items()
        for name, each in load.items()
    ]
    return markdown(["over HTTP", "at a time", "per second", "p50 ms", "p99 ms", "CPU µs each, of the server"], lines)
