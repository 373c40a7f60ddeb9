"""Waiting for a condition that nobody announces."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import count
from math import inf
from typing import Any, TypeVar, TypeVarTuple, overload

from durable.action import Body, outside_steps
from durable.core.awaits import One, Timeout
from durable.errors import DurableTimeoutError
from durable.futures import answered, check_duration
from durable.machine import Machine
from durable.retry import RetryPolicy
from durable.verbs import Verbs

T = TypeVar("T")
Args = TypeVarTuple("Args")


class Polling(Verbs):
    @overload
    def wait_until(
        self,
        name: str,
        check: Callable[[*Args], Awaitable[T | None]],
        /,
        *args: *Args,
        every: timedelta,
        backoff: float = 1.0,
        longest: timedelta = ...,
        timeout: timedelta | None = None,
    ) -> Awaitable[T]: ...
    @overload
    def wait_until(
        self,
        name: str,
        check: Callable[[*Args], T | None],
        /,
        *args: *Args,
        every: timedelta,
        backoff: float = 1.0,
        longest: timedelta = ...,
        timeout: timedelta | None = None,
    ) -> Awaitable[T]: ...
    def wait_until(
        self,
        name: str,
        check: Callable[[*Args], object],
        /,
        *args: *Args,
        every: timedelta | None = None,
        backoff: float = 1.0,
        longest: timedelta = timedelta(hours=1),
        timeout: timedelta | None = None,
    ) -> Awaitable[Any]:
        """The first result of ``check`` that is true; :class:`DurableTimeoutError` if there is none in time.

        Each check is a step, ``ctx.run(name, check, *args)``. Between two of them the handler sleeps: ``every``, then
        ``backoff`` times as long as before, up to ``longest``. ``timeout`` counts from the first attempt that came
        here; what still runs then is left, as by ``or_timeout``. A check and a sleep are four entries in the journal.
        """
        if every is None:  # Python would name this class, which nobody knows
            raise TypeError("ctx.wait_until() needs the time between two checks; write every=timedelta(seconds=5)")
        check_duration(every, "every")
        check_duration(longest, "longest")
        if not every:
            raise ValueError("every must be longer than nothing; write timedelta(seconds=5)")
        if timeout is not None:
            check_duration(timeout, "a timeout")
        _check_backoff(backoff)
        pace = RetryPolicy(first=every, factor=backoff, longest=max(every, longest))
        return _poll(Body(self._machine, name, check, args), pace, limit=timeout)


def _check_backoff(given: object) -> None:
    if not isinstance(given, int | float) or not 1 <= given < inf:
        raise ValueError(f"backoff is a number of at least 1, got {given!r}")


async def _poll(body: Body, pace: RetryPolicy, limit: timedelta | None) -> Any:
    machine = body.machine
    deadline = None if limit is None else machine.sleep(limit)
    for checks in count(1):
        step = machine.run(body.name, body.act, None)
        in_time = await _in_time(machine, step, deadline)
        if in_time and (value := answered(machine, step, body.decode)()):
            return value
        if not in_time or not await _in_time(machine, machine.sleep(pace.delay(checks)), deadline):
            raise DurableTimeoutError(f"{body.name!r} was not true within {limit}, after {checks} checks")


async def _in_time(machine: Machine, question: One, deadline: One | None) -> bool:
    """Wait for its answer; whether that came before the deadline."""
    awaited = question if deadline is None else Timeout(question, deadline)
    await outside_steps(machine).wait(awaited)
    return awaited.settled(machine) == question.settled(machine)
