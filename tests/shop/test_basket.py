"""The shop's basket while others want it too, and while it crashes: the kit against a model, and a key that is busy."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from durable.testing import Crash, Operation, TestEngine, check_model, crashes, interleavings
from examples.shop.services import UserSession
from tests.shop.world import World

ADD_ITEM = UserSession.add_item.options(identity="alice")
SHOW_BASKET = UserSession.show_basket.options(identity="alice")


class Basket:
    def __init__(self) -> None:
        self.items: list[str] = []

    def add(self, item: str) -> int:
        self.items.append(item)
        return len(self.items)


def add(item: str) -> Operation[Basket]:
    return Operation(lambda basket: basket.add(item), ADD_ITEM, "alice", item)


SHOW = Operation[Basket](lambda basket: basket.items, SHOW_BASKET, "alice")


@settings(max_examples=25, deadline=None)
@given(interleavings(st.builds(add, st.text(max_size=3)) | st.just(SHOW)), crashes(), st.booleans())
def test_a_basket_is_a_list_whatever_crashes(
    bursts: list[list[Operation[Basket]]], crashes: list[Crash], restarts: bool
):
    services = World().services()

    asyncio.run(check_model(bursts, *services, model=Basket, crashes=crashes, restarts=restarts))


async def test_a_busy_basket_can_be_seen_and_takes_the_item_later():
    async with TestEngine(*World().services()) as engine:
        async with engine.freeze(UserSession, "alice"):
            added = await engine.send(ADD_ITEM, "alice", "laptop")
            await engine.settle()
            meanwhile = await added.status(), await engine.call(SHOW_BASKET, "alice")

        assert meanwhile == ("pending", [])
        assert await added.result() == 1
