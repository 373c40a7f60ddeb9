"""CallOrdering, ServiceToServiceCommunication, Ingress and State."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from durable.handlers import Handler
from tests.conformance.services import (
    Counted,
    Counter,
    Entry,
    ListObject,
    ManyCallRequest,
    MapObject,
    Proxy,
    ProxyRequest,
    TestUtilsService,
)
from tests.conformance.world import HttpWorld, World


def through_proxy(called: Handler[..., Any], key: str | None, value: object, **options: Any) -> ProxyRequest:
    message = list(b"" if value is None else msgspec.json.encode(value))
    return ProxyRequest(called.service, called.name, message, virtual_object_key=key, **options)


@pytest.mark.parametrize("one_way", [(True, False, False), (False, True, False), (True, True, False)])
async def test_call_ordering_ordering(world: World, key: str, one_way: tuple[bool, ...]) -> None:
    requests = [
        ManyCallRequest(through_proxy(ListObject.append, key, str(place)), flag, await_at_the_end=not flag)
        for place, flag in enumerate(one_way)
    ]

    await world.door.call(Proxy.many_calls, requests)

    assert await world.door.call(ListObject.clear, key) == ["0", "1", "2"]


async def test_service_to_service_communication_regular_call(world: World, key: str) -> None:
    raw = await world.door.call(Proxy.call, through_proxy(Counter.add, key, 2))

    assert msgspec.json.decode(bytes(raw), type=Counted) == Counted(0, 2)


async def test_service_to_service_communication_one_way_call(world: World, key: str) -> None:
    id = await world.door.call(Proxy.one_way_call, through_proxy(Counter.add, key, 1))

    async def added() -> bool:
        return bool(await world.door.call(Counter.get, key) == 1)

    await world.until(added)
    assert id.startswith("inv_1")


async def test_service_to_service_communication_one_way_call_with_idempotency_key(world: World, key: str) -> None:
    request = through_proxy(Counter.add, key, 1, idempotency_key=key)

    ids = [await world.door.call(Proxy.one_way_call, request) for _ in range(2)]

    assert ids[0] == ids[1]
    assert await world.door.call(Counter.add, key, 0) == Counted(1, 1)


async def test_service_to_service_communication_call_with_idempotency_key(world: World, key: str) -> None:
    request = through_proxy(Counter.add, key, 2, idempotency_key=key)

    answers = [await world.door.call(Proxy.call, request) for _ in range(3)]

    assert [msgspec.json.decode(bytes(each), type=Counted) for each in answers] == [Counted(0, 2)] * 3
    assert await world.door.call(Counter.get, key) == 2
    assert await world.door.call(Counter.add.options(idempotency_key=key), key, 2) == Counted(0, 2)


async def test_service_to_service_communication_output_by_idempotency_key(http: HttpWorld, key: str) -> None:
    await http.door.call(Proxy.call, through_proxy(Counter.add, key, 2, idempotency_key=key))

    answer = await http.door.ingress.get(f"/restate/invocation/Counter/{key}/add/{key}/output")

    assert (answer.status_code, answer.json()) == (200, {"oldValue": 0, "newValue": 2})


async def test_service_to_service_communication_one_way_call_with_delay(world: World, key: str) -> None:
    delay = timedelta(seconds=5)
    requests = [through_proxy(Counter.add, f"{key}-{n}", 1, delay_millis=5000) for n in range(10)]
    await asyncio.gather(*(world.door.call(Proxy.one_way_call, each) for each in requests))
    assert await counts(world, key) == [0] * 10

    await world.skip(delay)

    async def all_added() -> bool:
        return await counts(world, key) == [1] * 10

    await world.until(all_added)


async def counts(world: World, key: str) -> list[int]:
    return [await world.door.call(Counter.get, f"{key}-{n}") for n in range(10)]


async def test_ingress_headers_pass_through(world: World) -> None:
    marked = TestUtilsService.echo_headers.options(headers={"x-my-custom-header": "x-my-custom-value"})

    headers = await world.door.call(marked)

    assert headers["x-my-custom-header"] == "x-my-custom-value"


async def test_ingress_raw_handler(world: World) -> None:
    raw = bytes(range(256))

    assert await world.door.call(TestUtilsService.raw_echo, raw) == raw


async def test_state_add(world: World, key: str) -> None:
    assert await world.door.call(Counter.add, key, 1) == Counted(0, 1)
    assert await world.door.call(Counter.add, key, 2) == Counted(1, 3)
    assert await world.door.call(Counter.get, key) == 3


async def test_state_proxy_one_way_add(world: World, key: str) -> None:
    for _ in range(3):
        await world.door.call(Proxy.one_way_call, through_proxy(Counter.add, key, 1))

    async def added() -> bool:
        return bool(await world.door.call(Counter.get, key) == 3)

    await world.until(added)


async def test_state_list_state_and_clear_all(world: World, key: str) -> None:
    entries = [Entry("a-key", "a-value"), Entry("b-key", "b-value")]
    for entry in entries:
        await world.door.call(MapObject.set, key, entry)

    cleared = await world.door.call(MapObject.clear_all, key)

    assert sorted(cleared, key=lambda entry: entry.key) == entries
    assert [await world.door.call(MapObject.get, key, entry.key) for entry in entries] == ["", ""]
