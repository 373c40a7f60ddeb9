"""Limits in a running engine: what waits, what goes on, what survives."""

from __future__ import annotations

import asyncio
import random
import re
import sys
from collections import Counter
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable import (
    Context,
    Engine,
    EngineStoppedError,
    Limit,
    ObjectContext,
    ObjectSharedContext,
    Options,
    QueueFullError,
    Rate,
    Service,
    State,
    TerminalError,
    VirtualObject,
    handler,
)
from durable.core.ids import write_invocation
from durable.core.invocation import Invocation, Status
from durable.core.lanes import LaneKey, Mode
from durable.flow import LimitSet
from durable.ingress import ingress
from durable.store import Store
from durable.store.sqlite import SQLiteStore
from durable.testing import TestEngine

SECOND = timedelta(seconds=1)
ran: list[str] = []
gate = asyncio.Event()


class Work(Service, limit="tenant"):
    @handler
    async def do(self, ctx: Context, name: str) -> str:
        await ctx.run("note", ran.append, name)
        return name

    @handler
    async def rest(self, ctx: Context, name: str) -> str:
        await ctx.sleep(SECOND)
        await ctx.run("note", ran.append, name)
        return name

    @handler
    async def wait(self, ctx: Context, name: str) -> str:
        return await ctx.signal("go", str)

    @handler
    async def pass_gate(self, ctx: Context, name: str) -> str:
        await ctx.run("gate", gate.wait)
        await ctx.run("note", ran.append, name)
        return name

    @handler
    async def nest(self, ctx: Context, depth: int) -> int:
        return 0 if depth == 0 else 1 + await ctx.call(Work.nest, depth - 1)

    @handler
    async def map(self, ctx: Context, names: list[str]) -> list[str]:
        return await ctx.map(Work.do.options(limit_key="a", priority=3), names)

    @handler
    async def sleep_and_nest(self, ctx: Context) -> int:
        await ctx.sleep(5 * SECOND)
        return await ctx.call(Work.nest, 0)

    @handler
    async def fan(self, ctx: Context, names: list[str]) -> None:
        for name in names:
            ctx.send(Work.do.options(limit_key=name, priority=3), name)


class Declared(Service):
    @handler(concurrency=1, queue=2, hold=True)
    async def narrow(self, ctx: Context) -> str:
        return await ctx.signal("go", str)

    @handler(rate=Rate(2, SECOND))
    async def slow(self, ctx: Context, name: str) -> str:
        return name


class Line(VirtualObject):
    said = State(list[int], default=list)

    @handler
    async def add(self, ctx: ObjectContext, number: int) -> list[int]:
        said = [*await ctx.get(self.said), number]
        await ctx.sleep(SECOND)
        ctx.set(self.said, said)
        return said

    @handler
    async def share(self, ctx: ObjectSharedContext) -> None:
        """Of its key's limits only."""


def an_engine(*limits: Limit, after: TestEngine | None = None, crash_at: int | None = None) -> TestEngine:
    options = Options(limits=limits)
    return TestEngine(Work(), Declared(), Line(), options=options, after=after, crash_at=crash_at)


@pytest.fixture(autouse=True)
def forget() -> None:
    global gate
    ran.clear()
    gate = asyncio.Event()  # one belongs to the loop in which somebody waited for it


async def test_a_wait_gives_the_slot_to_the_next() -> None:
    async with an_engine(Limit("service/Work", concurrency=1)) as engine:
        first, second = await engine.send(Work.wait, "a"), await engine.send(Work.wait, "b")
        third = await engine.send(Work.do, "c")
        await engine.settle()

        assert [await each.status() for each in (first, second, third)] == ["suspended", "suspended", "completed"]


async def test_calls_under_one_limit_do_not_wait_for_each_other_for_ever() -> None:
    async with an_engine(Limit("engine", concurrency=1)) as engine:
        assert await engine.call(Work.nest, 5) == 5


class Knot(Service):
    @handler
    async def end(self, ctx: Context) -> None:
        await gate.wait()

    @handler
    async def rest(self, ctx: Context) -> None:
        await gate.wait()
        await ctx.sleep(3600 * SECOND)

    @handler
    async def busy(self, ctx: Context) -> None:
        await asyncio.Event().wait()

    @handler
    async def last(self, ctx: Context) -> None: ...


