"""One verb on one invocation: the status and the words that Restate 1.7 answers with."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from durable import TerminalError
from tests.ingress.admin.checks import is_empty, is_refused
from tests.ingress.admin.services import HOUR, UNKNOWN, AdminEngine, Office
from tests.runtime.flows import Approval, Counter

VERBS = ["cancel", "kill", "pause", "resume", "restart-as-new", "purge", "purge-journal"]

COMPLETED = "The invocation '{id}' was already completed."
NOT_COMPLETED = "The invocation '{id}' is not yet completed."
NOT_RUNNING = "The invocation '{id}' is not running, cannot be paused."
NO_RESUME = "The invocation '{id}' is completed, cannot be resumed."

DONE = [
    ("cancel", "scheduled", 200),
    ("cancel", "pending", 200),
    ("cancel", "running", 202),
    ("cancel", "backing-off", 202),
    ("cancel", "paused", 202),
    ("kill", "scheduled", 200),
    ("kill", "pending", 200),
    ("kill", "running", 200),
    ("kill", "backing-off", 200),
    ("kill", "paused", 200),
    ("pause", "running", 202),
    ("pause", "backing-off", 202),
    ("pause", "paused", 200),
    ("resume", "running", 200),
    ("resume", "backing-off", 200),
    ("resume", "paused", 200),
    ("purge", "completed", 200),
    ("purge-journal", "completed", 200),
]
REFUSED = [
    ("cancel", "completed", COMPLETED),
    ("kill", "completed", COMPLETED),
    ("pause", "scheduled", NOT_RUNNING),
    ("pause", "pending", NOT_RUNNING),
    ("pause", "completed", NOT_RUNNING),
    ("resume", "completed", NO_RESUME),
    *((verb, status, NOT_COMPLETED) for verb in ("purge", "purge-journal") for status in ("running", "paused")),
]
TOO_EARLY = [(verb, status) for verb in ("resume", "restart-as-new") for status in ("scheduled", "pending")]


@pytest.mark.parametrize(("verb", "status", "answer"), DONE)
async def test_what_can_be_done_is_answered_with_nothing(
    client: httpx.AsyncClient, engine: AdminEngine, verb: str, status: str, answer: int
) -> None:
    invocation = await engine.begin(status)

    is_empty(await client.patch(f"/invocations/{invocation.id}/{verb}"), answer)


@pytest.mark.parametrize(("verb", "status", "message"), REFUSED)
async def test_what_cannot_be_done_is_a_conflict(
    client: httpx.AsyncClient, engine: AdminEngine, verb: str, status: str, message: str
) -> None:
    invocation = await engine.begin(status)

    reply = await client.patch(f"/invocations/{invocation.id}/{verb}")

    is_refused(reply, 409, message.format(id=invocation.id))
    assert await invocation.status() == status


@pytest.mark.parametrize(("verb", "status"), TOO_EARLY)
async def test_what_has_not_started_is_too_early(
    client: httpx.AsyncClient, engine: AdminEngine, verb: str, status: str
) -> None:
    invocation = await engine.begin(status)

    reply = await client.patch(f"/invocations/{invocation.id}/{verb}")

    assert reply.status_code == 425
    assert reply.json()["message"].startswith(f"The invocation '{invocation.id}' ")


@pytest.mark.parametrize("verb", VERBS)
async def test_an_unknown_invocation_is_not_found(client: httpx.AsyncClient, verb: str) -> None:
    reply = await client.patch(f"/invocations/{UNKNOWN}/{verb}")

    is_refused(reply, 404, f"The requested invocation '{UNKNOWN}' does not exist")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("id", "why"),
    [
        ("nonsense", "bad format"),
        ("inv_1x", "bad length"),
        ("sign_1abc", "id doesn't match the expected type"),
        ("inv_2" + "0" * 33, "unrecognized codec version"),
        ("inv_1" + "-" * 33, "base62 decode error"),
        ("%00", "bad format"),
        ("%FF", "bad format"),
        ("inv_1" + "0" * 5000, "bad length"),
    ],
)
async def test_what_is_no_id_is_refused(client: httpx.AsyncClient, verb: str, id: str, why: str) -> None:
    reply = await client.patch(f"/invocations/{id}/{verb}")

    is_refused(reply, 400, f"The request field 'invocation_id' is invalid. Reason: {why}")


async def test_a_cancelled_handler_is_told(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("running")

    await client.patch(f"/invocations/{invocation.id}/cancel")

    with pytest.raises(TerminalError, match="cancelled"):
        await invocation.result()


async def test_cancelling_before_the_start_removes_it(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("scheduled")

    is_empty(await client.patch(f"/invocations/{invocation.id}/cancel"), 200)
    await engine.skip(HOUR)

    assert await engine.call(Counter.read, "k") == 0


async def test_a_killed_invocation_frees_its_key(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("running")

    await client.patch(f"/invocations/{invocation.id}/kill")

    assert await engine.call(Counter.add, "k", 2) == 2
    with pytest.raises(TerminalError, match="killed"):
        await invocation.result()


async def test_resume_goes_on_now(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("backing-off")
    engine.office.broken = False

    await client.patch(f"/invocations/{invocation.id}/resume?deployment=latest")

    assert await invocation.result() == "there"


async def test_what_was_purged_is_not_there(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("completed")

    await client.patch(f"/invocations/{invocation.id}/purge")

    reply = await client.patch(f"/invocations/{invocation.id}/purge")
    is_refused(reply, 404, f"The requested invocation '{invocation.id}' does not exist")


async def test_a_restart_makes_a_new_invocation(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("completed")

    reply = await client.patch(f"/invocations/{invocation.id}/restart-as-new")

    assert reply.status_code == 200
    assert list(reply.json()) == ["new_invocation_id"]
    assert await engine.invocation(reply.json()["new_invocation_id"]).result() == 2


async def test_a_restart_keeps_the_journal_up_to_an_entry(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    first = await engine.send(Office.steps)
    await first.result()

    reply = await client.patch(f"/invocations/{first.id}/restart-as-new?from=1&deployment=keep")

    assert await engine.invocation(reply.json()["new_invocation_id"]).result() == 3


async def test_what_still_runs_is_not_restarted(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("running")

    reply = await client.patch(f"/invocations/{invocation.id}/restart-as-new")

    assert reply.status_code == 409
    assert reply.json()["message"] == f"The invocation '{invocation.id}' is still running."


async def test_why_follows_what_holds_an_invocation_back(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("pending")

    reply = await client.get(f"/invocations/{invocation.id}/why")

    assert (reply.status_code, reply.json()["status"]) == (200, "pending")
    assert reply.json()["reasons"][0]["invocation"]["target"] == ["Counter", "add_slowly", "k"]


async def test_a_workflow_can_be_restarted(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    run = await engine.send(Approval.run, "w")
    await engine.call(Approval.decide, "w", "yes")
    await run.result()

    reply = await client.patch(f"/invocations/{run.id}/restart-as-new")

    assert reply.status_code == 200


async def test_a_restart_beyond_the_journal_is_refused(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("completed")

    reply = await client.patch(f"/invocations/{invocation.id}/restart-as-new?from=99")

    is_refused(
        reply,
        400,
        f"The prefix of the journal '{invocation.id}' up to 'from' (included) contains some Commands without "
        "respective Completions.",
    )


async def test_a_restart_without_a_journal_is_gone(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("completed")
    await client.patch(f"/invocations/{invocation.id}/purge-journal")

    reply = await client.patch(f"/invocations/{invocation.id}/restart-as-new")

    is_refused(
        reply,
        410,
        f"The invocation '{invocation.id}' cannot be restarted because the input is not available. "
        "This indicates that the journal was already purged, or not retained at all.",
    )


@pytest.mark.parametrize("value", ["x", "-1", "", "1.5", "99999999999", "%C2%B2", "%00", "0&from=1"])
async def test_from_is_the_index_of_an_entry(client: httpx.AsyncClient, engine: AdminEngine, value: str) -> None:
    invocation = await engine.begin("completed")

    reply = await client.patch(f"/invocations/{invocation.id}/restart-as-new?from={value}")

    assert reply.status_code == 400
    assert reply.json()["message"].startswith("The query parameter 'from' is invalid. Reason: ")


@pytest.mark.parametrize("verb", ["resume", "restart-as-new"])
@pytest.mark.parametrize(
    ("deployment", "message"),
    [
        ("zz", "The query parameter 'deployment' is invalid. Reason: bad format"),
        ("", "The query parameter 'deployment' is invalid. Reason: bad format"),
        ("LATEST", "The query parameter 'deployment' is invalid. Reason: bad format"),
        ("keep&deployment=keep", "The query parameter 'deployment' is invalid. Reason: it occurs more than once"),
        ("dp_16R8w6KbXOBfyYBOtU3ffwd", "The given deployment was not found: there is one, the code that runs"),
    ],
)
async def test_there_is_one_deployment(
    client: httpx.AsyncClient, engine: AdminEngine, verb: str, deployment: str, message: str
) -> None:
    invocation = await engine.begin("paused")

    is_refused(await client.patch(f"/invocations/{invocation.id}/{verb}?deployment={deployment}"), 400, message)


@pytest.mark.parametrize(
    ("query", "status"),
    [("", "running"), ("?mode=Cancel", "running"), ("?mode=kill", "running"), ("?mode=Purge", "completed")],
)
async def test_delete_is_the_old_form(client: httpx.AsyncClient, engine: AdminEngine, query: str, status: str) -> None:
    invocation = await engine.begin(status)

    is_empty(await client.delete(f"/invocations/{invocation.id}{query}"), 202)
    await engine.settle()

    gone = (await client.get(f"/invocations/{invocation.id}")).status_code == 404
    assert gone if status == "completed" else await invocation.status() == "completed"


async def test_delete_says_if_there_was_nothing_to_do(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("completed")

    is_refused(await client.delete(f"/invocations/{invocation.id}"), 409, COMPLETED.format(id=invocation.id))
    is_refused(
        await client.delete(f"/invocations/{UNKNOWN}?mode=kill"),
        404,
        f"The requested invocation '{UNKNOWN}' does not exist",
    )


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("zz", "'zz' is none of Cancel, Kill and Purge"),
        ("KILL", "'KILL' is none of Cancel, Kill and Purge"),
        ("", "'' is none of Cancel, Kill and Purge"),
        ("kill&mode=kill", "it occurs more than once"),
    ],
)
async def test_delete_knows_three_modes(client: httpx.AsyncClient, engine: AdminEngine, mode: str, why: str) -> None:
    invocation = await engine.begin("running")

    reply = await client.delete(f"/invocations/{invocation.id}?mode={mode}")

    is_refused(reply, 400, f"The query parameter 'mode' is invalid. Reason: {why}")
    assert await invocation.status() == "running"


async def test_what_is_known_of_an_invocation(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("running")

    reply = await client.get(f"/invocations/{invocation.id}")

    assert reply.status_code == 200
    assert reply.json() == {
        "id": invocation.id,
        "target": "Counter/k/add_slowly",
        "target_service_name": "Counter",
        "target_service_key": "k",
        "target_handler_name": "add_slowly",
        "status": "running",
        "created_at": "2026-01-01T00:00:00.000Z",
        "modified_at": "2026-01-01T00:00:00.000Z",
        "invoked_by": "ingress",
    }


@pytest.mark.parametrize(
    ("status", "facts"),
    [
        ("scheduled", {"scheduled_start_at": "2026-01-01T01:00:00.000Z"}),
        (
            "backing-off",
            {
                "target": "office/deliver",
                "retry_count": 1,
                "last_failure": "RetryableError('the van is broken')",
                "last_failure_error_code": 500,
            },
        ),
        ("completed", {"completion_result": "success", "expires_at": "2026-01-02T00:00:00.000Z"}),
    ],
)
async def test_what_is_known_depends_on_the_status(
    client: httpx.AsyncClient, engine: AdminEngine, status: str, facts: dict[str, object]
) -> None:
    invocation = await engine.begin(status)

    known = (await client.get(f"/invocations/{invocation.id}")).json()

    assert facts.items() <= known.items()
    assert ("next_retry_at" in known) == (status == "backing-off")


async def test_a_failure_is_told_as_restate_tells_it(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("running")
    await invocation.kill()
    restarted = await invocation.restart()

    old, new = [(await client.get(f"/invocations/{id}")).json() for id in (invocation.id, restarted.id)]

    assert (old["completion_result"], old["completion_failure"]) == ("failure", "[409] killed")
    assert (new["invoked_by"], new["restarted_from"]) == ("restart_as_new", invocation.id)


async def test_nothing_is_known_of_what_is_not_there(client: httpx.AsyncClient) -> None:
    unknown, bad = await client.get(f"/invocations/{UNKNOWN}"), await client.get("/invocations/zz")

    is_refused(unknown, 404, f"The requested invocation '{UNKNOWN}' does not exist")
    is_refused(bad, 400, "The request field 'invocation_id' is invalid. Reason: bad format")


async def test_a_sleeper_wakes_as_if_nobody_had_looked(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    invocation = await engine.begin("running")

    await client.get(f"/invocations/{invocation.id}")
    await engine.skip(timedelta(minutes=10))

    assert await invocation.result() == 1
