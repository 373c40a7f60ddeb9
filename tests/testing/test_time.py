"""``TestEngine.skip``: the test moves the time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durable import Context, Service, handler
from durable.testing import TestEngine


class Mail(Service):
    @handler
    async def send(self, ctx: Context) -> None:
        await ctx.sleep(timedelta(hours=1))


async def test_time_is_skipped_by_a_timedelta_and_only_forward() -> None:
    unchecked: Any = 5
    async with TestEngine(Mail()) as engine:
        with pytest.raises(TypeError, match=r"^what is skipped is a timedelta, got 5; write timedelta"):
            await engine.skip(unchecked)
        with pytest.raises(ValueError, match=r"^what is skipped is between zero and ten years, got -1 day"):
            await engine.skip(timedelta(days=-1))