async def test_who_begins_to_wait_while_a_free_slot_is_being_taken_gives_its_own_away() -> None:
    options = Options(limits=(Limit("engine", concurrency=2),), inactivity=3600 * SECOND, strict=False)
    async with asyncio.timeout(10), TestEngine(Knot(), options=options) as engine:
        await engine.send(Knot.end)
        rests = await engine.send(Knot.rest)
        await engine.send(Knot.busy)
        last = await engine.send(Knot.last)

        gate.set()
        await last.result()

        assert await rests.status() == "suspended"


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("service/Wrok", "no service of this engine; there are: Declared, Line, Work"),
        ("key/Lien/x", "no service with keys of this engine; there are: Line"),
        ("key/Work/x", "no service with keys of this engine; there are: Line"),
        (
            "handler/Work/dew",
            "no handler of this engine; there are: Declared/narrow, Declared/slow",
        ),
        ("handler/*/dew", "no handler of this engine"),
        ("limit/tenants/*", "no named limit, see @handler(limit=...) of this engine; there are: tenant"),
    ],
)
async def test_what_code_limits_is_there(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"limit {pattern} is for {said}")):
        async with an_engine(Limit(pattern, concurrency=1)):
            pass


@pytest.mark.parametrize("pattern", ["service/*", "handler/*/do", "key/Line/x", "limit/*", "limit/tenant/*/eu"])
async def test_what_is_there_can_be_limited(pattern: str) -> None:
    async with an_engine(Limit(pattern, concurrency=1)) as engine:
        await engine.limits.put(Limit("service/Elsewhere", concurrency=1))  # another version of the code may have it
        assert [limit.pattern for limit in engine.limits.all()].count(pattern) == 1


def test_a_handler_holds_what_is_counted() -> None:
    with pytest.raises(ValueError, match="hold keeps the slots of a concurrency, and there is none"):
        handler(hold=True)  # type: ignore[call-overload]


async def test_the_largest_limits_can_be_stored(tmp_path: Path) -> None:
    largest, years = 2**31 - 1, timedelta(days=3653)
    slow = Limit("service/Work", largest, Rate(1, years, burst=100), largest)
    fast = Limit("service/Work", largest, Rate(largest, timedelta(milliseconds=1), burst=largest), largest)
    for limit in (fast, slow):
        async with Engine(tmp_path / "work.db", Work()) as engine:
            await engine.limits.put(limit)
            await asyncio.gather(*(engine.call(Work.do, "a") for _ in range(100)))
    async with Engine(tmp_path / "work.db", Work()) as engine:
        late = await engine.send(Work.do, "late")
        (usage,) = engine.limits.usage()
        assert (await late.status(), usage.next_start is not None) == ("ready", True)


async def test_a_slot_that_is_held_keeps_others_out_and_why_says_so() -> None:
    async with an_engine(Limit("handler/Work/*", concurrency=1, hold=True)) as engine:
        first, second = await engine.send(Work.wait, "a"), await engine.send(Work.wait, "b")
        await engine.settle()

        assert await second.status() == "ready"
        assert "handler/Work/wait lets 1 run at once, and 1 do (by the limit handler/Work/*)" in str(await second.why())
        await first.signal("go", "on")
        await engine.settle()
        assert (await first.status(), await second.status()) == ("completed", "running")


async def test_why_says_when_the_rate_lets_it_start() -> None:
    async with an_engine() as engine:
        sent = [await engine.send(Declared.slow, name) for name in "abc"]
        await engine.settle()

        (reason, *_) = (await sent[2].why()).reasons
        assert reason.what == "handler/Declared/slow lets 2 start in 0:00:01"
        assert reason.due_ms == engine.clock.now_ms() + 500
        await engine.skip(SECOND)
        assert [await each.result() for each in sent] == ["a", "b", "c"]


async def test_a_full_line_refuses_and_says_when_to_come_back() -> None:
    async with an_engine() as engine:
        sent = [await engine.send(Declared.narrow) for _ in range(3)]
        with pytest.raises(QueueFullError, match="narrow lets 2 wait, and 2 do: send it again later") as refused:
            await engine.send(Declared.narrow)
        assert (refused.value.status, refused.value.retry_after) == (429, SECOND)

        await sent[0].cancel()
        await engine.settle()
        await engine.send(Declared.narrow)


