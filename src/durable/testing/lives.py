"""One disk, and the engines that live on it, one after the other: a crash ends one, and the next goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from msgspec import UNSET

from durable.errors import EngineStoppedError
from durable.service import AnyService
from durable.testing.crash import Crash
from durable.testing.engine import TestEngine
from durable.testing.hops import Hops

Ask = Callable[[TestEngine, str | None], Awaitable[object]]
"""A call, given an engine and, if it may have to be made again, an idempotency key."""


class Lives:
    def __init__(
        self,
        services: Sequence[AnyService | Callable[[], AnyService]],
        crashes: Sequence[Crash],
        calls: Hops,
        steps: Hops,
    ) -> None:
        self._services = services
        self._calls, self._steps = calls, steps
        self._crashes = list(crashes)
        self._keyed = bool(crashes)
        self._bursts = 0
        self._engine: TestEngine | None = None
        self._crash: Crash | None = None

    async def __aenter__(self) -> Self:
        await self.restart()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._close()

    async def restart(self) -> None:
        """End this life, if it has not ended yet, and begin the next."""
        await self._close()
        self._crash = self._crashes.pop(0) if self._crashes else None
        commit, written = (self._crash.commit, self._crash.written) if self._crash else (None, False)
        services = [each if isinstance(each, AnyService) else each() for each in self._services]
        self._engine = TestEngine(*services, after=self._engine, crash_at=commit, written=written)
        self._engine.hops = self._steps
        try:
            await self._engine.__aenter__()
        except EngineStoppedError:
            if not self._died:
                raise
            await self.restart()  # it died of what it did to go on after the last one

    async def play(self, burst: Sequence[Ask]) -> list[object]:
        """The answers of calls at once; those that a crash cut short are made again."""
        self._bursts += 1
        answers: list[object] = [UNSET] * len(burst)

        async def fill(number: int) -> None:
            await self._calls.hop()
            answers[number] = await self._ask(burst[number], f"{self._bursts}.{number}")

        while missing := [number for number, answer in enumerate(answers) if answer is UNSET]:
            await asyncio.gather(*(fill(number) for number in missing))
            if any(answer is UNSET for answer in answers):
                await self.restart()
        return answers

    async def _ask(self, ask: Ask, key: str) -> object:
        """``UNSET`` if the engine died first."""
        assert self._engine is not None
        try:
            return await ask(self._engine, key if self._keyed else None)
        except EngineStoppedError:
            if not self._died:
                raise
            return UNSET

    @property
    def _died(self) -> bool:
        """Whether the engine came to its crash."""
        return self._engine is not None and self._crash is not None and self._engine.commits >= self._crash.commit

    async def _close(self) -> None:
        if self._engine is not None:
            await self._engine.__aexit__()
