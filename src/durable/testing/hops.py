"""Turns of the event loop that pass before a call, a step or a commit: which one overtakes which."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import cycle

from durable.machine import Action


class Hops:
    """``delays`` in turns, taken one after the other and then again from the first; none if there are none."""

    def __init__(self, delays: Sequence[int] = ()) -> None:
        self._delays = cycle(delays or (0,))

    async def hop(self) -> None:
        for _ in range(next(self._delays)):
            await asyncio.sleep(0)

    def before(self, action: Action) -> Action:
        async def act() -> bytes:
            await self.hop()
            return await action()

        return act