async def test_the_line_of_each_key_is_bounded_and_goes_on_being_so_after_a_restart() -> None:
    bound = Limit("key/Line/*", queue=1)
    engine = an_engine(bound)
    async with engine:
        for number in range(2):
            await engine.send(Line.add, "x", number)
        with pytest.raises(QueueFullError, match=r"key/Line/x lets 1 wait, and 1 do.*by the limit key/Line/\*"):
            await engine.send(Line.add, "x", 2)
        await engine.send(Line.add, "y", 0)

    async with an_engine(bound, after=engine) as engine:
        with pytest.raises(QueueFullError):
            await engine.send(Line.add, "x", 2)
        await engine.skip(3 * SECOND)
        await engine.send(Line.add, "x", 2)
        assert (await engine.audit()).clean


async def test_the_whole_engine_is_bounded_and_handlers_are_never_refused() -> None:
    async with an_engine(Limit("engine", concurrency=1, queue=2, hold=True)) as engine:
        sent = [await engine.send(Work.wait, name) for name in "abc"]
        with pytest.raises(QueueFullError, match="engine lets 2 wait, and 2 do"):
            await engine.send(Work.wait, "d")
        await engine.send_later(SECOND, Work.do, "later")
        await engine.limits.put(Limit("engine", concurrency=1, queue=0))
        await engine.skip(2 * SECOND)
        for each in sent:
            await each.signal("go", "on")
        await engine.settle()
        await engine.call(Work.fan, ["e", "f"])
        await engine.settle()
        assert sorted(ran) == ["e", "f", "later"]


async def test_limits_are_put_and_removed_while_it_runs_and_survive_it() -> None:
    engine = an_engine(Limit("limit/tenant/*", concurrency=5))
    async with engine:
        await engine.limits.put(Limit("limit/tenant/*", concurrency=1, hold=True))
        await engine.limits.put(Limit("limit/tenant/vip", concurrency=3, hold=True))
        sent = [await engine.send(Work.wait.options(limit_key=key), "") for key in ("a", "a", "vip", "vip", "vip")]
        await engine.settle()
        assert Counter([await each.status() for each in sent]) == {"running": 4, "ready": 1}

    engine = an_engine(Limit("limit/tenant/*", concurrency=5), after=engine)
    async with engine:
        await engine.settle()
        assert Counter([await each.status() for each in sent_again(engine, sent)]) == {"suspended": 4, "ready": 1}
        assert [limit.pattern for limit in engine.limits.all()] == [
            "handler/Declared/narrow", "handler/Declared/slow", "limit/tenant/*", "limit/tenant/vip",
        ]  # fmt: skip

        await engine.limits.remove("limit/tenant/*")

        await engine.settle()
        assert "ready" not in [await each.status() for each in sent_again(engine, sent)]
        with pytest.raises(TerminalError, match=r"no limit was put for limit/tenant/\*; the code says it"):
            await engine.limits.remove("limit/tenant/*")
        assert (await engine.audit()).clean


def sent_again(engine: Engine, sent: list[object]) -> list[object]:
    return [engine.invocation(each.id) for each in sent]  # type: ignore[attr-defined]


async def test_a_rate_goes_on_where_it_was_after_a_restart() -> None:
    engine = an_engine()
    async with engine:
        await engine.limits.put(Limit("handler/Work/do", rate=Rate(1, timedelta(hours=1))))
        await engine.call(Work.do, "a")
        waits = await engine.send(Work.do, "b")

    async with an_engine(after=engine) as engine:
        await engine.skip(timedelta(minutes=59))
        assert ran == ["a"]
        await engine.skip(timedelta(minutes=1))
        assert ran == ["a", "b"]
        assert await engine.invocation(waits.id).status() == "completed"


async def test_a_smaller_limit_holds_for_what_is_recovered() -> None:
    limit = Limit("handler/Work/pass_gate", concurrency=2)
    with suppress(EngineStoppedError):
        async with an_engine() as dead:
            for number in range(5):
                await dead.send(Work.pass_gate, str(number))
            async with an_engine(limit, after=dead) as engine:
                assert Counter(row.status for row in await rows(engine)) == {Status.RUNNING: 2, Status.READY: 3}
                watch = Watch(engine, limit)
                gate.set()
                await engine.settle()
                assert (sorted(ran), watch.seen > 0) == (list("01234"), True)


