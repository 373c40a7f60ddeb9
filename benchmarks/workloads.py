"""What the engine does in process: each workload over an empty file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.load import Load, Run, Work, drive
from benchmarks.rounds import Contestant
from benchmarks.services import TEXT, Caller, Counter, Steps
from durable import Engine


def three_steps(engine: Engine) -> Work:
    return lambda: engine.call(Steps.three, TEXT)


def no_steps(engine: Engine) -> Work:
    return lambda: engine.call(Steps.none, TEXT)


def call(engine: Engine) -> Work:
    return lambda: engine.call(Caller.call, TEXT)


def one_key(engine: Engine) -> Work:
    return lambda: engine.call(Counter.add, "key", 1)


def thousand_keys(engine: Engine) -> Work:
    turns = count()
    return lambda: engine.call(Counter.add, f"key-{next(turns) % 1000}", 1)


def on_engine(workload: Callable[[Engine], Work]) -> Contestant:
    return partial(_bear, workload)


def _bear(workload: Callable[[Engine], Work], directory: Path, load: Load) -> Run:
    async def bear() -> Run:
        async with Engine(directory / "engine.db", Steps(), Caller(), Counter()) as engine:
            return await drive(workload(engine), load)

    return asyncio.run(bear())
