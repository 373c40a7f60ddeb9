"""``crash_everywhere``: what a crash makes happen twice is found, and where."""

from __future__ import annotations

import inspect
from uuid import uuid4

import pytest

from durable import Context, Service, handler
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
