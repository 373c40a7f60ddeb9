"""A map: results in the order of the inputs, never too many at once, and an end that is exact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from heapq import heappop, heappush
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable import (
    Context,
    InvocationCancelledError,
    ObjectContext,
    Options,
    RetryPolicy,
    Service,
    TerminalError,
    VirtualObject,
    fanout,
    gather,
    generic,
    handler,
    mapper,
)
from durable.core.ids import write_invocation
from durable.tally import Goal, Tally
from durable.testing import Scene, TestEngine, crash_everywhere
from tests.runtime.audit import at_rest

HOUR = timedelta(hours=1)

NEVER = "not begun: the map had stopped"

LINGER = timedelta(milliseconds=60)
"""After which all is on the disk."""
RESIDENT = Options(inactivity=timedelta(days=1))
"""A handler that is suspended begins again, and would be counted twice."""

Tolerance = Mapping[str, Any]


class World:
    def __init__(self) -> None:
        self.running = self.most = 0
        self.begun: list[int] = []
        self.undone: list[int] = []
        self.left: list[int] = []
        """How many ran on when a map had returned."""

    @contextmanager
    def at_work(self, n: int) -> Iterator[None]:
        self.begun.append(n)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            yield
        finally:
            self.running -= 1


class Item(VirtualObject):
    def __init__(self, world: World) -> None:
        self.world = world

    @handler
    async def size(self, ctx: ObjectContext) -> int:
        return len(ctx.key)

    @handler
    async def add(self, ctx: ObjectContext, n: int) -> str:
        return f"{ctx.key}{n}"


class Work(Service):
    def __init__(self, world: World) -> None:
        self.world = world

    @handler
    async def do(self, ctx: Context, task: tuple[int, int, bool]) -> int:
        n, ms, fails = task
        with self.world.at_work(n):
            await ctx.sleep(timedelta(milliseconds=ms))
            if fails:
                raise TerminalError(f"no {n}", status=418)
            return n

    @handler
    async def fail(self, ctx: Context, n: int) -> None:
        """Also when it is cancelled."""
        try:
            await ctx.sleep(n * HOUR)
        except InvocationCancelledError as error:
            raise TerminalError(f"no {n}") from error
        raise TerminalError("no")

    @handler
    async def undo(self, ctx: Context, n: int) -> int:
        if n == 0:
            raise TerminalError("no")
        try:
            await ctx.sleep(HOUR)
        except InvocationCancelledError:
            await ctx.sleep(timedelta(minutes=1))
            self.world.undone.append(n)
            raise
        return n


Tasks = list[tuple[int, int, bool]]


class Parent(Service):
    def __init__(self, world: World, concurrency: int = 2, tolerance: Tolerance | None = None) -> None:
        self.world, self.concurrency, self.tolerance = world, concurrency, tolerance or {}

    @handler
    async def total(self, ctx: Context, tasks: Tasks) -> list[str]:
        try:
            each: list[Any] = await ctx.map(Work.do, tasks, concurrency=self.concurrency, **self.tolerance)
        finally:
            self.world.left.append(self.world.running)
        return [str(one) for one in each]

    @handler
    async def undo(self, ctx: Context) -> list[int]:
        return await ctx.map(Work.undo, range(4), concurrency=3)

    @handler
    async def fail(self, ctx: Context) -> None:
        await ctx.map(Work.fail, range(4), concurrency=3)

    @handler
    async def patient(self, ctx: Context) -> list[int]:
        return await ctx.map(Work.undo, range(1, 9), concurrency=3)

    @handler
    async def keyed(self, ctx: Context) -> list[Any]:
        sizes, added = await gather(ctx.map(Item.size, ("a", "bb")), ctx.map(Item.add, [("a", 1), ("b", 2)]))
        return [*sizes, *added]

    @handler
    async def views(self, ctx: Context) -> list[Any]:
        items = {"c": 1, "a": 2, "b": 3}
        sizes, added = await gather(ctx.map(Item.size, items.keys()), ctx.map(Item.add, items.items()))
        return [*sizes, *added]

    @handler
    async def forgets(self, ctx: Context) -> None:
        ctx.map(Work.undo, [1])

    @handler
    async def one(self, ctx: Context, case: str) -> object:
        pairs: Any = ["a1"]
        untyped: Any = [("a", 1), ("b", "x")]
        cases: dict[str, Any] = {
            "pairs": lambda: ctx.map(Item.add, pairs),
            "key": lambda: ctx.map(Work.undo.options(idempotency_key="k"), [1]),
            "none": lambda: ctx.map(Work.undo, [1], concurrency=0),
            "typo": lambda: ctx.map(Work.undo, [1], **{"tolerated": 1}),
            "set": lambda: ctx.map(Work.undo, {1, 2}),
            "text": lambda: ctx.map(Work.undo, untyped[0][0]),
            "one": lambda: ctx.map(Work.undo, untyped[0][1]),
            "type": lambda: ctx.map(Item.add, untyped),
            "handler": lambda: ctx.map(self.world.at_work, [1]),
            "unknown": lambda: ctx.map(generic("No", "body"), [b"1", b"2"]),
            "large": lambda: ctx.map(generic("No", "body"), [b"x" * 100]),
        }
        return await cases[case]()


@contextmanager
def parts_of(size: int) -> Iterator[None]:
    before, mapper.PART = mapper.PART, size
    try:
        yield
    finally:
        mapper.PART = before


def expected(tasks: Tasks, concurrency: int, goal: Goal) -> list[str] | None:
    """What a list scheduler makes of it; nothing if too many fail."""
    results = [NEVER] * len(tasks)
    running: list[tuple[int, int]] = []
    tally, now, begun = Tally(), 0, 0
    while not tally.stops(goal):
        while begun < len(tasks) and len(running) < concurrency:
            heappush(running, (now + tasks[begun][1], begun))
            begun += 1
        if not running:
            break
        now, n = heappop(running)
        tally.count(failed=tasks[n][2])
        results[n] = f"no {n}" if tasks[n][2] else str(n)
    for _, n in running:
        results[n] = "cancelled"
    return None if tally.missed(goal) else results


tolerances = st.fixed_dictionaries(
    {},
    optional={
        "tolerated_failures": st.integers(0, 4),
        "min_successful": st.integers(1, 8),
        "tolerated_fraction": st.sampled_from([0, 0.25, 0.5, 1]),
    },
)
# No two calls end at the same moment: the sums of any two sets of these differ.
plans = st.lists(st.tuples(st.integers(1, 5), st.sampled_from([False, False, True])), max_size=14).map(
    lambda drawn: [(n, 100_000 * tens + (1 << n), fails) for n, (tens, fails) in enumerate(drawn)]
)


@settings(max_examples=100, deadline=None)
@given(plans, st.integers(1, 4), st.integers(1, 20), tolerances)
def test_a_map_does_what_a_list_scheduler_does(
    tasks: Tasks, concurrency: int, part: int, tolerance: dict[str, Any]
) -> None:
    results = expected(tasks, concurrency, Goal.of(len(tasks), tolerance))

    async def check() -> None:
        world = World()
        async with TestEngine(Parent(world, concurrency, tolerance), Work(world), options=RESIDENT) as engine:
            sent = await engine.send(Parent.total, tasks)
            await engine.skip(3 * HOUR)

            if results is None:
                with pytest.raises(TerminalError, match=" failed, "):
                    await sent.result()
            else:
                assert await sent.result() == results
                assert world.begun == [n for n, each in enumerate(results) if each != NEVER]
            assert world.most <= concurrency
            assert world.left == [0]
            at_rest(engine)

    with parts_of(part):
        anyio.run(check)


@settings(max_examples=40, deadline=None)
@given(plans, st.integers(1, 4), st.integers(1, 6), st.integers(0, 100), tolerances)
def test_nothing_runs_on_when_its_parent_was_cancelled(
    tasks: Tasks, concurrency: int, part: int, seconds: int, tolerance: dict[str, Any]
) -> None:
    async def check() -> None:
        world = World()
        async with TestEngine(Parent(world, concurrency, tolerance), Work(world), options=RESIDENT) as engine:
            sent = await engine.send(Parent.total, tasks)
            await engine.skip(timedelta(seconds=20 * seconds))
            done = await sent.status() == "completed"
            begun = len(world.begun)
            await sent.cancel()
            await engine.skip(LINGER)

            assert world.running == 0
            assert len(world.begun) == begun
            at_rest(engine)
            if not done:
                with pytest.raises(TerminalError, match="cancelled"):
                    await sent.result()

    with parts_of(part):
        anyio.run(check)


def tasks(count: int) -> Tasks:
    return [(n, 1000, False) for n in range(count)]


@pytest.mark.parametrize("part", [2, 1000])
async def test_a_map_whose_handlers_are_suspended_at_every_await_does_the_same(part: int) -> None:
    world = World()
    always = Options(inactivity=timedelta(0))
    with parts_of(part):
        async with TestEngine(Parent(world), Work(world), options=always) as engine:
            sent = await engine.send(Parent.total, tasks(7))
            await engine.skip(HOUR)

            assert await sent.result() == ["0", "1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize("part", [2, 1000])
async def test_a_kill_ends_all_that_a_map_called(part: int) -> None:
    world = World()
    with parts_of(part):
        async with TestEngine(Parent(world), Work(world)) as engine:
            sent = await engine.send(Parent.total, tasks(7))
            await engine.skip(timedelta(seconds=1.5))
            await sent.kill()
            await engine.skip(LINGER)

            assert world.running == 0
            at_rest(engine)


@pytest.mark.parametrize("part", [1, 2])
async def test_a_part_that_somebody_killed_ends_the_map(part: int) -> None:
    world = World()
    with parts_of(part):
        async with TestEngine(Parent(world), Work(world)) as engine:
            sent = await engine.send(Parent.total, tasks(9))
            await engine.skip(timedelta(seconds=1.5))
            rows = [row for row in engine.disk.invocations.values() if row.request.target == mapper.MAP_PART]
            await engine.invocation(write_invocation(rows[2].id)).kill()
            await engine.skip(LINGER)

            with pytest.raises(TerminalError, match="killed"):
                await sent.result()
            assert world.left == [0]
            at_rest(engine)


async def test_a_map_waits_until_what_it_cancelled_has_undone_its_work() -> None:
    world = World()
    async with TestEngine(Parent(world), Work(world)) as engine:
        sent = await engine.send(Parent.undo)
        await engine.settle()
        assert await sent.status() != "completed"
        await engine.skip(timedelta(minutes=1))

        with pytest.raises(TerminalError, match=r"^1 of 4 failed, 0 tolerated: input 0: no$"):
            await sent.result()
        assert world.undone == [1, 2]


@pytest.mark.parametrize("part", [2, 1000])
async def test_what_fails_when_it_is_cancelled_is_counted_too(part: int) -> None:
    world = World()
    with parts_of(part):
        async with TestEngine(Parent(world), Work(world)) as engine:
            with pytest.raises(
                TerminalError, match=r"^3 of 4 failed, 0 tolerated: input 0: no; input 1: no 1; input 2:"
            ):
                await engine.call(Parent.fail)


async def test_a_cancelled_parent_leaves_each_call_its_time_to_undo() -> None:
    world = World()
    with parts_of(2):
        async with TestEngine(Parent(world), Work(world)) as engine:
            sent = await engine.send(Parent.patient)
            await engine.settle()
            await sent.cancel()
            await engine.skip(timedelta(minutes=1) + LINGER)

            assert world.undone == [1, 2, 3]
            at_rest(engine)


async def test_a_handler_with_a_key_is_mapped_over_keys_or_pairs() -> None:
    world = World()
    async with TestEngine(Parent(world), Item(world)) as engine:
        assert await engine.call(Parent.keyed) == [1, 2, "a1", "b2"]


async def test_the_views_of_a_dict_have_its_order() -> None:
    world = World()
    async with TestEngine(Parent(world), Item(world)) as engine:
        assert await engine.call(Parent.views) == [1, 1, 1, "c1", "a2", "b3"]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("pairs", r"Item.add takes a key and an input; map it over pairs of both, not over 'a1'"),
        ("key", "with the idempotency key 'k' all calls of a map would be one"),
        ("none", "concurrency must be at least 1, got 0"),
        ("typo", "a map has no option tolerated; it has min_successful, tolerated_failures, tolerated_fraction"),
        ("set", "a map was given a set, whose order a replay would not find again"),
        ("text", "a map is over many inputs, got 'a'; write a list"),
        ("one", "a map is over many inputs, got 1; write a list"),
        ("handler", "is not a handler"),
        ("type", "1 of 2 failed, 0 tolerated: input 1: the input of Item.add"),
    ],
)
async def test_what_cannot_be_mapped_is_refused(case: str, message: str) -> None:
    world = World()
    once = Options(retry=RetryPolicy(max_attempts=1, exhausted="fail"))
    async with TestEngine(Parent(world), Item(world), Work(world), options=once) as engine:
        with pytest.raises(TerminalError, match=message):
            await engine.call(Parent.one, case)


async def test_arguments_that_make_no_sense_fail_the_attempt_and_why_tells() -> None:
    async with TestEngine(Parent(World())) as engine:
        sent = await engine.send(Parent.one, "none")
        await engine.settle()

        assert await sent.status() == "backing-off"
        assert "concurrency must be at least 1, got 0" in str(await sent.why())


async def test_of_an_unknown_handler_every_call_fails() -> None:
    async with TestEngine(Parent(World())) as engine:
        with pytest.raises(
            TerminalError, match=r"^2 of 2 failed, 0 tolerated: input 0: there is no .*; input 1: there"
        ):
            await engine.call(Parent.one, "unknown")


async def test_strict_mode_minds_a_map_that_nobody_awaits() -> None:
    async with TestEngine(Parent(World()), Work(World())) as engine:
        with pytest.raises(TerminalError, match=r"returned without awaiting a map of .*test_fanout.py:[0-9]+; write"):
            await engine.call(Parent.forgets)


async def test_inputs_that_are_too_large_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "LARGEST_MAP", 100)
    async with TestEngine(Parent(World())) as engine:
        with pytest.raises(TerminalError, match=r"what a map in Parent.one is given has 1[0-9]{2} bytes; at most 100"):
            await engine.call(Parent.one, "large")


@pytest.mark.parametrize("part", [2, 1000])
async def test_results_that_are_too_large_together_are_refused(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(mapper, "LARGEST_MAP", 10)
    world = World()
    with parts_of(part):
        async with TestEngine(Parent(world), Work(world)) as engine:
            sent = await engine.send(Parent.total, tasks(5))
            await engine.skip(HOUR)

            with pytest.raises(TerminalError, match=r"what the calls of a map returned has [0-9]+ bytes; at most 10 "):
                await sent.result()
            assert world.left == [0]


# -- steps


class Steps(Service):
    def __init__(self, act: Any, **options: Any) -> None:
        self.act, self.options = act, options

    @handler
    async def run(self, ctx: Context, count: int) -> list[str]:
        results = await ctx.map_run("act", self.act, range(count), **self.options)
        return [str(each) for each in results]


class Outside:
    def __init__(self, failing: set[int] | None = None) -> None:
        self.failing = failing or set()
        self.running = self.most = 0
        self.begun: list[int] = []

    async def act(self, n: int) -> int:
        self.begun.append(n)
        self.running += 1
        self.most = max(self.most, self.running)
        await anyio.lowlevel.checkpoint()
        self.running -= 1
        if n in self.failing:
            raise TerminalError(f"no {n}", status=418)
        return n


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 12), st.integers(1, 5), st.sets(st.integers(0, 11)), tolerances)
def test_mapped_steps_keep_order_concurrency_and_goal(
    count: int, concurrency: int, failing: set[int], tolerance: dict[str, Any]
) -> None:
    async def check() -> None:
        outside, goal = Outside(failing), Goal.of(count, tolerance)
        async with TestEngine(Steps(outside.act, concurrency=concurrency, **tolerance)) as engine:
            try:
                results = await engine.call(Steps.run, count)
            except TerminalError:
                assert len(failing & set(outside.begun)) > goal.tolerated
            else:
                begun, not_begun = results[: len(outside.begun)], results[len(outside.begun) :]
                assert begun == [f"no {n}" if n in failing else str(n) for n in range(len(begun))]
                assert set(not_begun) <= {NEVER}
                assert len(failing & set(outside.begun)) <= goal.tolerated + concurrency - 1
                assert goal.needed is not None or not not_begun
            assert outside.begun == list(range(len(outside.begun)))
            assert outside.most <= concurrency
            assert outside.running == 0

    anyio.run(check)


async def test_a_mapped_step_is_retried_by_its_policy() -> None:
    tried: list[int] = []

    def act(n: int) -> int:
        tried.append(n)
        if tried.count(n) < 3:
            raise ValueError
        return n

    async with TestEngine(Steps(act, concurrency=1, retry=RetryPolicy(first=timedelta(seconds=1)))) as engine:
        sent = await engine.send(Steps.run, 2)
        await engine.skip(timedelta(minutes=1))

        assert await sent.result() == ["0", "1"]
        assert tried == [0, 0, 0, 1, 1, 1]


# -- crashes


class Shop(Service):
    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    async def pack(self, n: int) -> int:
        self.scene.effect("pack", f"{n}")
        if n == 2:
            raise TerminalError("no 2")
        return n * 2

    @handler
    async def one(self, ctx: Context, n: int) -> int:
        return await ctx.run("pack", self.pack, n)

    @handler
    async def by_call(self, ctx: Context, count: int) -> list[str]:
        return [str(each) for each in await ctx.map(Shop.one, range(count), concurrency=2, tolerated_failures=1)]

    @handler
    async def by_step(self, ctx: Context, count: int) -> list[str]:
        packed = ctx.map_run("pack", self.pack, range(count), concurrency=2, tolerated_failures=1)
        return [str(each) for each in await packed]

    @handler
    async def stopped(self, ctx: Context, count: int) -> list[int]:
        return await ctx.map(Shop.one, range(count), concurrency=1)


async def played(scene: Scene, called: Any) -> object:
    async with scene.engine(Shop(scene)) as engine:
        try:
            return await engine.call(called.options(idempotency_key="k"), 5)
        except TerminalError as error:
            return error.message


@pytest.mark.parametrize("part", [2, 1000])
@pytest.mark.parametrize("called", [Shop.by_call, Shop.by_step, Shop.stopped])
async def test_no_crash_makes_a_difference(called: Any, part: int) -> None:
    with parts_of(part):
        assert await crash_everywhere(partial(played, called=called)) >= 8


# -- the goal


@pytest.mark.parametrize(
    ("total", "tolerance", "goal"),
    [
        (10, {}, Goal(10, 0)),
        (10, {"tolerated_failures": 3}, Goal(10, 3)),
        (100, {"tolerated_fraction": 0.29}, Goal(100, 29)),
        (10, {"tolerated_fraction": 0.19}, Goal(10, 1)),
        (10, {"min_successful": 4}, Goal(10, 6, 4)),
        (10, {"min_successful": 4, "tolerated_failures": 2, "tolerated_fraction": 1}, Goal(10, 2, 4)),
    ],
)
def test_the_strictest_tolerance_counts(total: int, tolerance: dict[str, Any], goal: Goal) -> None:
    assert Goal.of(total, tolerance) == goal


@pytest.mark.parametrize(
    "tolerance",
    [{"min_successful": 0}, {"tolerated_failures": -1}, {"tolerated_fraction": 1.1}, {"tolerated_fraction": -0.1}],
)
def test_a_tolerance_out_of_range_is_refused(tolerance: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be at least|from 0 to 1"):
        Goal.of(10, tolerance)


def test_a_goal_that_nothing_can_reach_is_missed_at_once() -> None:
    assert Tally().missed(Goal.of(2, {"min_successful": 3}))
