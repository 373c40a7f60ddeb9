"""``TestEngine.freeze``: what callers of a busy key see."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from durable import ObjectContext, ObjectSharedContext, Options, State, VirtualObject, handler
from durable.ingress import ingress
from durable.testing import Scene, TestEngine, crash_everywhere, replay_check


class Cart(VirtualObject):
    items = State(list[str], default=list[str])

    @handler
    async def add(self, ctx: ObjectContext, item: str) -> int:
        items = [*await ctx.get(self.items), item]
        ctx.set(self.items, items)
        return len(items)

    @handler
    async def rest(self, ctx: ObjectContext) -> None:
        await ctx.sleep(timedelta(days=1))

    @handler
    async def show(self, ctx: ObjectSharedContext) -> list[str]:
        return await ctx.get(self.items)


class Other(VirtualObject):
    @handler
    async def do(self, ctx: ObjectContext) -> None: ...


async def test_an_exclusive_call_of_a_frozen_key_waits_and_then_has_its_turn():
    async with TestEngine(Cart()) as engine:
        async with engine.freeze(Cart, "jane"):
            added = await engine.send(Cart.add, "jane", "laptop")
            await engine.skip(timedelta(days=1))
            meanwhile = await added.status()

        assert (meanwhile, await added.status()) == ("pending", "completed")


async def test_shared_calls_and_other_keys_go_on():
    async with TestEngine(Cart()) as engine, engine.freeze(Cart, "jane"):
        assert await engine.call(Cart.show, "jane") == []
        assert await engine.call(Cart.add, "john", "laptop") == 1


async def test_those_who_wait_keep_their_order():
    async with TestEngine(Cart()) as engine:
        async with engine.freeze(Cart, "jane"):
            added = [await engine.send(Cart.add, "jane", item) for item in "abc"]

        assert [await each.result() for each in added] == [1, 2, 3]


async def test_a_caller_over_http_is_told_that_it_takes_too_long():
    async with TestEngine(Cart()) as engine, engine.freeze(Cart, "jane"):
        transport = httpx.ASGITransport(ingress(engine))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            answer = await client.post("/Cart/jane/add?timeout=0.01s", json="laptop")

        assert answer.status_code == 408


async def test_who_waits_can_be_told_why():
    async with TestEngine(Cart()) as engine, engine.freeze(Cart, "jane"):
        added = await engine.send(Cart.add, "jane", "laptop")

        assert "Cart/jane/test.freeze" in str(await added.why())


async def test_two_keys_can_be_frozen_at_once():
    async with TestEngine(Cart()) as engine:
        async with engine.freeze(Cart, "jane"), engine.freeze(Cart, "john"):
            added = [await engine.send(Cart.add, key, "laptop") for key in ("jane", "john")]
            await engine.settle()
            meanwhile = [await each.status() for each in added]

        assert meanwhile == ["pending", "pending"]
        assert [await each.result() for each in added] == [1, 1]


async def test_a_key_that_is_busy_is_refused_and_not_kept():
    async with TestEngine(Cart()) as engine:
        await engine.send(Cart.rest, "jane")
        with pytest.raises(ValueError, match=r"(?s)the key 'jane' of Cart is busy already.*Cart/jane/rest"):
            async with engine.freeze(Cart, "jane"):
                pass
        await engine.skip(timedelta(days=1))

        assert await engine.call(Cart.add, "jane", "laptop") == 1


async def test_a_service_that_the_engine_has_not_is_refused():
    async with TestEngine(Cart()) as engine:
        with pytest.raises(ValueError, match=r"Other is none of this engine's services: \['Cart'\]"):
            async with engine.freeze(Other, "jane"):
                pass


@pytest.mark.parametrize("inactivity", [timedelta(0), timedelta(minutes=1)])
async def test_a_key_does_not_stay_frozen_after_a_crash(inactivity: timedelta):
    async def play(scene: Scene) -> int:
        async with scene.engine(Cart(), options=Options(inactivity=inactivity)) as engine:
            async with engine.freeze(Cart, "jane"):
                added = await engine.send(Cart.add.options(idempotency_key="k"), "jane", "laptop")
            return await added.result()

    assert await crash_everywhere(play) >= 6


async def test_an_engine_closes_though_a_key_is_frozen():
    async with TestEngine(Cart()) as engine:
        frozen = engine.freeze(Cart, "jane")
        await frozen.__aenter__()
    await frozen.__aexit__(None, None, None)
    async with TestEngine(Cart(), after=engine) as restarted:
        assert await restarted.call(Cart.add, "jane", "laptop") == 1


async def test_a_freeze_is_no_journal_to_replay():
    async with TestEngine(Cart()) as engine, engine.freeze(Cart, "jane"):
        assert await replay_check(engine, Cart()) == 0
