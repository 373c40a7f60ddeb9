"""Reads of one kind that share visits to the database's thread: a visit costs more than what most of them read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Visits(Generic[K, V]):
    """What is asked for in one turn of the event loop is read in one visit."""

    def __init__(
        self,
        read: Callable[[K], V],
        visit: Callable[[Callable[[], list[V | Exception]]], Awaitable[list[V | Exception]]],
    ) -> None:
        self._read, self._visit = read, visit
        self._asked: dict[K, asyncio.Future[V]] = {}
        self._tasks = set[asyncio.Task[None]]()  # or nobody keeps them

    async def get(self, key: K) -> V:
        """What ``read`` returns, or raises, for ``key``."""
        if not self._asked:
            task = asyncio.get_running_loop().create_task(self._go(), name="durable.visit")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if key not in self._asked:
            self._asked[key] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._asked[key])

    async def _go(self) -> None:
        asked, self._asked = self._asked, {}
        try:
            answers = await self._visit(lambda: self._read_all(tuple(asked)))
        except Exception as error:
            answers = [error] * len(asked)
        for future, answer in zip(asked.values(), answers, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _read_all(self, keys: Sequence[K]) -> list[V | Exception]:
        return [self._read_one(key) for key in keys]

    def _read_one(self, key: K) -> V | Exception:
        try:
            return self._read(key)
        except Exception as error:
            return error
