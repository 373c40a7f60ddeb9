"""What holds a key for a test: an invocation like any other, whose step hangs until the test lets it go."""

from __future__ import annotations

from itertools import count

from durable.core.entries import Target
from durable.machine import Machine
from durable.retry import RetryPolicy
from durable.runtime.outside import Outside
from durable.runtime.requests import Submission

FREEZE = "test.freeze"
"""The name of its handler: not one that an author's can have."""

_numbers = count()


class Freezer:
    """Implements :class:`durable.runtime.invoker.Runnable`. Its input is the name of the step that hangs."""

    retry: RetryPolicy | None = None
    source = __name__

    async def invoke(self, machine: Machine, payload: bytes, /) -> bytes:
        await machine.wait(machine.run(payload.decode(), _nothing, None))
        return b""


async def _nothing() -> bytes:
    return b""


def new_step() -> str:
    """Of one freeze alone: an engine opened after a crash does not know it, so that there the step ends at once."""
    return f"freeze {next(_numbers)}"


async def submit(door: Outside, service: str, key: str, step: str) -> str:
    return (await door.submit(Submission(target=Target(service, FREEZE, key), payload=step.encode()))).id


async def check_held(door: Outside, id: str, what: str) -> None:
    """Refuse a freeze that would have to wait for its turn: nobody would move the clock meanwhile."""
    if await door.status(id) != "running":
        why = await door.why(id)
        await door.control("kill", id)
        raise ValueError(f"{what} is busy already, so it cannot be frozen now: {why}")
