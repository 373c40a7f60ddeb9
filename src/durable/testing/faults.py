"""What may go wrong with a step, when a test wants it to."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

from durable.machine import Action
from durable.runtime.steps import Step

Fault = Callable[[Step, Action], Awaitable[bytes]]


class Faults:
    """Of the steps of one engine, by name. Each fault is used up by one run of the body; then come those behind it."""

    def __init__(self) -> None:
        self._faults: defaultdict[str, list[Fault]] = defaultdict(list)
        self._hanging: defaultdict[str, list[asyncio.Event]] = defaultdict(list)

    def fail(self, step: str, /, *, times: int = 1, error: Exception | None = None) -> None:
        """Raise ``error`` instead of running it; without one a ``ConnectionError``."""
        raised = error or ConnectionError(f"step {step!r} was made to fail")

        async def fault(_: Step, __: Action) -> bytes:
            raise raised

        self._faults[step] += [fault] * _checked(times)

    def time_out(self, step: str, /, *, times: int = 1) -> None:
        """Run it, and lose its answer: it is raised as a ``TimeoutError``, though the effect took place."""

        async def fault(_: Step, action: Action) -> bytes:
            await action()
            raise TimeoutError(f"the answer of step {step!r} was made to be lost")

        self._faults[step] += [fault] * _checked(times)

    def hang(self, step: str, /) -> None:
        """Do not run it until it is released; ``settle`` and ``skip`` do not wait for it."""
        released = asyncio.Event()

        async def fault(step: Step, action: Action) -> bytes:
            step.resting = True  # the engine counts it as still, and does not wait for it when it closes
            try:
                await released.wait()
            finally:
                step.resting = False
            return await action()

        self._hanging[step].append(released)
        self._faults[step].append(fault)

    def release(self, step: str, /) -> None:
        """Let run whatever hangs, or was going to."""
        hanging = self._hanging.pop(step, None)
        if hanging is None:
            raise ValueError(f"no step {step!r} was told to hang; the names that were: {sorted(self._hanging)}")
        for released in hanging:
            released.set()

    def around(self, step: Step) -> Action:
        """The body of ``step``, with whatever waits for it by then."""
        action = step.action

        async def act() -> bytes:
            faults = self._faults[step.name]
            return await (faults.pop(0)(step, action) if faults else action())

        return act


def _checked(times: int) -> int:
    if times < 1:
        raise ValueError(f"times is how often, at least once, got {times}")
    return times
