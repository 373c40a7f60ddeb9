"""Singletons and debounced handlers: one at a time, or only the last."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from datetime import timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable import (
    Context,
    Debounce,
    EngineStoppedError,
    Limit,
    Options,
    QueueFullError,
    Service,
    TerminalError,
    VirtualObject,
    handler,
)
from durable.context import ObjectContext
from durable.core.ids import InvocationId, write_invocation
from durable.core.invocation import Status
from durable.handlers import ServiceHandler
from durable.ingress import ingress
from durable.testing import Scene, TestEngine, crash_everywhere

SECOND = timedelta(seconds=1)
began: list[str] = []
undone: list[str] = []


class Report(Service):
    @handler(singleton="skip")
    async def skip(self, ctx: Context, name: str) -> str:
        return await self.work(ctx, name)

    @handler(singleton="queue")
    async def queue(self, ctx: Context, name: str) -> str:
        return await self.work(ctx, name)

    @handler(singleton="cancel")
    async def cancel(self, ctx: Context, name: str) -> str:
        return await self.work(ctx, name)

    @handler(debounce=Debounce(10 * SECOND, longest=25 * SECOND))
    async def last(self, ctx: Context, name: str) -> str:
        return await self.work(ctx, name)

    async def work(self, ctx: Context, name: str) -> str:
        await ctx.run("begin", began.append, name)
        try:
            await ctx.sleep(60 * SECOND)
        except TerminalError:
            await ctx.run("undo", undone.append, name)
            raise
        return name


class Asker(Service):
    @handler
    async def ask(self, ctx: Context, name: str) -> str:
        ctx.send(Report.skip, name)
        try:
            return await ctx.call(Report.skip, name)
        except TerminalError as error:
            return error.message

    @handler
    async def later(self, ctx: Context, name: str) -> None:
        ctx.send_later(SECOND, Report.last, name)


@pytest.fixture(autouse=True)
def forget() -> None:
    began.clear()
    undone.clear()


async def test_a_second_start_is_skipped_and_told_who_is_there() -> None:
    async with TestEngine(Report(), Asker()) as engine:
        first, second = await engine.send(Report.skip, "a"), await engine.send(Report.skip, "b")
        assert second.id == first.id
        other = await engine.send(Report.skip.options(singleton_key="x"), "c")
        with pytest.raises(TerminalError, match=rf"skipped: Report/skip:/skip is under way as {first.id}"):
            await engine.call(Report.skip, "d")
        asked = await engine.send(Asker.ask, "e")
        await engine.skip(61 * SECOND)

        assert [await first.result(), await other.result()] == ["a", "c"]
        assert "under way as" in await asked.result()
        assert sorted(began) == ["a", "c"]  # each in a thread of its own
        again = await engine.send(Report.skip, "f")
        await engine.skip(61 * SECOND)
        assert await again.result() == "f"


async def test_one_that_is_skipped_does_not_use_up_its_idempotency_key() -> None:
    async with TestEngine(Report()) as engine:
        keyed = Report.skip.options(idempotency_key="k")
        first, skipped = await engine.send(Report.skip, "a"), await engine.send(keyed, "b")
        await engine.skip(61 * SECOND)
        again = await engine.send(keyed, "b")
        await engine.skip(61 * SECOND)

        assert (skipped.id, await skipped.result()) == (first.id, "a")
        assert (again.id != first.id, await again.result()) == (True, "b")


async def test_starts_queue_in_order() -> None:
    async with TestEngine(Report()) as engine:
        sent = [await engine.send(Report.queue, name) for name in "abc"]
        await engine.settle()
        assert (began, [await each.status() for each in sent]) == (["a"], ["running", "pending", "pending"])

        await engine.skip(181 * SECOND)
        assert [await each.result() for each in sent] == ["a", "b", "c"]


async def test_the_newest_cancels_the_others_once_and_runs_when_they_have_ended() -> None:
    async with TestEngine(Report()) as engine:
        first = await engine.send(Report.cancel, "a")
        await engine.settle()
        second, third = await engine.send(Report.cancel, "b"), await engine.send(Report.cancel, "c")
        await engine.skip(61 * SECOND)

        assert (began, undone, await third.result()) == (["a", "c"], ["a"], "c")
        for ended in (first, second):
            with pytest.raises(TerminalError, match=r"cancelled|not found"):
                await ended.result()


async def test_the_last_of_a_burst_runs_once_nobody_comes_any_more() -> None:
    async with TestEngine(Report()) as engine:
        waiting = asyncio.ensure_future(engine.call(Report.last, "a"))
        await engine.skip(9 * SECOND)
        last = await engine.send(Report.last, "b")
        with pytest.raises(TerminalError, match="superseded: a later call came within its time"):
            await waiting
        await engine.skip(9 * SECOND)
        assert began == []
        await engine.skip(SECOND)
        assert began == ["b"]

        await engine.send(Report.last, "next")  # while it runs: its own window, and its own run
        await engine.skip(11 * SECOND)
        assert began == ["b"]
        await engine.skip(120 * SECOND)
        assert (began, await last.result()) == (["b", "next"], "b")


async def test_one_that_was_replaced_says_so_to_whoever_asks_later_also_after_a_restart() -> None:
    engine = TestEngine(Report())
    async with engine:
        first = await engine.send(Report.last.options(idempotency_key="k"), "a")
        await engine.send(Report.last, "b")
        with pytest.raises(TerminalError, match="superseded") as told:
            await first.result()
        assert (told.value.status, await first.status()) == (409, "completed")

    async with TestEngine(Report(), after=engine) as engine:
        with pytest.raises(TerminalError, match="superseded"):
            await engine.invocation(first.id).result()
        with pytest.raises(TerminalError, match="superseded"):
            await engine.call(Report.last.options(idempotency_key="k"), "a")
        await engine.skip(71 * SECOND)
        assert (began, (await engine.audit()).clean) == (["b"], True)


@pytest.mark.parametrize(
    ("handler", "said"), [(Report.skip, "whether it is skipped is"), (Report.cancel, "whom it cancels is")]
)
async def test_what_is_decided_when_it_is_sent_takes_no_delay(
    handler: ServiceHandler[Report, [str], str], said: str
) -> None:
    async with TestEngine(Report()) as engine:
        with pytest.raises(TerminalError, match=f"{said} decided when it is sent; send it without a delay"):
            await engine.send_later(SECOND, handler, "a")
        await engine.send_later(SECOND, Report.queue, "b")
        await engine.skip(62 * SECOND)
        assert began == ["b"]


MODES = (Report.skip, Report.queue, Report.cancel, Report.last)


@pytest.mark.parametrize("handler", MODES)
async def test_a_full_queue_refuses_only_who_would_have_to_wait_in_it(
    handler: ServiceHandler[Report, [str], str],
) -> None:
    limit = Limit(f"handler/Report/{handler.name}", concurrency=1, queue=0)
    async with TestEngine(Report(), options=Options(limits=(limit,))) as engine:
        first = await engine.send(handler, "a")
        await engine.settle()
        try:
            second = await engine.send(handler, "b")
        except QueueFullError:
            assert handler in (Report.queue, Report.cancel)  # it has to wait until the first has ended
        else:
            assert handler in (Report.skip, Report.last)
            assert (second.id == first.id) is (handler is Report.skip)


async def test_who_takes_the_place_of_one_that_waits_finds_room() -> None:
    limit = Limit("handler/Report/cancel", concurrency=0, queue=1)
    async with TestEngine(Report(), options=Options(limits=(limit,))) as engine:
        first, second = await engine.send(Report.cancel, "a"), await engine.send(Report.cancel, "b")
        await engine.settle()
        assert await second.status() == "ready"
        with pytest.raises(TerminalError):
            await first.result()
        assert (await engine.audit()).clean


async def test_what_is_debounced_takes_no_delay() -> None:
    async with TestEngine(Report(), Asker()) as engine:
        said = "Report/last is debounced, and waits for its window already; send it without a delay"
        with pytest.raises(TerminalError, match=said) as refused:
            await engine.send_later(SECOND, Report.last, "a")
        assert refused.value.status == 400
        with pytest.raises(TerminalError, match=said):
            await engine.call(Asker.later, "a")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(ingress(engine)), base_url="http://x") as client:
            reply = await client.post("/Report/last/send?delay=1s", json="a")
            assert (reply.status_code, reply.json()["message"]) == (400, said)
            assert (await client.post("/Report/last/send?delay=0s", json="a")).status_code == 202
        await engine.skip(71 * SECOND)
        assert began == ["a"]


async def test_a_burst_that_does_not_end_is_waited_for_only_so_long() -> None:
    async with TestEngine(Report()) as engine:
        for number in range(6):
            await engine.send(Report.last, str(number))
            await engine.skip(5 * SECOND)

        assert began == ["4"]  # accepted after 20 seconds, run after 25


async def test_a_kill_frees_the_line() -> None:
    async with TestEngine(Report()) as engine:
        first, second = await engine.send(Report.queue, "a"), await engine.send(Report.queue, "b")
        await engine.settle()
        await first.kill()
        await engine.skip(61 * SECOND)
        assert (began, await second.result()) == (["a", "b"], "b")


async def test_the_ingress_tells_them_apart_by_a_header() -> None:
    async with TestEngine(Report(), Asker()) as engine:
        transport = httpx.ASGITransport(ingress(engine))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            first = (await client.post("/Report/skip/send", json="a")).json()
            second = (await client.post("/Report/skip/send", json="b")).json()
            assert (second["invocationId"], second["status"]) == (first["invocationId"], "PreviouslyAccepted")
            skipped = await client.post("/Report/skip", json="c")
            assert (skipped.status_code, first["invocationId"] in skipped.json()["message"]) == (409, True)
            other = await client.post("/Report/skip/send", json="d", headers={"x-durable-singleton-key": "d"})
            assert other.json()["status"] == "Accepted"
            bad = await client.post("/Asker/ask", json="d", headers={"x-durable-singleton-key": "d"})
            assert bad.status_code == 400


async def test_idempotent_calls_of_a_singleton_are_one_call() -> None:
    async with TestEngine(Report()) as engine:
        keyed = Report.queue.options(idempotency_key="k")
        first, second = await engine.send(keyed, "a"), await engine.send(keyed, "a")
        assert first.id == second.id == (await engine.lookup(keyed)).id


@pytest.mark.parametrize("how", [Report.skip, Report.queue, Report.cancel, Report.last], ids=lambda how: how.name)
async def test_whatever_crashes_a_call_runs_to_its_end(how: ServiceHandler[Context, [str], str]) -> None:
    async def scenario(scene: Scene) -> str:
        async with scene.engine(Report()) as engine:
            sent = await engine.send(how.options(idempotency_key="a"), "a")
            await engine.skip(200 * SECOND)
            return await sent.result()

    assert await crash_everywhere(scenario) >= 6


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
async def test_never_two_at_once_whatever_happens(seed: int) -> None:
    rng, engine = random.Random(seed), TestEngine(Report())
    for _ in range(3):
        engine = TestEngine(Report(), after=engine, crash_at=rng.choice([None, rng.randrange(1, 30)]))
        with suppress(EngineStoppedError):
            async with engine:
                ids: list[str] = []
                for _ in range(20):
                    what = rng.choice([Report.skip, Report.queue, Report.cancel, Report.last])
                    with suppress(TerminalError):
                        if ids and rng.random() < 0.3:
                            handle = engine.invocation(rng.choice(ids))
                            await rng.choice([handle.cancel, handle.kill, handle.pause, handle.resume])()
                        else:
                            ids.append((await engine.send(what.options(singleton_key=rng.choice("xy")), "")).id)
                    await engine.skip(timedelta(seconds=rng.randrange(40)))
                    assert engine.door.stopped or (await engine.audit()).clean
    async with TestEngine(Report(), after=engine) as engine:
        for row in list(engine.disk.invocations.values()):
            if row.status is Status.PAUSED:
                await engine.invocation(_name(row.id)).resume()
        await engine.skip(timedelta(hours=2))
        assert {row.status for row in engine.disk.invocations.values()} <= {Status.COMPLETED}
        assert (await engine.audit()).clean


def _name(id: InvocationId) -> str:
    return write_invocation(id)


class Basket(VirtualObject):
    @handler(singleton="skip")
    async def add(self, ctx: ObjectContext) -> None: ...


def test_only_a_service_has_singletons() -> None:
    with pytest.raises(TypeError, match="its calls stand in the line of that key already"):
        TestEngine(Basket())


@pytest.mark.parametrize(
    "keywords",
    [{"singleton": "first"}, {"debounce": SECOND}, {"singleton": "skip", "debounce": Debounce(SECOND)}],
)
def test_what_makes_no_sense_is_refused(keywords: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError), match=r"singleton|debounce"):
        handler(**keywords)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "debounce", [(timedelta(0),), (SECOND, timedelta(0)), (5,), (2 * SECOND, SECOND), (timedelta.max,)]
)
def test_windows_are_longer_than_nothing_and_end(debounce: tuple[object, ...]) -> None:
    with pytest.raises((TypeError, ValueError), match=r"window|longest"):
        Debounce(*debounce)  # type: ignore[arg-type]
