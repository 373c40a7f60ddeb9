"""Our own client, over real sockets: what the transports in memory cannot show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from durable.http import HttpClient, OutcomeTimeoutError, UnansweredError
from tests.clients.services import Approval, Counter, Question
from tests.shop.processes import free_port


@pytest.fixture
async def client(url: str) -> AsyncGenerator[HttpClient]:
    async with HttpClient(url) as client:
        yield client


@pytest.mark.parametrize("key", ["a/b", "..", ".", "%2F", "käse", "?q#f"])
async def test_every_key_is_itself(client, key):
    assert await client.call(Counter.key, key) == key


async def test_hanging_up_cancels_nothing(client, key):
    call = asyncio.create_task(client.call(Approval.run, key, "order 1"))
    sent = await client.send(Approval.run, key, "order 1")
    await asyncio.sleep(0.05)
    call.cancel()
    await asyncio.wait([call])

    await client.call(Approval.decide, key, "yes")

    assert await sent.result() == "order 1: yes"


async def test_a_call_that_takes_too_long_goes_on(url, key):
    async with HttpClient(url, timeout=timedelta(milliseconds=200)) as client:
        with pytest.raises(OutcomeTimeoutError) as late:
            await client.call(Question.run, key)
        await client.awakeable(await client.call(Question.awakeable, key)).resolve({"x": 1})

        assert await client.invocation(late.value.id).result() == {"x": 1}


async def test_nobody_there_is_said_in_time():
    async with HttpClient(f"http://127.0.0.1:{free_port()}", timeout=timedelta(milliseconds=50)) as client:
        with pytest.raises(UnansweredError, match="ConnectError"):
            await client.call(Counter.key, "k")