@pytest.mark.parametrize("deaths", [1, 2])
async def test_who_ran_and_who_held_is_counted_before_anybody_is_let_in(deaths: int) -> None:
    """Everything of a crash at once: some run, some hold, some wait; after two deaths those who ran are tried first."""
    limits = (Limit("handler/Work/wait", concurrency=2, hold=True), Limit("handler/Work/pass_gate", concurrency=1))
    async with AsyncExitStack() as dead:
        engine = await an_engine_that_dies(dead, *limits)
        sent = [await engine.send(Work.wait, "") for _ in range(4)]
        await engine.settle()
        passes = [await engine.send(Work.pass_gate, str(number)) for number in range(3)]
        ids = [each.id for each in (*sent, *passes)]
        before = [await engine.invocation(id).status() for id in ids]
        assert before == ["running", "running", "ready", "ready", "running", "ready", "ready"]
        for _ in range(1, deaths):
            engine = await an_engine_that_dies(dead, *limits, after=engine)
            assert [await engine.invocation(id).status() for id in ids] == before
        gate.set()  # so that a trial is soon over
        async with an_engine(*limits, after=engine) as engine:
            watch = Watch(engine, *limits)
            used = {use.path: use.running for use in engine.limits.usage()}
            assert used["handler/Work/wait"] == 2  # of the others one may have passed the gate by now
            for id in ids[:4]:
                await engine.invocation(id).signal("go", "on")
            await engine.settle()
            assert (ran, {await engine.invocation(id).status() for id in ids}) == (list("012"), {"completed"})
            assert watch.seen
            assert (await engine.audit()).clean


async def an_engine_that_dies(dead: AsyncExitStack, *limits: Limit, after: TestEngine | None = None) -> TestEngine:
    """Another one takes its file, while its handlers are under way."""
    dead.push(lambda error, *_: error is None or error is EngineStoppedError)
    return await dead.enter_async_context(an_engine(*limits, after=after))


async def test_a_slot_that_is_kept_for_who_has_ended_is_a_finding(tmp_path: Path) -> None:
    limit = Limit("handler/Work/wait", concurrency=1, hold=True)
    async with OnSQLite(tmp_path / "db", limit) as engine:
        first = await engine.send(Work.wait, "")
        await engine.settle()
        assert (await Engine.audit(engine)).clean
        slots = engine._open.kernel.ledger.admission.slots
        (slot,) = slots.items()
        await first.kill()
        slots.update([slot])

        (_, ended) = (await Engine.audit(engine)).findings
        assert str(ended) == f"I8 limits: invocation {slot[0].hex()} has ended, and has slots"


async def test_a_slot_that_is_held_is_held_in_the_next_life_too() -> None:
    engine = an_engine(Limit("handler/Work/wait", concurrency=1))
    async with engine:
        first = await engine.send(Work.wait, "a")
        await engine.settle()
        await engine.limits.put(Limit("handler/Work/wait", concurrency=1, hold=True))  # while it runs

    async with an_engine(after=engine) as engine:
        second = await engine.send(Work.wait, "b")
        await engine.settle()
        assert await second.status() == "ready"
        await engine.invocation(first.id).kill()
        await engine.settle()
        assert await second.status() == "running"


async def test_a_rate_of_an_empty_key_goes_on_after_a_restart() -> None:
    engine = an_engine(Limit("key/Line/*", rate=Rate(1, timedelta(hours=1))))
    async with engine:
        await engine.call(Line.share, "")

    async with an_engine(Limit("key/Line/*", rate=Rate(1, timedelta(hours=1))), after=engine) as engine:
        again = await engine.send(Line.share, "")
        other = await engine.send(Line.share, "x")
        await engine.settle()
        assert (await again.status(), await other.status()) == ("ready", "completed")


async def test_who_waits_gives_its_slot_to_who_waited_for_a_rate_until_then() -> None:
    """The caller got its slot while the rate kept its callee, and all others, from starting."""
    limit = Limit("engine", concurrency=1, rate=Rate(1, timedelta(seconds=10)))
    options = Options(limits=(limit,), inactivity=timedelta(hours=2))
    async with TestEngine(Work(), options=options) as engine:
        caller = await engine.send(Work.sleep_and_nest)
        await engine.settle()
        await engine.send(Work.do, "other")
        await engine.skip(timedelta(seconds=40))

        assert (ran, await caller.status()) == (["other"], "completed")


