"""An engine of a hundred lines: accepts, works, remembers. No disk, no retries, and a clock that stands still."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from durable.core import ids
from durable.core.entries import Target
from durable.core.invocation import Kind
from durable.core.outcome import Failure, Outcome, Success
from durable.errors import DiskFullError, EngineStoppedError, TerminalError
from durable.runtime.requests import Accepted, Called, HandlerInfo, Peeked, Submission

NOW = datetime(2026, 11, 24, 2, 59, 28, 618_000, tzinfo=UTC)
RETENTION = timedelta(days=1)
SECRET = b"a secret of the engine"


def info(kind: Kind, *, private: bool = False, takes_input: bool = True, raw: bool = False) -> HandlerInfo:
    return HandlerInfo(kind, private, takes_input, raw_input=raw, raw_output=raw)


HANDLERS = {
    "Greeter": {
        "Greet": info(Kind.SERVICE),
        "Ping": info(Kind.SERVICE, takes_input=False),
        "Blob": info(Kind.SERVICE, raw=True),
        "Seen": info(Kind.SERVICE, takes_input=False),
        "Fail": info(Kind.SERVICE),
        "Hidden": info(Kind.SERVICE, private=True),
    },
    "Counter": {
        "Add": info(Kind.EXCLUSIVE),
        "Get": info(Kind.SHARED, takes_input=False),
        "Wait": info(Kind.EXCLUSIVE, takes_input=False),
    },
    "Flow": {
        "Run": info(Kind.WORKFLOW),
        "Approve": info(Kind.SHARED, takes_input=False),
    },
}


class Record:
    def __init__(self, id: str, submission: Submission) -> None:
        self.id = id
        self.submission = submission
        self.due = None if submission.delay is None else NOW + submission.delay
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    @property
    def expires(self) -> datetime | None:
        return NOW + RETENTION if self.outcome.done() else None


class FakeDoor:
    """Satisfies ``durable.ingress.door.Door``."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.counts: dict[str | None, int] = {}
        self.approved: dict[str | None, asyncio.Event] = {}
        self.awakeables: dict[str, list[Outcome]] = {}
        self.stopped = False
        self._works: set[asyncio.Task[None]] = set()
        self._handlers: dict[str, Callable[[Submission], Awaitable[bytes]]] = {
            "Greeter/Greet": self._greet,
            "Greeter/Ping": self._ping,
            "Greeter/Blob": self._blob,
            "Greeter/Seen": self._seen,
            "Greeter/Fail": self._fail,
            "Greeter/Hidden": self._ping,
            "Counter/Add": self._add,
            "Counter/Get": self._get,
            "Counter/Wait": self._run,
            "Flow/Run": self._run,
            "Flow/Approve": self._approve,
        }

    # The port.

    @property
    def door(self) -> FakeDoor:
        return self

    @property
    def full(self) -> DiskFullError | None:
        return None

    @property
    def blocked(self) -> str | None:
        return None

    def handlers(self) -> dict[str, dict[str, HandlerInfo]]:
        return HANDLERS

    async def submit(self, submission: Submission, /) -> Accepted:
        if self.stopped:
            raise EngineStoppedError("stopped")
        id = self._id(submission)
        known = self.records.get(id)
        if known is None:
            self.records[id] = Record(id, submission)
            if submission.delay is None:
                self._start(self.records[id])
            return Accepted(id, True, self.records[id].due)
        if known.submission.idempotency_key and known.submission.payload != submission.payload:
            raise TerminalError("this idempotency key came with another body before", status=409)
        return Accepted(id, False, known.due)

    async def call(self, submission: Submission, accepted: Callable[[str], object], /) -> Called:
        done = await self.submit(submission)
        record = self.records[done.id]
        accepted(record.id)
        if not done.new and submission.target.handler == "Run":
            return Called(ids.read_invocation(record.id), None, None)
        expires = record.expires
        return Called(ids.read_invocation(record.id), await asyncio.shield(record.outcome), expires)

    async def outcome(self, id: str, /) -> Outcome:
        return await asyncio.shield(self.records[id].outcome)

    async def peek(self, id: str, /) -> Peeked | None:
        record = self.records.get(id)
        if record is None:
            return None
        outcome = record.outcome.result() if record.outcome.done() else None
        return Peeked(record.submission.target, outcome, record.expires)

    async def complete_awakeable(self, id: str, outcome: Outcome, /) -> None:
        ids.read_awakeable(SECRET, id)
        if id not in self.awakeables:
            raise TerminalError("awakeable not found", status=404)
        self.awakeables[id].append(outcome)

    def workflow_id(self, service: str, key: str, /) -> str:
        return ids.write_invocation(ids.derived("wf", service, key))

    def idempotent_id(self, target: Target, idempotency_key: str, identity: str | None, /) -> str:
        parts = (target.service, target.key or "", target.handler, idempotency_key, identity or "")
        return ids.write_invocation(ids.derived("ik", *parts))

    # What tests do behind its back.

    def awakeable(self, index: int = ids.FIRST_AWAKEABLE, *, known: bool = True) -> str:
        id = ids.write_awakeable(SECRET, ids.AwakeableId(ids.plain(0, bytes(10)), index, 0))
        if known:
            self.awakeables[id] = []
        return id

    def _id(self, submission: Submission) -> str:
        target = submission.target
        if HANDLERS[target.service][target.handler].kind is Kind.WORKFLOW:
            return self.workflow_id(target.service, target.key or "")
        if submission.idempotency_key is not None:
            return self.idempotent_id(target, submission.idempotency_key, submission.identity)
        return ids.write_invocation(ids.plain(0, len(self.records).to_bytes(10, "big")))

    def _start(self, record: Record) -> None:
        work = asyncio.create_task(self._work(record))
        self._works.add(work)
        work.add_done_callback(self._works.discard)

    async def _work(self, record: Record) -> None:
        target = record.submission.target
        try:
            output = await self._handlers[f"{target.service}/{target.handler}"](record.submission)
        except TerminalError as error:
            record.outcome.set_result(Failure.of(error))
        else:
            record.outcome.set_result(Success(output))

    # Handlers.

    async def _greet(self, submission: Submission) -> bytes:
        name = json.loads(submission.payload) if submission.payload else None
        return json.dumps(f"hello {name}").encode()

    async def _ping(self, submission: Submission) -> bytes:
        return b""

    async def _blob(self, submission: Submission) -> bytes:
        return submission.payload[::-1]

    async def _seen(self, submission: Submission) -> bytes:
        return json.dumps({"headers": dict(submission.headers), "identity": submission.identity}).encode()

    async def _fail(self, submission: Submission) -> bytes:
        wanted = json.loads(submission.payload)
        raise TerminalError("tea pot", status=wanted["status"], metadata=wanted.get("metadata"))

    async def _add(self, submission: Submission) -> bytes:
        key = submission.target.key
        self.counts[key] = self.counts.get(key, 0) + int(submission.payload)
        return str(self.counts[key]).encode()

    async def _get(self, submission: Submission) -> bytes:
        return str(self.counts.get(submission.target.key, 0)).encode()

    async def _run(self, submission: Submission) -> bytes:
        await self.approved.setdefault(submission.target.key, asyncio.Event()).wait()
        return b'"done"'

    async def _approve(self, submission: Submission) -> bytes:
        self.approved.setdefault(submission.target.key, asyncio.Event()).set()
        return b""
