"""What comes from outside the handlers: requests, awakeables, cancellations, and people who wait for outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain

import msgspec

from durable.core import control, ids, lifecycle
from durable.core.commands import unsendable
from durable.core.entries import Signalled, Target, Verb
from durable.core.ids import CANCEL, InvocationId
from durable.core.invocation import Invocation, Kind, Request, Status, derived_id, idempotent_id, workflow_id
from durable.core.ledger import Resident
from durable.core.lifecycle import Needed
from durable.core.outcome import Outcome, Success
from durable.core.single import full_queue, make_way, skipped, way_needs
from durable.core.waits import Why, why, why_needs
from durable.errors import (
    DamagedError,
    DiskFullError,
    EngineStoppedError,
    InvocationNotFoundError,
    QueueFullError,
    TerminalError,
)
from durable.flow import no_named_limit
from durable.runtime.kernel import Kernel
from durable.runtime.requests import Accepted, Called, Peeked, Services, Submission
from durable.runtime.watchdog import Watchdog
from durable.runtime.writer import unsure
from durable.sizes import LONGEST_KEY, check_size, check_text

# What to do about an engine that stopped: whoever is told so may have opened the next one by then.
_NOT_ACCEPTED = "the request was not accepted: open the engine again, and send it again"
_NOTHING_DONE = "nothing was done: open the engine again, and ask again"
_ASK_AGAIN = "open the engine again, and ask again"
_UNKNOWN = (
    "the outcome is not known: open the engine again, and ask for it by the invocation's id, or send the request again "
    "with the same idempotency key"
)


class Outside:
    def __init__(self, kernel: Kernel, new_id: Callable[[], InvocationId], services: Services, *, version: str) -> None:
        self._kernel, self._new_id = kernel, new_id
        self._services, self._version = services, version
        self._watchers: dict[InvocationId, list[asyncio.Future[Outcome]]] = {}
        self._told: dict[asyncio.Future[Outcome], None] = {}
        """Watchers of outcomes that are not on the disk yet, in the order in which they are told; a set has none."""
        self.stopped: BaseException | None = None
        self.watchdog: Watchdog | None = None

    def check(self) -> None:
        """Raise unless new work is accepted."""
        self._check_running(_NOTHING_DONE)
        self._check_room()

    def handlers(self) -> Services:
        self._check_running("open it again")
        return self._services

    def workflow_id(self, service: str, key: str) -> str:
        """The id that the run of this workflow has, whether or not it was accepted."""
        return ids.write_invocation(workflow_id(service, key))

    def idempotent_id(self, target: Target, idempotency_key: str, identity: str | None) -> str:
        """The id that a call with this key has, whether or not it was accepted."""
        rule = self._kernel.ledger.directory.get((target.service, target.handler))
        at = target if rule is None else rule.at(target)
        return ids.write_invocation(idempotent_id(at, idempotency_key, identity))

    async def submit(self, submission: Submission) -> Accepted:
        """Accept it, and return once that is on the disk."""
        resident, new = await self._accept(submission)
        invocation = resident.invocation
        await self._kernel.durable(resident)
        return Accepted(ids.write_invocation(invocation.id), new, _start_of(invocation, submission, new))

    async def call(self, submission: Submission, accepted: Callable[[str], object] | None = None) -> Called:
        """Accept it and wait for its outcome; acceptance, work and outcome may share a commit.

        ``accepted`` is told the id as soon as there is one, which is before it is on the disk.
        """
        resident, new = await self._accept(submission, waits=True)
        id, expires_ms = resident.invocation.id, resident.invocation.expires_ms
        if accepted is not None:
            accepted(ids.write_invocation(id))
        if not new and resident.invocation.request.kind is Kind.WORKFLOW and not submission.attach:
            await self._kernel.durable(resident)
            return Called(id, None, None)
        return Called(id, await self._outcome(resident), _moment(expires_ms))

    async def outcome(self, id: str) -> Outcome:
        """Wait for the outcome of an invocation."""
        self._check_running(_ASK_AGAIN)
        parsed = ids.read_invocation(id)
        async with self._kernel.residency.hold_one(parsed):
            return await self._outcome(await self._find(parsed))

    async def output(self, id: str) -> Outcome | None:
        """How it ended, or ``None`` if it has not."""
        return (await self.look(id)).outcome

    async def peek(self, id: str) -> Peeked | None:
        try:
            invocation = await self.look(id)
        except InvocationNotFoundError:
            return None
        paused = invocation.status is Status.PAUSED
        return Peeked(invocation.request.target, invocation.outcome, _moment(invocation.expires_ms), paused)

    async def look(self, id: str) -> Invocation:
        """The invocation as it is on the disk, or newer."""
        self._check_running(_ASK_AGAIN)
        parsed = ids.read_invocation(id)
        async with self._kernel.residency.hold_one(parsed):
            resident = await self._find(parsed)
            invocation = resident.invocation
            await self._kernel.durable(resident)
            return invocation

    async def state(self, service: str, key: str) -> Mapping[str, bytes]:
        """Of one key, by name: as it is on the disk, or newer."""
        self._check_running(_ASK_AGAIN)
        async with self._kernel.residency.hold_one((service, key)):
            instance = self._kernel.ledger.instances[service, key]
            state = dict(instance.state)
            await self._kernel.writer.until(instance.number)
            return state

    async def status(self, id: str) -> str:
        return (await self.look(id)).status

    async def control(self, verb: Verb, id: str, from_entry: int = 0) -> str:
        """Kill, pause, resume, restart or purge; returns the id of the new invocation, if that is a restart."""
        self._check_running(_NOTHING_DONE)
        self._check_room()
        ledger, order = self._kernel.ledger, control.Order(verb, ids.read_invocation(id), self._new_id(), from_entry)
        async with self._kernel.residency.hold(lambda: control.needs(ledger, order)):
            await self._find(order.id)
            affected = control.carry_out(ledger, order, self._kernel.clock.now_ms())
            number = self._kernel.act()
        await self._kernel.writer.until(number)
        return ids.write_invocation(affected)

    async def signal(self, id: str, name: str, outcome: Outcome) -> None:
        """Send a named signal; one that comes before the invocation starts, or waits for it, is kept."""
        await self._signal(ids.read_invocation(id), Signalled(name, outcome))

    async def why(self, id: str) -> Why:
        """What it waits for, and what that waits for: keys, calls, promises, timers, people."""
        self._check_running(_ASK_AGAIN)
        ledger, parsed = self._kernel.ledger, ids.read_invocation(id)
        async with self._kernel.residency.hold(lambda: chain((parsed,), why_needs(ledger, parsed))):
            await self._find(parsed)
            found = why(ledger, parsed, self._kernel.clock.now_ms())
        await self._kernel.writer.until(ledger.number - 1)
        if found is None:
            raise InvocationNotFoundError.of(id)
        return found

    async def cancel(self, id: str) -> None:
        await self._signal(ids.read_invocation(id), Signalled(CANCEL, Success()))

    async def complete_awakeable(self, id: str, outcome: Outcome) -> None:
        """The first completion counts; a later one changes nothing. A forged id is a ``BadIdError``."""
        if isinstance(outcome, Success) and outcome.value is not None:
            check_size(outcome.value, "the value of the awakeable")
        awakeable = ids.read_awakeable(self._kernel.secret, id)
        await self._signal(awakeable.invocation, Signalled(awakeable.signal, outcome), awakeable.created_ms)

    @property
    def awaited(self) -> list[str]:
        """The ids of the invocations whose outcome somebody waits for."""
        return [ids.write_invocation(id) for id in self._watchers]

    def done(self, resident: Resident, number: int) -> None:
        """Effect: an invocation has its outcome. Who waits for it is told once it is on the disk."""
        watchers, outcome = self._watchers.pop(resident.invocation.id, None), resident.invocation.outcome
        if watchers and outcome is not None:
            self._told.update(dict.fromkeys(watchers))
            self._kernel.writer.when(number, partial(self._tell, watchers, outcome))

    def _tell(self, watchers: list[asyncio.Future[Outcome]], outcome: Outcome) -> None:
        for watcher in watchers:
            self._told.pop(watcher, None)
            if not watcher.done():
                watcher.set_result(outcome)

    @property
    def full(self) -> DiskFullError | None:
        """While the disk is full: then new work is refused, and what is known still told."""
        return self._kernel.writer.full

    @property
    def blocked(self) -> str | None:
        """Who kept the event loop from turning within the last minute."""
        return None if self.watchdog is None else self.watchdog.said

    def refuse(self) -> None:
        """The disk is full: who waits for what is not on it need not wait until there is room."""
        ledger, durable = self._kernel.ledger, self._kernel.writer.durable
        watched = [id for id in self._watchers if (held := ledger.find(id)) and held.number > durable]
        untold = [watcher for id in watched for watcher in self._watchers.pop(id)]
        for watcher in (*self._told, *untold):
            if not watcher.done() and self.full is not None:
                watcher.set_exception(unsure(self.full))
        self._told.clear()

    def stop(self, error: BaseException) -> None:
        """Nobody will get an answer any more."""
        self.stopped = error
        for watcher in chain(self._told, *self._watchers.values()):
            if not watcher.done():
                watcher.set_exception(self._not_running(_UNKNOWN))
        self._watchers.clear()
        self._told.clear()

    # -- how

    async def _accept(self, submission: Submission, *, waits: bool = False) -> tuple[Resident, bool]:
        """The invocation, and whether it is a new one. Who ``waits`` does not do so for another one."""
        self._check_running(_NOT_ACCEPTED)
        request = self._request(submission)
        workflow = request.kind is Kind.WORKFLOW
        derived = derived_id(request.target, request.idempotency_key, request.identity, workflow=workflow)
        id = derived or self._new_id()

        def needs() -> Iterator[Needed]:
            return chain(lifecycle.accept_needs(request, id), way_needs(self._kernel.ledger, request))

        if self._kernel.residency.has(needs()):
            resident, new = self._accept_now(request, id, submission.delay)
        else:
            async with self._kernel.residency.hold(needs):
                resident, new = self._accept_now(request, id, submission.delay)
        if waits and resident.invocation.id != id:
            raise skipped(resident).error()
        return resident, new

    def _accept_now(self, request: Request, id: InvocationId, delay: timedelta | None) -> tuple[Resident, bool]:
        self._check_running(_NOT_ACCEPTED)
        ledger = self._kernel.ledger
        if ledger.has(id):
            known = self._known(id)
            if request.kind is not Kind.WORKFLOW and lifecycle.differs(known, request):
                raise lifecycle.DIFFERENT_REQUEST.error()
            return known, False
        if (held := ledger.held_for_ever(request)) is not None:
            raise DamagedError(held)
        self._check_room()
        now_ms = self._kernel.clock.now_ms()
        if not delay and (full := full_queue(ledger, request, now_ms)) is not None:
            self._kernel.act()  # nothing was decided; lanes of what is refused may be forgotten
            raise QueueFullError(full.refusal, retry_after=full.wait())
        due_ms = None if delay is None else now_ms + round(delay.total_seconds() * 1000)
        way = make_way(ledger, request, now_ms, due_ms)
        if way.skipped_for is not None:
            return way.skipped_for, False
        resident = lifecycle.accept(ledger, way.request, id, now_ms, way.due_ms)
        self._kernel.act()
        return resident, True

    def _request(self, submission: Submission) -> Request:
        target = submission.target
        check_size(submission.payload, "the payload")
        if submission.identity is not None:
            check_text(submission.identity, "an identity", LONGEST_KEY)  # an ingress's authenticate may return anything
        directory = self._kernel.ledger.directory
        if (wrong := unsendable(directory, target, delayed=bool(submission.delay))) is not None:
            raise wrong.error()
        rule = directory[target.service, target.handler]
        if submission.limit_key is not None and rule.limit is None:
            raise TerminalError(no_named_limit(target), status=400)
        return msgspec.structs.replace(
            rule.request(target, submission.payload, submission.headers, submission.idempotency_key),
            identity=submission.identity,
            limit=rule.limit_of(submission.limit_key),
            priority=submission.priority,
            version=self._version,
        )

    async def _outcome(self, resident: Resident) -> Outcome:
        outcome = resident.invocation.outcome
        if outcome is not None:
            await self._kernel.durable(resident)
            return outcome
        self._check_running(_UNKNOWN)
        if self.full is not None and resident.number > self._kernel.writer.durable:
            raise unsure(self.full)
        id = resident.invocation.id
        watcher: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        watchers = self._watchers.setdefault(id, [])
        watchers.append(watcher)
        try:
            return await watcher
        finally:
            if watcher.cancelled():
                self._forget(id, watcher)

    def _forget(self, id: InvocationId, watcher: asyncio.Future[Outcome]) -> None:
        watchers = self._watchers.get(id, [])
        if watcher in watchers:
            watchers.remove(watcher)
        if not watchers:
            self._watchers.pop(id, None)

    def _check_running(self, then: str) -> None:
        if self.stopped is not None:
            raise self._not_running(then)

    def _check_room(self) -> None:
        if self.full is not None:
            raise DiskFullError(f"{self.full}: nothing was accepted; make room on it, and ask again") from self.full

    def _not_running(self, then: str) -> EngineStoppedError:
        stopped = EngineStoppedError(f"the engine is not running: {self.stopped}; {then}")
        stopped.__cause__ = self.stopped
        return stopped

    async def _signal(self, id: InvocationId, entry: Signalled, created_ms: int | None = None) -> None:
        """``created_ms`` tells the invocation from another one that has its id by now."""
        self._check_running(_NOTHING_DONE)
        self._check_room()
        ledger = self._kernel.ledger

        def needs() -> Iterator[Needed]:
            yield id
            if resident := ledger.find(id):
                yield from lifecycle.signal_needs(ledger, resident, entry.signal)

        async with self._kernel.residency.hold(needs):
            resident = await self._find(id)
            if created_ms not in (None, resident.invocation.created_ms):
                raise InvocationNotFoundError.of(ids.write_invocation(id))
            lifecycle.signal(ledger, resident, entry, self._kernel.clock.now_ms())
            number = self._kernel.act()
        await self._kernel.writer.until(number)

    async def _find(self, id: InvocationId) -> Resident:
        held = self._kernel.ledger.invocations.get(id)
        if held is not None and held.purged:
            await self._kernel.durable(held)  # or somebody is told that it is gone, and after a crash it is back
            # By now there may be another one of its id, whose needs nobody holds.
            raise InvocationNotFoundError.of(ids.write_invocation(id))
        return self._known(id)

    def _known(self, id: InvocationId) -> Resident:
        if id in self._kernel.ledger.damaged:
            raise DamagedError(self._kernel.ledger.damaged[id])
        resident = self._kernel.ledger.find(id)
        if resident is None:
            raise InvocationNotFoundError.of(ids.write_invocation(id))
        return resident


def _start_of(invocation: Invocation, submission: Submission, new: bool) -> datetime | None:
    if invocation.status is Status.SCHEDULED:
        return _moment(invocation.due_ms)
    return _moment(invocation.created_ms) if new and submission.delay is not None else None  # put off by nothing


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
