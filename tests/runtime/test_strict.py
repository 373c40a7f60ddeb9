"""Strict mode: the usual mistakes are errors at the line that makes them, and nothing else is."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta

import anyio
import pytest

from durable import Context, Engine, Options, Service, TerminalError, gather, handler
from durable.testing import TestEngine

Program = Callable[[Context], Awaitable[object]]

HOUR = timedelta(hours=1)


class Any(Service):
    def __init__(self, program: Program) -> None:
        self.program = program

    @handler
    async def go(self, ctx: Context) -> None:
        await self.program(ctx)


class Idle(Service):
    @handler
    async def go(self, ctx: Context) -> None: ...


async def failure_of(program: Program, options: Options | None = None) -> str:
    """``""`` if it succeeds."""
    async with TestEngine(Any(program), Idle(), options=options) as engine:
        try:
            await engine.call(Any.go)
        except TerminalError as error:
            return error.message
        return ""


def line_of(program: Callable[..., object], offset: int) -> str:
    return f"{__file__}:{program.__code__.co_firstlineno + offset}"


def start_a_thread() -> None:
    threading.Thread(target=str).start()


CALLS: list[tuple[str, Callable[[], object], str]] = [
    ("time.time", time.time, "await ctx.now"),
    ("time.monotonic", time.monotonic, "await ctx.now"),
    ("datetime.now", lambda: datetime.now(UTC), "await ctx.now"),
    ("date.today", lambda: date.today(), "await ctx.now"),  # noqa: DTZ011
    ("random.random", random.random, "ctx.random"),
    ("random.randint", lambda: random.randint(1, 6), "ctx.random"),
    ("secrets.token_bytes", lambda: secrets.token_bytes(), "ctx.random"),
    ("uuid.uuid1", uuid.uuid1, "ctx.uuid"),
    ("uuid.uuid4", uuid.uuid4, "ctx.uuid"),
    ("time.sleep", lambda: time.sleep(0), "await ctx.sleep"),
    ("asyncio.timeout", lambda: asyncio.timeout(1), "or_timeout"),
    ("socket.socket", socket.socket, "ctx.run"),
    ("socket.getaddrinfo", lambda: socket.getaddrinfo("127.0.0.1", 80), "ctx.run"),
    ("subprocess.Popen", lambda: subprocess.run([sys.executable, "-c", ""], check=True), "ctx.run"),
    ("threading.Thread.start", start_a_thread, "ctx.run"),
    ("random.Random", lambda: random.Random().random(), "ctx.random"),
    ("random.seed", random.seed, "ctx.random"),
    ("os.system", lambda: os.system("true"), "ctx.run"),
    ("os.fork", lambda: os.fork() or os._exit(0), "ctx.run"),
]


@pytest.mark.parametrize(("name", "function", "instead"), CALLS)
async def test_a_call_that_only_a_step_may_make_is_an_error(
    name: str, function: Callable[[], object], instead: str
) -> None:
    async def program(ctx: Context) -> None:
        function()

    message = await failure_of(program)

    assert message.startswith(f"Any.go called {name}() at {__file__}:")
    assert instead in message


@pytest.mark.parametrize(("name", "function", "instead"), CALLS[:10])
async def test_a_step_may_make_it(name: str, function: Callable[[], object], instead: str) -> None:
    def act() -> None:
        function()

    async def act_async() -> None:
        function()

    async def program(ctx: Context) -> None:
        await ctx.run("thread", act)
        await ctx.run("loop", act_async)

    assert await failure_of(program) == ""


@pytest.mark.parametrize("wait", [lambda: asyncio.sleep(0), lambda: anyio.sleep(0.001), lambda: asyncio.to_thread(str)])
async def test_a_wait_outside_the_journal_is_an_error(wait: Callable[[], Awaitable[object]]) -> None:
    async def program(ctx: Context) -> None:
        await wait()

    assert f"() at {line_of(program, 1)}, which" in await failure_of(program)


async def test_it_is_raised_at_its_line() -> None:
    lines: list[str] = []

    async def program(ctx: Context) -> None:
        lines.append("before")
        time.time()
        lines.append("after")

    message = await failure_of(program)

    assert lines == ["before"]
    assert message == (
        f"Any.go called time.time() at {line_of(program, 2)}, which is another time on every attempt; "
        "write `await ctx.now()`"
    )


async def test_a_mistake_that_is_swallowed_is_the_outcome_all_the_same() -> None:
    async def program(ctx: Context) -> None:
        try:
            time.time()
        except BaseException:
            await ctx.now()

    assert "called time.time()" in await failure_of(program)


async def test_what_a_replay_repeats_may_be_called() -> None:
    async def program(ctx: Context) -> None:
        ctx.random.randint(1, 6), ctx.uuid(), await ctx.now(), random.Random(7).random(), time.perf_counter()
        random.Random(x="seed").random()
        logging.getLogger("author").error("a record has its time")

    assert await failure_of(program) == ""


async def test_a_task_of_its_own_may_not_use_the_ctx() -> None:
    async def program(ctx: Context) -> None:
        await asyncio.gather(ctx.run("a", str))

    message = await failure_of(program)

    assert "a ctx that was used outside its coroutine" in message
    assert line_of(program, 1) in message


async def test_a_ctx_that_was_kept_is_an_error_where_it_is_used() -> None:
    kept: list[Context] = []

    async def program(ctx: Context) -> None:
        kept.append(ctx)

    await failure_of(program)

    with pytest.raises(
        TerminalError, match=r"used outside its coroutine, at .*test_strict.py:[0-9]+; use it there only"
    ):
        kept[0].sleep(HOUR)


async def helper() -> None: ...


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_coroutine_that_is_never_awaited_is_an_error(goes_on: bool) -> None:
    async def program(ctx: Context) -> None:
        helper()  # type: ignore[unused-coroutine]
        if goes_on:
            await ctx.now()

    message = await failure_of(program)

    assert message.startswith(f"Any.go never awaited the coroutine helper() of {line_of(program, 1)}")


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("name", "verb"),
    [
        ("ctx.wait_until", lambda ctx: ctx.wait_until("open", bool, every=HOUR)),
        ("ctx.map_run", lambda ctx: ctx.map_run("each", str, [1, 2])),
    ],
)
async def test_a_verb_that_is_a_coroutine_is_to_be_awaited(
    name: str, verb: Callable[[Context], object], kept: bool
) -> None:
    async def program(ctx: Context) -> None:
        future = verb(ctx)
        if not kept:
            del future
            await ctx.now()

    message = await failure_of(program)

    assert message.startswith(f"Any.go never awaited the coroutine {name}() of {__file__}:")
    assert message.endswith(f"write `await {name}(...)`")


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        (lambda ctx: ctx.run("charge", str), "ctx.run('charge')"),
        (lambda ctx: ctx.sleep(HOUR), "a sleep"),
        (lambda ctx: ctx.call(Idle.go), "ctx.call(Idle.go)"),
        (lambda ctx: gather(ctx.run("a", str), ctx.run("b", str)), "ctx.run('a')"),
    ],
)
async def test_a_future_that_is_never_awaited_is_an_error(verb: Callable[[Context], object], what: str) -> None:
    async def program(ctx: Context) -> None:
        verb(ctx)

    assert f"returned without awaiting {what}" in await failure_of(program)


async def test_futures_that_are_awaited_in_any_way_are_none() -> None:
    async def program(ctx: Context) -> None:
        await gather(ctx.run("a", str), ctx.run("b", str).or_timeout(HOUR))
        ctx.call(Idle.go).cancel()

    assert await failure_of(program) == ""


async def test_an_end_that_was_swallowed_is_the_error_of_the_next_attempt(caplog: pytest.LogCaptureFixture) -> None:
    async def program(ctx: Context) -> None:
        try:
            await ctx.sleep(HOUR)
        except BaseException:
            return

    async with TestEngine(Any(program), options=Options(inactivity=timedelta(0))) as engine:
        sent = await engine.send(Any.go)
        await engine.skip(HOUR)

        with pytest.raises(TerminalError, match=f"told at {line_of(program, 2)}; write `except Exception`"):
            await sent.result()
    assert "went on after the end of its attempt" in caplog.text


async def test_a_finally_that_uses_the_ctx_swallows_nothing() -> None:
    async def program(ctx: Context) -> None:
        try:
            await ctx.sleep(HOUR)
        finally:
            await ctx.run("tidy", str)

    async with TestEngine(Any(program), options=Options(inactivity=timedelta(0))) as engine:
        sent = await engine.send(Any.go)
        await engine.skip(HOUR)

        await sent.result()


async def test_code_beside_a_handler_is_not_watched() -> None:
    async def program(ctx: Context) -> None:
        await ctx.sleep(HOUR)

    async with TestEngine(Any(program)) as engine:
        await engine.send(Any.go)
        await engine.settle()

        assert (sys.getprofile(), sys.get_coroutine_origin_tracking_depth()) == (None, 0)
        assert time.time()


async def test_a_profiler_is_left_alone() -> None:
    calls: list[str] = []

    async def program(ctx: Context) -> None:
        time.time()

    sys.setprofile(lambda frame, event, argument: calls.append(event))
    try:
        message = await failure_of(program)
    finally:
        sys.setprofile(None)

    assert message == ""
    assert "c_call" in calls


async def mistaken(ctx: Context) -> None:
    time.time()


@pytest.mark.parametrize(("options", "found"), [(None, True), (Options(), True), (Options(strict=False), False)])
async def test_it_is_on_in_a_test_engine_unless_it_says_no(options: Options | None, found: bool) -> None:
    assert bool(await failure_of(mistaken, options)) is found


@pytest.mark.parametrize("strict", [None, False, True])
async def test_it_is_off_in_an_engine_unless_it_says_yes(
    tmp_path_factory: pytest.TempPathFactory, strict: bool | None
) -> None:
    path = tmp_path_factory.mktemp("strict") / "a.db"
    async with Engine(path, Any(mistaken), options=Options(strict=strict)) as engine:
        called = asyncio.create_task(engine.call(Any.go))
        await asyncio.wait([called])

    assert (called.exception() is not None) is bool(strict)


@pytest.mark.parametrize(
    ("said", "strict"), [({}, None), ({"DURABLE_STRICT": "1"}, True), ({"DURABLE_STRICT": "0"}, False)]
)
def test_the_environment_may_say(said: dict[str, str], strict: bool | None) -> None:
    assert Options.from_environment(said).strict is strict
