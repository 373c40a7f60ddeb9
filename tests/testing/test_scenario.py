"""``crash_everywhere``: what a crash makes happen twice is found, and where."""

from __future__ import annotations

import asyncio
import inspect
import re
from datetime import timedelta
from uuid import uuid4

import pytest

from durable import Context, ObjectContext, Service, State, VirtualObject, handler
from durable.testing import CrashError, Scene, crash_everywhere


class Gateway:
    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    async def charge(self, key: str | None) -> None:
        self.scene.effect("charge", key)

    async def charge_anew(self) -> None:
        self.scene.effect("charge", str(uuid4()))


class Shop(Service):
    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    @handler
    async def right(self, ctx: Context, order: str) -> str:
        await ctx.run("charge", self.gateway.charge, order)
        await ctx.run("thank", self.gateway.charge, f"{order} again")
        return order

    @handler
    async def bare(self, ctx: Context, order: str) -> str:
        await self.gateway.charge(None)
        await ctx.run("thank", self.gateway.charge, order)
        return order

    @handler
    async def keyless(self, ctx: Context, order: str) -> str:
        await ctx.run("charge", self.gateway.charge_anew)
        return order


def line_of(text: str) -> str:
    lines, start = inspect.getsourcelines(Shop)
    return f"{__file__}:{start + next(number for number, line in enumerate(lines) if text in line)}"


def scenario(target: str):
    async def play(scene: Scene) -> str:
        gateway = scene.outside(lambda: Gateway(scene))
        called = {"right": Shop.right, "bare": Shop.bare, "keyless": Shop.keyless}[target]
        async with scene.engine(Shop(gateway)) as engine:
            return await engine.call(called.options(idempotency_key="o-1"), "o-1")

    return play


async def test_steps_with_stable_keys_survive_a_crash_at_each_commit():
    assert await crash_everywhere(scenario("right")) == 6


async def test_an_effect_outside_of_a_step_is_found_at_its_line():
    with pytest.raises(CrashError) as caught:
        await crash_everywhere(scenario("bare"))

    assert "'charge' happened 3 times, without a crash twice" in str(caught.value)
    assert f"at {line_of('self.gateway.charge(None)')}, outside of any step, without a key" in str(caught.value)


async def test_a_step_whose_key_changes_is_found_at_its_line():
    with pytest.raises(CrashError) as caught:
        await crash_everywhere(scenario("keyless"))

    assert "crash before commit 2 of 2" in str(caught.value)
    assert f"at {line_of('self.gateway.charge_anew')}, step 'charge' of Shop.keyless" in str(caught.value)


async def test_another_result_is_found():
    async def play(scene: Scene) -> int:
        lives = scene.outside(list[int])
        lives.append(1)
        async with scene.engine(Shop(Gateway(scene))) as engine:
            await engine.call(Shop.right.options(idempotency_key="o-1"), "o-1")
        return len(lives)

    with pytest.raises(CrashError, match="the result was 2, without a crash it is 1"):
        await crash_everywhere(play)


async def test_a_scenario_that_fails_by_itself_raises_its_own_error():
    async def play(scene: Scene) -> None:
        async with scene.engine(Shop(Gateway(scene))):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await crash_everywhere(play)


async def test_a_scenario_without_a_commit_is_refused():
    async def play(scene: Scene) -> None:
        pass

    with pytest.raises(ValueError, match="made no commit"):
        await crash_everywhere(play)


class Forked(Service):
    """Goes another way in each attempt: one whose journal says otherwise is paused."""

    def __init__(self, scene: Scene, attempts: list[int]) -> None:
        self.scene, self.attempts = scene, attempts

    @handler
    async def buy(self, ctx: Context, order: str) -> str:
        self.attempts.append(1)
        await ctx.run("look", str)
        await ctx.run(f"charge {len(self.attempts)}", self.scene.effect, "charge", order)
        return order

    @handler
    async def relay(self, ctx: Context, order: str) -> str:
        return await ctx.call(Forked.buy, order)


BUY = Forked.buy.options(idempotency_key="o-1")
RELAY = Forked.relay.options(idempotency_key="o-1")


