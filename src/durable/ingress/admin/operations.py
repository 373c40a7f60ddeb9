"""Every operation of the admin app: what it is called, where it is, what answers. Routes and OpenAPI come from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from durable.ingress.admin import about, invocations, limits, schedules, services, state
from durable.ingress.admin.batch import carry_out_all
from durable.ingress.admin.door import Administered
from durable.ingress.admin.verbs import Name

Answer = Callable[[Administered, Request], Awaitable[Response]]


class Operation(msgspec.Struct, frozen=True):
    method: str
    path: str
    answer: Answer
    summary: str
    statuses: tuple[int, ...] = (200,)
    """Of success."""
    query: tuple[str, ...] = ()
    body: str | None = None
    """The schema of what is posted."""


def _batch(name: Name) -> Operation:
    async def answer(engine: Administered, request: Request) -> Response:
        return await carry_out_all(engine.door, name, request)

    path = f"/internal/invocations_batch_operations/{name}"
    return Operation("POST", path, answer, f"{name} each of up to 1000 invocations", body="Batch")


_ONE = "/invocations/{invocation_id}"
_SCHEDULE = "/schedules/{schedule}"

OPERATIONS = (
    Operation("GET", "/health", about.health, "Whether the engine runs"),
    Operation("GET", "/audit", about.audited, "What the last audit of the database found"),
    Operation("GET", "/version", about.version, "Version of the engine, and of this API"),
    Operation("GET", "/services", services.all_services, "Every service"),
    Operation("GET", "/services/{service}", services.one_service, "One service"),
    Operation("GET", "/services/{service}/handlers", services.all_handlers, "Every handler of a service"),
    Operation("GET", "/services/{service}/handlers/{handler}", services.one_handler, "One handler"),
    Operation("GET", "/services/{service}/openapi", services.document, "OpenAPI of a service, as the ingress has it"),
    Operation("GET", "/services/{service}/state", state.show, "The state of a key, and its version", query=("key",)),
    Operation(
        "POST",
        "/services/{service}/state",
        state.replace,
        "Replace the state of a key, in its turn",
        (202,),
        body="State",
    ),
    Operation("GET", "/limits/rules", limits.show, "Every limit that holds"),
    Operation("PUT", "/limits/rules", limits.put, "Set or replace limits, until they are removed", body="Limits"),
    Operation("POST", "/limits/rules/bulk-delete", limits.remove, "Take back limits that were put", body="Patterns"),
    Operation("GET", "/limits/usage", limits.usage, "How many run, and how many wait, by what is limited"),
    Operation("GET", "/ui/services/{service}", services.page, "The same, to read"),
    Operation("GET", _ONE, invocations.describe, "What is known of an invocation"),
    Operation("GET", f"{_ONE}/why", invocations.why, "What it waits for, and what that waits for"),
    Operation("DELETE", _ONE, invocations.delete, "Cancel, kill or purge: the old form", (202,), ("mode",)),
    Operation("PATCH", f"{_ONE}/cancel", invocations.cancel, "Ask it to stop; 200 if it had not started", (200, 202)),
    Operation("PATCH", f"{_ONE}/kill", invocations.kill, "End it now, with all that it called"),
    Operation("PATCH", f"{_ONE}/pause", invocations.pause, "Stop it where it is", (200, 202)),
    Operation("PATCH", f"{_ONE}/resume", invocations.resume, "Go on now", query=("deployment",)),
    Operation(
        "PATCH",
        f"{_ONE}/restart-as-new",
        invocations.restart_as_new,
        "A new invocation with the same input, and its journal up to and with 'from'",
        query=("from", "deployment"),
    ),
    Operation("PATCH", f"{_ONE}/purge", invocations.purge, "Forget it, once it is completed"),
    Operation("PATCH", f"{_ONE}/purge-journal", invocations.purge_journal, "Forget its journal, once it is completed"),
    Operation("GET", "/schedules", schedules.all_schedules, "Every schedule"),
    Operation("POST", "/schedules", schedules.create, "A new schedule", (201,), body="NewSchedule"),
    Operation("GET", _SCHEDULE, schedules.one_schedule, "One schedule"),
    Operation("PUT", _SCHEDULE, schedules.put, "Create it, or let it be so", body="Schedule"),
    Operation("DELETE", _SCHEDULE, schedules.delete, "Forget it; its runs go on"),
    Operation("PATCH", f"{_SCHEDULE}/pause", schedules.pause, "No run starts by itself"),
    Operation("PATCH", f"{_SCHEDULE}/resume", schedules.resume, "Go on with the next time"),
    Operation("PATCH", f"{_SCHEDULE}/trigger", schedules.trigger, "One run now"),
    Operation("PATCH", f"{_SCHEDULE}/backfill", schedules.backfill, "Run a span of the past", body="Backfill"),
    Operation("PATCH", f"{_SCHEDULE}/give-up", schedules.give_up, "Run nothing of what waits"),
    *map(_batch, get_args(Name)),
)