async def test_two_limits_are_put_or_none() -> None:
    async with an_engine() as engine:
        with pytest.raises(ValueError, match="two limits are for engine"):
            await engine.limits.put(Limit("engine", concurrency=1), Limit("engine", concurrency=2))
        assert "engine" not in {limit.pattern for limit in engine.limits.all()}
        await engine.limits.put(Limit("engine", concurrency=1), Limit("service/Work", concurrency=2))
        assert {"engine", "service/Work"} <= {limit.pattern for limit in engine.limits.all()}


async def test_why_of_a_burst_says_when_the_next_may_start() -> None:
    async with an_engine(Limit("handler/Work/do", rate=Rate(1, SECOND, burst=3))) as engine:
        sent = [await engine.send(Work.do, name) for name in "abcd"]
        await engine.settle()

        (reason, *_) = (await sent[3].why()).reasons
        assert reason.due_ms == engine.clock.now_ms() + 1000


async def rows(engine: TestEngine) -> list[Invocation]:
    """As they are, or will be on the disk."""
    return [await engine.door.look(write_invocation(row.id)) for row in engine.disk.invocations.values()]


async def test_calls_of_a_handler_carry_their_limit_key_and_priority() -> None:
    async with an_engine(Limit("limit/tenant/a", concurrency=0)) as engine:
        await engine.call(Work.fan, ["a", "b"])
        await engine.settle()

        assert ran == ["b"]
        (usage,) = (each for each in engine.limits.usage() if each.path == "limit/tenant/a")
        assert (usage.running, usage.waiting) == (0, 1)


async def test_so_do_those_of_a_map() -> None:
    async with an_engine() as engine:
        await engine.call(Work.map, ["x", "y"])

        requests = [row.request for row in engine.disk.invocations.values() if row.request.target.handler == "do"]
        assert [(each.limit, each.priority) for each in requests] == [("tenant/a", 3)] * 2


def test_a_limit_key_needs_a_limit() -> None:
    with pytest.raises(ValueError, match=r"Declared.slow counts for no named limit"):
        Declared.slow.options(limit_key="a")


class OnSQLite(TestEngine):
    def __init__(self, path: Path, *limits: Limit, after: TestEngine | None = None) -> None:
        super().__init__(Work(), options=Options(limits=limits), after=after)
        self._path = path

    def _open_store(self) -> Store:
        return SQLiteStore(self._path)


async def test_a_long_line_is_on_the_disk_and_is_let_in_in_order(tmp_path: Path) -> None:
    closed = Limit("handler/Work/do", concurrency=0)
    engine = OnSQLite(tmp_path / "db", closed)
    async with engine:
        for number in range(450):
            await engine.send(Work.do.options(limit_key=f"t{number % 2}"), str(number))
        (usage,) = engine.limits.usage()
        assert usage.waiting == 450

    async with OnSQLite(tmp_path / "db", closed, after=engine) as engine:
        assert ran == []
        assert (await Engine.audit(engine)).clean
        await engine.limits.put(Limit("handler/Work/do", concurrency=1))
        await engine.settle()

        assert sorted(map(int, ran)) == list(range(450))
        for tenant in (0, 1):
            mine = [int(name) for name in ran if int(name) % 2 == tenant]
            assert mine == sorted(mine)
        assert (await Engine.audit(engine)).clean


async def test_the_ingress_takes_limit_keys_and_refuses_what_has_no_room() -> None:
    async with an_engine(Limit("limit/tenant/a", concurrency=0, queue=1)) as engine:
        transport = httpx.ASGITransport(ingress(engine))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            key = {"x-restate-limit-key": "a"}
            assert (await client.post("/Work/do/send", json="x", headers=key)).status_code == 202
            full = await client.post("/Work/do/send?limit-key=a", json="x")
            assert (full.status_code, full.headers["retry-after"]) == (429, "1")
            assert "limit/tenant/a lets 1 wait, and 1 do" in full.json()["message"]
            other = await client.post(
                "/Work/do", json="y", headers={"x-restate-limit-key": "b", "x-durable-priority": "9"}
            )
            assert other.json() == "y"
            for headers, message in (
                ({"x-restate-limit-key": "a/b/c"}, "invalid limit-key: too many path components"),
                ({"x-restate-limit-key": "a b"}, "invalid limit-key: a limit key is"),
                ({"x-durable-priority": "10"}, "bad priority"),
            ):
                bad = await client.post("/Work/do", json="x", headers=headers)
                assert (bad.status_code, message in bad.json()["message"]) == (400, True)