@pytest.mark.parametrize("called", [BUY, RELAY], ids=["by itself", "by another"])
async def test_a_caller_of_what_is_paused_is_told_why_and_after_which_crash(called):
    async def play(scene: Scene) -> str:
        attempts = scene.outside(list[int])
        async with scene.engine(Forked(scene, attempts)) as engine:
            return await engine.call(called, "o-1")

    async with asyncio.timeout(20):
        with pytest.raises(CrashError) as caught:
            await crash_everywhere(play)

    said = str(caught.value)
    assert re.search(
        r"crash after commit \d of \d\n  the scenario, played again after it, waits for ever:\n    Forked/", said
    )
    assert "deployed, and it is resumed: replay diverged at journal entry" in said


async def test_a_caller_of_what_fails_after_a_crash_is_told_why():
    class Absent(Service):
        def __init__(self, memory: list[str]) -> None:
            self.memory = memory

        @handler
        async def buy(self, ctx: Context, order: str) -> str:
            await ctx.run("keep", self.memory.append, order)
            await ctx.run("look", str)
            return self.memory[0]

    async def play(scene: Scene) -> str:
        async with scene.engine(Absent([])) as engine:
            return await engine.call(Absent.buy.options(idempotency_key="o-1"), "o-1")

    async with asyncio.timeout(20):
        with pytest.raises(CrashError, match="attempt 1 failed: IndexError"):
            await crash_everywhere(play)


async def test_a_scenario_that_waits_for_ever_without_any_crash_says_so():
    class Broken(Service):
        @handler
        async def buy(self, ctx: Context) -> None:
            raise LookupError("mine")

    async def play(scene: Scene) -> None:
        async with scene.engine(Broken()) as engine:
            await engine.call(Broken.buy)

    async with asyncio.timeout(20):
        with pytest.raises(CrashError, match=r"without any crash .* for ever:\n.*\n.*LookupError.*mine"):
            await crash_everywhere(play)


async def test_a_scenario_may_resume_what_is_paused():
    async def play(scene: Scene) -> str:
        async with scene.engine(Shop(Gateway(scene))) as engine:
            engine.faults.hang("charge")
            invocation = await engine.send(Shop.right.options(idempotency_key="o-1"), "o-1")
            result = asyncio.ensure_future(invocation.result())
            await engine.settle()
            await invocation.pause()
            await engine.settle()
            await invocation.resume()
            engine.faults.release("charge")
            return await result

    assert await Scene().play(play) == "o-1"


class Till(VirtualObject):
    """Each of its calls is one commit."""

    total = State(int, default=lambda: 0)

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    @handler
    async def add(self, ctx: ObjectContext) -> int:
        total = await ctx.get(self.total) + 1
        ctx.set(self.total, total)
        return total

    @handler
    async def ring(self, ctx: ObjectContext) -> None:
        self.scene.effect("bell")

    @handler
    async def close(self, ctx: ObjectContext) -> None:
        await ctx.sleep(timedelta(hours=1))


async def test_what_is_wrong_only_after_a_commit_was_written_is_found():
    async def play(scene: Scene) -> int:
        async with scene.engine(Till(scene)) as engine:
            return await engine.call(Till.add, "k")  # without an idempotency key: accepted twice

    with pytest.raises(CrashError) as caught:
        await crash_everywhere(play)

    assert str(caught.value).startswith("1 differences in 2 crashes\ncrash after commit 1 of 1\n  the result was 2,")


async def test_what_is_wrong_only_before_a_commit_is_written_is_found():
    async def play(scene: Scene) -> None:
        async with scene.engine(Till(scene)) as engine:
            await engine.call(Till.ring.options(idempotency_key="1"), "k")

    with pytest.raises(CrashError) as caught:
        await crash_everywhere(play)

    said = "1 differences in 2 crashes\ncrash before commit 1 of 1\n  'bell' happened twice"
    assert str(caught.value).startswith(said)


async def test_a_disk_that_is_not_as_it_must_be_is_found():
    async def play(scene: Scene) -> None:
        async with scene.engine(Till(scene)) as engine:
            await engine.send(Till.close.options(idempotency_key="1"), "k")
            await engine.settle()
        engine.disk.timers.clear()

    with pytest.raises(CrashError, match=r"crash before commit 1 of \d\n  the audit found .*timer"):
        await crash_everywhere(play)
