"""The smallest program that calls a handler."""

from __future__ import annotations

from benchmarks.services import TEXT, Steps
from durable import Engine


async def main(database: str) -> None:
    async with Engine(database, Steps()) as engine:
        await engine.call(Steps.three, TEXT)
