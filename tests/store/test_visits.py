"""Reads share visits to the thread, and each has its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from durable.store.visits import Visits


class Thread:
    """Counts its visitors; gone, if it is to refuse them."""

    def __init__(self, *, gone: bool = False) -> None:
        self.visits = 0
        self.entered = asyncio.Event()
        self.gone = gone

    async def visit(self, read: Callable[[], list[int | Exception]]) -> list[int | Exception]:
        self.visits += 1
        self.entered.set()
        if self.gone:
            raise RuntimeError("gone")
        await asyncio.sleep(0)
        return read()


def halved(n: int) -> int:
    if n % 2:
        raise ValueError(f"{n} is odd")
    return n // 2


async def test_what_is_asked_for_at_once_is_read_in_one_visit() -> None:
    thread = Thread()
    visits = Visits(halved, thread.visit)

    answers = await asyncio.gather(*(visits.get(n) for n in (2, 3, 4, 2)), return_exceptions=True)

    assert [str(answer) for answer in answers] == ["1", "3 is odd", "2", "1"]
    assert thread.visits == 1


async def test_what_is_asked_for_during_a_visit_is_read_in_the_next() -> None:
    thread = Thread()
    visits = Visits(halved, thread.visit)
    first = asyncio.create_task(visits.get(2))
    await thread.entered.wait()

    assert await visits.get(4) == 2
    assert (await first, thread.visits) == (1, 2)


async def test_whoever_is_cancelled_takes_nobody_else_with_them() -> None:
    visits = Visits(halved, Thread().visit)
    impatient, patient = (asyncio.create_task(visits.get(2)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()

    assert await patient == 1


async def test_a_thread_that_is_gone_is_everybodys_failure() -> None:
    visits = Visits(halved, Thread(gone=True).visit)

    answers = await asyncio.gather(visits.get(2), visits.get(4), return_exceptions=True)

    assert [repr(answer) for answer in answers] == ["RuntimeError('gone')"] * 2
    with pytest.raises(RuntimeError):
        await visits.get(6)
