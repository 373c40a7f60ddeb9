"""Threads for what blocks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import NoReturn

import pytest

from durable.threads import Idle, end_threads, keep_threads, run_in_thread


async def test_what_blocks_is_called_in_another_thread() -> None:
    assert await run_in_thread(threading.current_thread) is not threading.current_thread()


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """None: other tests leave engines open, as a crash would."""
    monkeypatch.setattr("durable.threads._idle", Idle())


@pytest.fixture
def kept() -> Iterator[None]:
    """As while an engine is open."""
    keep_threads()
    yield
    end_threads()


@pytest.mark.usefixtures("kept")
async def test_a_thread_is_used_again() -> None:
    first = await run_in_thread(threading.current_thread)

    assert await run_in_thread(threading.current_thread) is first


async def test_the_last_engine_ends_every_idle_thread() -> None:
    keep_threads()
    keep_threads()
    thread = await run_in_thread(threading.current_thread)
    end_threads()
    meanwhile = thread.is_alive()
    end_threads()

    assert (meanwhile, thread.is_alive()) == (True, False)


async def test_a_thread_that_is_busy_when_the_last_engine_closes_ends_by_itself() -> None:
    began, end = threading.Event(), threading.Event()

    def block() -> threading.Thread:
        began.set()
        end.wait()
        return threading.current_thread()

    keep_threads()
    task = asyncio.create_task(run_in_thread(block))
    await run_in_thread(began.wait)
    end_threads()
    end.set()
    thread = await task
    thread.join(10)

    assert not thread.is_alive()


async def test_nobody_waits_for_the_thread_at_the_end() -> None:
    assert (await run_in_thread(threading.current_thread)).daemon


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
async def test_what_it_raises_is_raised(error: BaseException) -> None:
    def fail() -> NoReturn:
        raise error

    with pytest.raises(type(error)) as raised:
        await run_in_thread(fail)

    assert raised.value is error


async def test_the_end_of_an_iterator_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"it raised StopIteration\('end'\)"):
        await run_in_thread(stop)


def stop() -> NoReturn:
    raise StopIteration("end")


async def test_it_has_the_context_of_its_caller() -> None:
    tenant: ContextVar[str] = ContextVar("tenant")
    tenant.set("alice")

    assert await run_in_thread(tenant.get) == "alice"


async def test_whoever_is_cancelled_does_not_wait_for_the_thread() -> None:
    began, end = threading.Event(), threading.Event()

    def block() -> None:
        began.set()
        end.wait()

    task = asyncio.create_task(run_in_thread(block))
    await run_in_thread(began.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await run_in_thread(lambda: 1) == 1
    end.set()


async def test_many_run_at_once() -> None:
    gate = threading.Barrier(3, timeout=10)

    places = await asyncio.gather(*(run_in_thread(gate.wait) for _ in range(3)))

    assert sorted(places) == [0, 1, 2]


def test_a_thread_that_ends_after_its_loop_harms_nobody() -> None:
    began, end = threading.Event(), threading.Event()

    def block() -> threading.Thread:
        began.set()
        end.wait()
        return threading.current_thread()

    async def leave() -> None:
        task = asyncio.create_task(run_in_thread(block))
        await run_in_thread(began.wait)
        task.cancel()

    asyncio.run(leave())
    end.set()

    assert asyncio.run(run_in_thread(lambda: 1)) == 1
