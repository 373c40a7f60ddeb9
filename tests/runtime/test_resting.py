"""A step that waits for its next try: it leaves with its attempt."""

from __future__ import annotations

from datetime import timedelta

import pytest

from durable import Context, Invocation, RetryPolicy, Service, TerminalError, gather, handler
from durable.testing import TestEngine

MINUTES = timedelta(minutes=5)


class Shop(Service):
    def __init__(self) -> None:
        self.tries = 0

    @handler
    async def resting(self, ctx: Context) -> int:
        return await ctx.run("charge", self.charge, retry=RetryPolicy())

    @handler
    async def mixed(self, ctx: Context) -> int:
        return sum(await gather(ctx.run("book", self.book), ctx.run("charge", self.charge, retry=RetryPolicy())))

    def charge(self) -> int:
        self.tries += 1
        raise ValueError("down")

    def book(self) -> int:
        raise ValueError("full")


async def begun(engine: TestEngine) -> Invocation[int]:
    sent = await engine.send(Shop.resting)
    await engine.settle()
    return sent


async def test_it_is_not_tried_again_while_its_invocation_is_paused() -> None:
    shop = Shop()
    async with TestEngine(shop) as engine:
        paused = await begun(engine)
        await paused.pause()
        before = shop.tries
        await engine.skip(MINUTES)

        assert shop.tries == before


async def test_it_is_not_tried_again_once_its_invocation_was_paused_and_killed() -> None:
    shop = Shop()
    async with TestEngine(shop) as engine:
        killed = await begun(engine)
        await killed.pause()
        await killed.kill()
        before = shop.tries
        await engine.skip(MINUTES)

        assert shop.tries == before
        assert engine.idle


async def test_its_paused_invocation_can_be_cancelled() -> None:
    async with TestEngine(Shop()) as engine:
        paused = await begun(engine)
        await paused.pause()
        await paused.cancel()
        await engine.settle()

        with pytest.raises(TerminalError, match="cancelled"):
            await paused.output()


async def test_its_paused_invocation_goes_on_as_soon_as_it_is_resumed() -> None:
    shop = Shop()
    async with TestEngine(shop) as engine:
        paused = await begun(engine)
        await paused.pause()
        before = shop.tries
        await paused.resume()
        await engine.settle()

        assert shop.tries == before + 1


async def test_another_steps_failure_does_not_wait_for_it() -> None:
    async with TestEngine(Shop()) as engine:
        mixed = await engine.send(Shop.mixed)
        await engine.settle()

        assert await mixed.status() == "backing-off"


async def test_a_closing_engine_does_not_wait_for_it_and_the_next_one_tries_it_again() -> None:
    shop = Shop()
    async with TestEngine(shop) as engine:
        sent = await begun(engine)
    async with TestEngine(shop, after=engine) as later:
        await later.settle()

        assert shop.tries == 2
        assert await later.invocation(sent.id).status() == "running"
