"""Rows to write: one invocation with everything that a test does not care about, and one entry of each type."""

from datetime import UTC, datetime, timedelta
from typing import Any

from durable.core.entries import (
    Attach,
    Call,
    ClearAllState,
    ClearState,
    CompleteAwakeable,
    Completed,
    CompletePromise,
    Control,
    Entry,
    GetOutput,
    GetPromise,
    GetState,
    GetStateKeys,
    Now,
    PeekPromise,
    Run,
    Send,
    SendSignal,
    SetState,
    Signalled,
    Sleep,
    Target,
)
from durable.core.ids import CANCEL, InvocationId, plain
from durable.core.invocation import Caller, Commit, Invocation, Kind, Request, Status
from durable.core.outcome import Failure, Success
from durable.core.schedule import Definition, Schedule, Span
from durable.core.schedule import Run as ScheduledRun
from durable.timetable import Timetable

CART = ("Cart", "mary")


def id_of(n: int) -> InvocationId:
    return plain(1_700_000_000_000 + n, n.to_bytes(10, "big"))


def caller(n: int, completion: int = 1) -> Caller:
    return Caller(id_of(n), completion)


def invocation(n: int, *, kind: Kind = Kind.EXCLUSIVE, key: str | None = "mary", **fields: Any) -> Invocation:
    request = Request(target=Target("Cart", "checkout", key), kind=kind, payload=b"{}")
    defaults: dict[str, Any] = {
        "request": request,
        "status": Status.RUNNING,
        "created_ms": 1_000 + n,
        "modified_ms": 1_000 + n,
    }
    return Invocation(n=n, id=id_of(n), **(defaults | fields))


def scheduled(id: str, paused: bool = False) -> Schedule:
    """With a value in each field."""
    timetable = Timetable(
        "0 3 * * *",
        tz="Europe/Paris",
        overlap="queue",
        catch_up="all",
        window=timedelta(days=1),
        jitter=timedelta(minutes=1),
        start=datetime(2026, 1, 1, tzinfo=UTC),
        end=datetime(2027, 1, 1, tzinfo=UTC),
    )
    definition = Definition(
        id=id,
        target=Target("Cart", "checkout", "mary"),
        payload=b"{}",
        headers={"x": "y"},
        timetable=timetable,
        declared=True,
    )
    return Schedule(
        definition=definition,
        seen_ms=5,
        owed=(Span(1, 2), Span(3, 4)),
        under_way=(id_of(1),),
        last=ScheduledRun(1, id_of(1)),
        triggered_ms=3,
        paused=paused,
    )


def accepting(*invocations: Invocation) -> Commit:
    commit = Commit()
    for each in invocations:
        commit.accept(each)
    return commit


FULL = invocation(
    1,
    request=Request(
        target=Target("Cart", "checkout", "märy\0"),
        kind=Kind.EXCLUSIVE,
        payload=b"\x00\xff",
        headers={"x-trace": "1"},
        identity="shop",
        idempotency_key="k",
        caller=caller(9, 3),
        retention_ms=5,
        version="v1",
    ),
    status=Status.BACKING_OFF,
    place=7,
    due_ms=2_000,
    attempts=3,
    failing_since_ms=1_500,
    failure=Failure(503, "no card reader", {"till": "4"}),
    awaiting=[1, -17, "go\0001"],
)

ENTRIES: list[Entry] = [
    Run(1, "charge"),
    Sleep(2, 5_000),
    Call(3, Target("Bank", "pay"), b"", {"a": "b"}, None, id_of(2)),
    Send(Target("Mail", "send", "mary"), b"hi", {}, "once", id_of(3), 7_000),
    GetState("items", None, 0),
    GetState("items", b"", 5),
    GetStateKeys(["items", "total"], 5),
    Now(1_700_000_000_000, 5),
    SetState("items", b"\x93\x01"),
    ClearState("items"),
    ClearAllState(),
    GetPromise(4, "paid"),
    PeekPromise(5, "paid"),
    CompletePromise(6, "paid", Success(b"yes")),
    SendSignal(id_of(4), "go", Success()),
    CompleteAwakeable(id_of(4), 17, Failure(409, "late"), 5),
    Attach(7, id_of(5)),
    GetOutput(8, id_of(5)),
    Control(9, "restart", id_of(3), 2, id_of(4)),
    Completed(1, Success(b"")),
    Completed(2, Failure(500, "broken", {"why": "?"})),
    Signalled(CANCEL, Success()),
    Signalled("go", Success(b"now")),
]
