"""Limits through the admin app: shown, put, used, removed."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx
import pytest

from durable import Context, Limit, Options, Service, handler
from durable.ingress.admin import admin
from durable.testing import TestEngine


class Work(Service, limit="tenant"):
    @handler
    async def wait(self, ctx: Context) -> str:
        return await ctx.signal("go", str)


CODE = Limit("limit/tenant/*", concurrency=1, hold=True, description="of the code")
SHOWN = {
    "pattern": "limit/tenant/*",
    "limits": {"concurrency": 1, "rate": None, "queue": None},
    "hold": True,
    "description": "of the code",
}


@pytest.fixture
async def engine() -> AsyncGenerator[TestEngine]:
    async with TestEngine(Work(), options=Options(limits=(CODE,))) as engine:
        yield engine


@pytest.fixture
async def client(engine: TestEngine) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(admin(engine)), base_url="http://localhost") as client:
        yield client


async def test_limits_are_put_hold_at_once_and_are_taken_back(engine: TestEngine, client: httpx.AsyncClient) -> None:
    assert (await client.get("/limits/rules")).json() == [SHOWN]
    sent = [await engine.send(Work.wait.options(limit_key="a")) for _ in range(3)]
    await engine.settle()
    assert [await each.status() for each in sent] == ["running", "ready", "ready"]
    usage = (await client.get("/limits/usage")).json()
    assert [(each["path"], each["running"], each["waiting"]) for each in usage] == [("limit/tenant/a", 1, 2)]

    rate = {"count": 9, "per_ms": 1000, "burst": 9}
    wider = {"pattern": "limit/tenant/a", "limits": {"concurrency": 2, "rate": rate}}
    put = await client.put("/limits/rules", json=[wider])

    assert (put.status_code, put.json()[0]["limits"]["rate"]) == (200, rate)
    await engine.settle()
    assert [await each.status() for each in sent].count("running") == 2
    patterns = [{"pattern": "limit/tenant/a"}, {"pattern": "limit/tenant/*"}]
    removed = await client.post("/limits/rules/bulk-delete", json=patterns)
    assert removed.json() == ["limit/tenant/a"]  # the other one is the code's
    assert (await client.get("/limits/rules")).json() == [SHOWN]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([{"pattern": "nothing"}], "nothing is called 'nothing'"),
        ([{"pattern": "engine", "limits": {"concurrency": -1}}], "concurrency is a whole number"),
        ([{"pattern": "engine", "limits": {"rate": {"count": 0, "per_ms": 1}}}], "a rate's count"),
        ([{"pattern": "engine", "limits": {"rate": {"count": 1, "per_ms": 0}}}], ">= 1 - at `$[0].limits.rate.per_ms`"),
        ([{"pattern": "engine", "limits": {"rate": {"count": 1, "per_ms": 10**12}}}], "[0].limits.rate.per_ms"),
        ([{"pattern": "engine", "limits": {"rate": {"count": 1, "per_ms": 2**70}}}], "[0].limits.rate.per_ms"),
        ([{"pattern": "engine", "limits": {"rate": {"count": 2**70, "per_ms": 1}}}], "a rate's count"),
        ([{"pattern": "engine", "limits": {"rate": {"count": 1, "per_ms": 1, "burst": 2**63}}}], "a rate's burst"),
        ([{"pattern": "engine", "limits": {"concurrency": 2**63}}], "concurrency is a whole number"),
        ([{"pattern": "engine", "limits": {"queue": 2**70}}], "queue is a whole number"),
        ([{"pattern": f"key/Cart/{'x' * 65_536}"}], "the pattern of a limit"),
        ([{"pattern": "engine", "description": "x" * 65_537}], "the description of a limit"),
        ([{"pattern": "engine", "disabled": True}], "unknown field `disabled`"),
        (
            [{"pattern": "engine"}, {"pattern": "engine", "limits": {"queue": 1}}],
            "two limits are for engine; make them",
        ),
        ([{"pattern": "engine"}, {"pattern": "x"}], "nothing is called 'x'"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    client: httpx.AsyncClient, body: list[object], said: str
) -> None:
    refused = await client.put("/limits/rules", json=body)

    assert (refused.status_code, said in refused.json()["message"]) == (422, True)
    assert (await client.get("/limits/rules")).json() == [SHOWN]
