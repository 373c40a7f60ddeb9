"""The handles that a client gives out, over a door."""

from __future__ import annotations

from typing import Any

import pytest

from durable import Client, Invocation, PayloadError, TerminalError
from durable.client import Door
from durable.core.outcome import Failure, Outcome, Success

NOTHING = Success()


class FakeDoor:
    """One invocation that has ended."""

    def __init__(self, outcome: Outcome) -> None:
        self.ended = outcome
        self.asked: list[tuple[Any, ...]] = []

    async def outcome(self, id: str, /) -> Outcome:
        self.asked.append(("outcome", id))
        return self.ended

    async def status(self, id: str, /) -> str:
        self.asked.append(("status", id))
        return "completed"

    async def cancel(self, id: str, /) -> None:
        self.asked.append(("cancel", id))

    async def complete_awakeable(self, id: str, outcome: Outcome, /) -> None:
        self.asked.append(("complete", id, outcome))


class FakeClient(Client):
    def __init__(self, outcome: Outcome = NOTHING) -> None:
        self.fake = FakeDoor(outcome)

    @property
    def door(self) -> Door:
        return self.fake

    async def call(self, handler, /, *args, **kwargs):
        raise NotImplementedError

    async def send(self, handler, /, *args, **kwargs):
        raise NotImplementedError

    async def send_later(self, delay, handler, /, *args, **kwargs):
        raise NotImplementedError

    async def lookup(self, handler, key=None, /):
        raise NotImplementedError


async def test_a_result_is_decoded():
    door = FakeDoor(Success(b"7"))

    assert await Invocation(door, "inv_1x", int).result() == 7
    assert door.asked == [("outcome", "inv_1x")]


async def test_a_failure_is_raised_as_it_is():
    client = FakeClient(Failure(402, "declined", {"by": "bank"}))

    with pytest.raises(TerminalError, match="declined") as got:
        await client.invocation("inv_1x").result()
    assert (got.value.status, got.value.metadata) == (402, {"by": "bank"})


@pytest.mark.parametrize(("raw", "value"), [(b"", None), (b'{"a":[1]}', {"a": [1]})])
async def test_the_result_of_an_invocation_by_id_is_plain_json(raw, value):
    assert await FakeClient(Success(raw)).invocation("inv_1x").result() == value


async def test_status_and_cancel_ask_the_door():
    client = FakeClient()
    invocation = client.invocation("inv_1x")

    assert await invocation.status() == "completed"
    await invocation.cancel()

    assert client.fake.asked == [("status", "inv_1x"), ("cancel", "inv_1x")]


async def test_an_awakeable_is_resolved_and_rejected_by_id():
    client = FakeClient()

    await client.awakeable("sign_1x").resolve({"paid": True})
    await client.awakeable("sign_1x").reject("no")

    assert client.fake.asked == [
        ("complete", "sign_1x", Success(b'{"paid":true}')),
        ("complete", "sign_1x", Failure(500, "no")),
    ]


async def test_a_value_that_cannot_be_encoded_does_not_reach_the_door():
    client = FakeClient()

    with pytest.raises(PayloadError, match="the value of an awakeable cannot be encoded"):
        await client.awakeable("sign_1x").resolve(object())
    assert client.fake.asked == []