class Watch:
    """Looks at every commit: never more than the limit run at once."""

    def __init__(self, engine: TestEngine, *limits: Limit) -> None:
        self.limits, self.seen = LimitSet(limits), 0
        write = engine.disk.write

        def checked(commit: object) -> None:
            write(commit)  # type: ignore[arg-type]
            self.look(engine.disk.invocations.values())  # type: ignore[arg-type]

        engine.disk.write = checked  # type: ignore[method-assign]

    def look(self, rows: list[Invocation]) -> None:
        counts = Counter(
            path
            for row in rows
            if row.status is Status.RUNNING
            for path in LaneKey.of(row.request, Mode.START, keyed=True).paths()
        )
        for path, count in counts.items():
            limit = self.limits.of(path)
            if limit is not None and limit.concurrency is not None:
                self.seen += 1
                assert count <= limit.concurrency, path


RANDOM_LIMITS = (
    Limit("engine", concurrency=6),
    Limit("service/Work", concurrency=3),
    Limit("handler/Work/rest", rate=Rate(5, SECOND, burst=3)),
    Limit("limit/tenant/*", concurrency=1),
    Limit("limit/tenant/b", concurrency=2, hold=True),
    Limit("key/Line/*", concurrency=1),
)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32))
async def test_whatever_happens_limits_hold_and_everybody_ends(seed: int) -> None:
    ran.clear()
    rng, sent, added = random.Random(seed), list[str](), dict[str, list[int]]()
    engine = an_engine(*RANDOM_LIMITS)
    watch = Watch(engine, *RANDOM_LIMITS)
    for _ in range(4):
        engine = an_engine(*RANDOM_LIMITS, after=engine, crash_at=rng.choice([None, rng.randrange(1, 40)]))
        with suppress(EngineStoppedError):
            async with engine:
                for _ in range(25):
                    await disturb(engine, rng, sent, added)
                    assert engine.door.stopped or (await engine.audit()).clean
    async with an_engine(*RANDOM_LIMITS, after=engine) as engine:
        for id in sent:
            with suppress(TerminalError):
                await engine.door.control("resume", id)
            with suppress(TerminalError):
                await engine.invocation(id).signal("go", "end")
        await engine.skip(300 * SECOND)
        statuses = {row.status for row in engine.disk.invocations.values()}
        assert statuses <= {Status.COMPLETED}
        assert all(usage.running == usage.waiting == 0 for usage in engine.limits.usage())
        assert (await engine.audit()).clean
        for key in added:
            state = await engine.door.state("Line", key)  # none, if an engine died before it accepted the first
            said = msgspec.json.decode(state.get("said", b"[]"), type=list[int])
            assert said == sorted(said)
    assert watch.seen


async def disturb(engine: TestEngine, rng: random.Random, sent: list[str], added: dict[str, list[int]]) -> None:
    """One thing that somebody does, or that the clock does."""
    what = rng.choice(["do", "rest", "wait", "nest", "add", "cancel", "kill", "pause", "resume", "signal", "skip"])
    try:
        if what in ("do", "rest", "wait", "nest"):
            sent.append(await start(engine, rng, what))
        elif what == "add":
            numbers = added.setdefault(rng.choice("xy"), [])
            numbers.append(len(numbers))
            await engine.send(Line.add, "x" if numbers is added.get("x") else "y", len(numbers))
        elif what == "skip":
            await engine.skip(timedelta(milliseconds=rng.randrange(1500)))
        elif sent:
            handle = engine.invocation(rng.choice(sent))
            await (handle.signal("go", "on") if what == "signal" else getattr(handle, what)())
    except TerminalError:
        pass  # it had ended, say
    if rng.random() < 0.3:
        await engine.settle()


async def start(engine: TestEngine, rng: random.Random, what: str) -> str:
    tenant, priority = rng.choice(["a", "b", "b/eu", "c"]), rng.randrange(10)
    if what == "nest":
        nest = Work.nest.options(limit_key=tenant, priority=priority)
        return (await engine.send(nest, rng.randrange(4))).id
    named = {"do": Work.do, "rest": Work.rest, "wait": Work.wait}[what]
    return (await engine.send(named.options(limit_key=tenant, priority=priority), what)).id


if __name__ == "__main__":  # python -m tests.runtime.test_limits FIRST LAST
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        anyio.run(test_whatever_happens_limits_hold_and_everybody_ends.hypothesis.inner_test, number)  # type: ignore[attr-defined]
        print("seed", number, flush=True)
