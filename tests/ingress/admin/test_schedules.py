"""Schedules over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.ingress.admin.services import AdminEngine

HOUR = timedelta(hours=1)
HOURLY: dict[str, Any] = {"cron": "0 * * * *", "tz": "Europe/Paris"}
WEIGH: dict[str, Any] = {"service": "office", "handler": "weigh", "input": {"title": "tea", "grams": 7}}


def refuses(reply: httpx.Response, status: int, part: str) -> None:
    assert reply.status_code == status
    assert part in reply.json()["message"]


async def created(client: httpx.AsyncClient, **fields: Any) -> None:
    reply = await client.post("/schedules", json={"id": "it", "timetable": HOURLY, **WEIGH, **fields})
    assert reply.status_code == 201, reply.text


async def test_one_that_is_created_runs_with_its_input(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    await created(client)

    await engine.skip(HOUR)

    found = (await client.get("/schedules/it")).json()
    assert found | {"last_run": None} == {
        "id": "it",
        "service": "office",
        "handler": "weigh",
        "key": None,
        "timetable": HOURLY,
        "declared": False,
        "paused": False,
        "next_at": "2026-01-01T02:00:00Z",
        "last_at": "2026-01-01T01:00:00Z",
        "last_run": None,
        "limit_key": None,
        "priority": 0,
        "under_way": [],
        "waiting": False,
        "problem": None,
    }
    assert await engine.invocation(found["last_run"]).result() == 7
    assert (await client.get("/schedules")).json() == {"schedules": [found]}


async def test_one_that_is_there_is_changed_by_put_only(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    await created(client)
    refuses(await client.post("/schedules", json={"id": "it", "timetable": HOURLY, **WEIGH}), 409, "over HTTP PUT")

    reply = await client.put("/schedules/it", json={"timetable": {"every": "PT10M", "overlap": "queue"}, **WEIGH})

    assert reply.json()["timetable"] == {"every": "PT600S", "overlap": "queue"}
    assert reply.json()["next_at"] == "2026-01-01T00:10:00Z"


async def test_pause_trigger_resume_and_delete(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    await created(client)

    assert (await client.patch("/schedules/it/pause")).json()["paused"]
    run = (await client.patch("/schedules/it/trigger")).json()["invocation_id"]
    assert await engine.invocation(run).result() == 7
    assert not (await client.patch("/schedules/it/resume")).json()["paused"]
    assert (await client.delete("/schedules/it")).status_code == 200

    refuses(
        await client.get("/schedules/it"),
        404,
        "there is no schedule 'it'; `await engine.schedules.all()`, over HTTP GET /schedules, says which are",
    )


async def test_a_backfill_runs_the_past(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    await created(client)

    span = {"start": "2025-12-31T20:00:00Z", "end": "2025-12-31T23:00:00Z"}
    assert (await client.patch("/schedules/it/backfill", json=span)).json()["waiting"]
    await engine.settle()

    assert (await client.get("/schedules/it")).json()["last_at"] == "2025-12-31T22:00:00Z"
    assert len(engine.disk.invocations) == 3


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"timetable": {"cron": "* * *"}}, 422, "no cron expression"),
        ({"timetable": {"cron": "* * * * *", "tz": "Mars"}}, 422, "tz is the name of a time zone"),
        ({"timetable": {}}, 422, "a cron expression or an interval"),
        ({"handler": "paint"}, 404, "does not exist"),
        ({"key": "a"}, 422, "office/weigh has no keys"),
        ({"service": "Counter", "handler": "add", "input": 1}, 422, "Counter/add needs a key"),
        ({"handler": "stamp"}, 422, "takes bytes"),
        ({"handler": "deliver"}, 422, "takes no input"),
        ({"input": {"title": "tea", "grams": "7"}}, 422, "Expected `int`, got `str` - at `$.grams`"),
        ({"id": "a/b"}, 422, "has no slash"),
        ({"colour": "red"}, 422, "colour"),
        (
            {"timetable": {"every": "5m"}},
            422,
            "at `$.timetable.every`, which is '5m'; write 'PT5M', say, for five minutes",
        ),
        ({"key": 7}, 422, "Expected `str | null`, got `int` - at `$.key`, which is 7"),
        ({"timetable": {**HOURLY, "catchup": "all"}}, 422, "unknown field `catchup`"),
    ],
)
async def test_what_makes_no_sense_refuses(
    client: httpx.AsyncClient, fields: dict[str, Any], status: int, message: str
) -> None:
    reply = await client.post("/schedules", json={"id": "it", "timetable": HOURLY, **WEIGH, **fields})

    refuses(reply, status, message)


async def test_a_body_that_is_no_json_is_not_said_to_lack_a_field(client: httpx.AsyncClient) -> None:
    json = {"content-type": "application/json"}

    refuses(await client.post("/schedules", content=b"[", headers=json), 400, "the body is not JSON: Input data was")


async def test_a_handler_that_needs_an_input_is_given_one(client: httpx.AsyncClient) -> None:
    without = {"service": "office", "handler": "weigh", "timetable": HOURLY}

    refuses(await client.post("/schedules", json={"id": "it", **without}), 422, "office/weigh needs an input; give it")
    refuses(await client.put("/schedules/it", json=without), 422, "office/weigh needs an input; give it")


async def test_put_is_told_the_id_by_its_path(client: httpx.AsyncClient) -> None:
    refuses(
        await client.put("/schedules/it", json={"id": "it", "timetable": HOURLY, **WEIGH}), 422, "unknown field `id`"
    )


async def test_what_waits_is_given_up(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    await created(client)
    await client.patch("/schedules/it/pause")
    span = {"start": "1970-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}
    assert (await client.patch("/schedules/it/backfill", json=span)).json()["waiting"]

    assert not (await client.patch("/schedules/it/give-up")).json()["waiting"]

    await client.patch("/schedules/it/resume")
    await engine.skip(HOUR)
    assert (await client.get("/schedules/it")).json()["last_at"] == "2026-01-01T01:00:00Z"
    assert len(engine.disk.invocations) == 1


async def test_a_limit_key_is_for_handlers_with_a_named_limit(client: httpx.AsyncClient) -> None:
    posted = {"id": "it", "timetable": HOURLY, **WEIGH, "limit_key": "acme"}

    refuses(await client.post("/schedules", json=posted), 422, "office/weigh counts for no named limit")


async def test_a_backfill_of_the_future_refuses(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    await created(client)
    span = {"start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}

    refuses(await client.patch("/schedules/it/backfill", json=span), 422, "a backfill ends now at the latest")
