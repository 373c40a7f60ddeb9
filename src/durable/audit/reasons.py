"""I9 and I14 of one invocation that has not completed: each thing that it waits for has what will end the wait.

The journal says what it waits for, and has checksums; timers, waiters and listeners repeat that, and have none. So
where the two differ the journal is right, and the remedy follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from durable.audit.finding import Found, found
from durable.audit.reader import Reader, name_of
from durable.core.entries import Attach, Call, Completed, GetPromise, Question, Run, Sleep
from durable.core.invocation import Caller, Commit, Invocation, Kind, Status, Timer, instance_id
from durable.core.journal import Journal
from durable.core.ledger import Resident
from durable.core.outcome import Outcome
from durable.errors import DamagedError
from durable.store.rows import read_promises


class Reasons:
    """Why one invocation will move."""

    def __init__(self, reader: Reader, resident: Resident) -> None:
        self._reader, self._resident = reader, resident
        self._invocation = resident.invocation
        self._subject = name_of(self._invocation.id)

    def check(self) -> Iterator[Found]:
        yield from self._timers()
        yield from self._promises()
        for entry in self._resident.open.values():
            if isinstance(entry, Call | Attach):
                yield from self._awaited(entry)
        yield from self._waiters()
        yield from self._caller()
        if self._invocation.status is Status.PENDING:
            yield from self._line()
        if self._invocation.status is Status.SUSPENDED:
            yield from self._suspension()

    def _timers(self) -> Iterator[Found]:
        n = self._invocation.n
        wanted = {
            Timer(entry.due_ms, n, entry.completion)
            for entry in self._resident.open.values()
            if isinstance(entry, Sleep)
        }
        there = {Timer(*row) for row in self._reader.rows("timers_of", n)}
        for timer in sorted(wanted - there):
            what = f"it sleeps until {timer.due_ms}, and there is no timer to wake it"
            yield found("I9", self._subject, what, _switch_timer(timer, on=True))
        for timer in there - wanted:
            if timer.completion:  # the others are found as orphans
                what = (
                    f"a timer is set for its completion {timer.completion}, which does not sleep until {timer.due_ms}"
                )
                yield found("I14", self._subject, what, _switch_timer(timer, on=False))

    def _promises(self) -> Iterator[Found]:
        if self._invocation.request.kind is not Kind.WORKFLOW:
            return
        instance = instance_id(self._invocation.request.target)
        wanted = {
            (entry.name, entry.completion) for entry in self._resident.open.values() if isinstance(entry, GetPromise)
        }
        there = {
            (name, completion) for name, completion in self._reader.rows("listeners_of", *instance, self._invocation.id)
        }
        for name, completion in sorted(wanted):
            outcome = self._promised(name)
            if outcome is not None:
                what = f"promise {name!r} is completed, and it was not told"
                yield found("I9", self._subject, what, self._told(completion, outcome))
            elif (name, completion) not in there:
                what = f"it waits for promise {name!r}, and is not among those who will be told"
                yield found("I9", self._subject, what, self._switch_listener(name, completion, on=True))
        for name, completion in there - wanted:
            what = f"it is to be told of promise {name!r} as completion {completion}, and did not ask"
            yield found("I14", self._subject, what, self._switch_listener(name, completion, on=False))

    def _promised(self, name: str) -> Outcome | None:
        instance = instance_id(self._invocation.request.target)
        try:
            return read_promises(instance, self._reader.rows("promise_of", *instance, name)).get(name)
        except DamagedError:
            return None  # a finding of its own

    def _awaited(self, entry: Call | Attach) -> Iterator[Found]:
        caller = Caller(self._invocation.id, entry.completion)
        awaited, other = name_of(entry.invocation_id), None
        try:
            other = self._reader.invocation(entry.invocation_id)
        except DamagedError:
            return  # a finding of its own
        if other is None:
            yield found("I9", self._subject, f"it waits for {awaited}, which is not there")
        elif other.outcome is not None:
            what = f"it waits for {awaited}, which is completed, and was not told"
            yield found("I9", self._subject, what, self._told(entry.completion, other.outcome))
        elif (other.request.caller != caller or other.detached) and not self._reader.rows(
            "waits_for", other.id, *caller
        ):
            commit = Commit()
            commit.waiters[other.id, caller] = True
            yield found("I9", self._subject, f"it waits for {awaited}, which will not tell it", commit)

    def _waiters(self) -> Iterator[Found]:
        """Whoever is to be told of its end must be waiting for it."""
        for row in self._reader.rows("waiters", self._invocation.id):
            caller = Caller(*row)
            if self._asks(caller) is False:
                commit = Commit()
                commit.waiters[self._invocation.id, caller] = False
                what = (
                    f"{name_of(caller.id)} is to be told of its end as completion {caller.completion}, and did not ask"
                )
                yield found("I14", self._subject, what, commit)

    def _caller(self) -> Iterator[Found]:
        caller = self._invocation.request.caller
        if caller is not None and not self._invocation.detached and not self._asks(caller):
            commit = Commit()
            commit.change(msgspec.structs.replace(self._invocation, detached=True))
            what = f"{name_of(caller.id)} called it, does not wait for it any more, and is to be told of its end"
            yield found("I14", self._subject, what, commit)

    def _asks(self, caller: Caller) -> bool | None:
        """Whether that caller waits for this invocation; ``True`` if it cannot be read, ``None`` if it has gone."""
        try:
            other = self._reader.resident(caller.id)
        except DamagedError:
            return True
        if other is None or other.invocation.status is Status.COMPLETED:
            return None  # for a waiter that is an orphan, and found as one
        asked = other.open.get(caller.completion)
        return isinstance(asked, Call | Attach) and asked.invocation_id == self._invocation.id

    def _line(self) -> Iterator[Found]:
        ((first,),) = self._reader.rows("first_place", *instance_id(self._invocation.request.target))
        if first is not None and first == self._invocation.place:
            what = "it is the first in the line of its key, and was not started"
            yield found("I9", self._subject, what, self._woken())

    def _suspension(self) -> Iterator[Found]:
        journal = Journal(self._resident.entries)
        questions = {entry.completion: entry for entry in self._resident.entries if isinstance(entry, Question)}
        for slot in self._invocation.awaiting or ():
            if journal.notified(slot) is not None:
                what = f"it is suspended until {_describe(slot, questions)} is there, which it is"
            elif isinstance(slot, int) and slot > 0 and slot not in questions:
                what = f"it is suspended until completion {slot} is there, which nothing in its journal asks for"
            elif isinstance(slot, int) and isinstance(questions.get(slot), Run):
                what = f"it is suspended until {_describe(slot, questions)} is there, which only it can bring about"
            else:
                continue
            yield found("I9", self._subject, what, self._woken())

    def _told(self, completion: int, outcome: Outcome) -> Commit:
        """What the engine would have written when the outcome came."""
        length, commit = len(self._resident.entries), Commit()
        commit.append(self._invocation.n, length, Completed(completion, outcome))
        woken = _running(self._invocation) if self._invocation.status is Status.SUSPENDED else self._invocation
        commit.change(msgspec.structs.replace(woken, entries=length + 1))
        return commit

    def _woken(self) -> Commit:
        """An attempt more does no harm: what it finds in the journal is replayed."""
        commit = Commit()
        commit.change(_running(self._invocation))
        return commit

    def _switch_listener(self, name: str, completion: int, *, on: bool) -> Commit:
        commit = Commit()
        instance = instance_id(self._invocation.request.target)
        commit.listeners[*instance, name, Caller(self._invocation.id, completion)] = on
        return commit


def _running(invocation: Invocation) -> Invocation:
    return msgspec.structs.replace(invocation, status=Status.RUNNING, awaiting=None)


def _switch_timer(timer: Timer, *, on: bool) -> Commit:
    commit = Commit()
    commit.timers[timer] = on
    return commit


def _describe(slot: int | str, questions: Mapping[int, Question]) -> str:
    if isinstance(slot, str):
        return f"signal {slot.partition(chr(0))[0]!r}"
    if slot < 0:
        return f"signal {-slot}"
    asked = questions.get(slot)
    return f"completion {slot}" if asked is None else f"the answer to {asked}"
