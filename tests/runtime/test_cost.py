"""What limits that hold nobody back add to a call, in instructions: no clock is so exact on a busy machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

from benchmarks.limits import TEN, TENANTS, Plain, Work
from durable import Options
from durable.context import Context
from durable.handlers import ServiceHandler
from durable.testing import TestEngine

CALLS = 100


class Instructions:
    """Counts those of Python that this thread executes in a ``with`` block."""

    def __init__(self) -> None:
        self.count = 0

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.count += event == "opcode"
        return self._trace

    def __enter__(self) -> Instructions:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)


async def instructions(engine: TestEngine, handlers: Sequence[ServiceHandler[Context, [str], str]]) -> float:
    """Of one call, on average."""

    async def call() -> None:
        for number in range(CALLS):
            await engine.call(handlers[number % len(handlers)], "x")

    await call()
    with Instructions() as instructions:
        await call()
    return instructions.count / CALLS


async def test_ten_limits_that_hold_nobody_back_add_a_quarter_at_most():
    async with TestEngine(Plain()) as engine:
        plain = await instructions(engine, [Plain.none])
    async with TestEngine(Work(), options=Options(limits=TEN)) as engine:
        keyed = [Work.none.options(limit_key=f"t{number}", priority=number % 3) for number in range(TENANTS)]
        limited = await instructions(engine, keyed)
    assert limited <= 1.25 * plain
