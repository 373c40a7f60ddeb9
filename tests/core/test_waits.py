from __future__ import annotations

import pytest

from durable.core import commands, waits
from durable.core.awaits import All, One
from durable.core.entries import Attach, Call, PeekPromise, Run
from durable.core.invocation import Status, instance_id
from durable.core.ledger import Ledger, Resident
from durable.core.outcome import Failure, Success
from durable.core.waits import Missing, why
from tests.core.bench import ADD, NOW, a_ledger, accept, id_of, instance_of, with_status


@pytest.fixture
def ledger() -> Ledger:
    return a_ledger()


@pytest.fixture
def caller(ledger: Ledger) -> Resident:
    return accept(ledger)


def test_a_search_needs_what_it_comes_to(ledger: Ledger, caller: Resident) -> None:
    other = accept(ledger)
    ledger.append(other, Attach(1, id_of(50)))

    assert list(waits.deadlock_needs(ledger, caller, instance_id(ADD))) == [instance_id(ADD)]
    assert list(waits.deadlock_needs(ledger, caller, other.invocation.id)) == [id_of(50)]
    assert list(waits.deadlock_needs(ledger, caller, caller.invocation.id)) == []


def test_a_free_key_closes_no_circle(ledger: Ledger, caller: Resident) -> None:
    instance_of(ledger, ADD)

    assert waits.circle(ledger, caller, instance_id(ADD)) is None


def test_a_search_ends_where_somebody_has_completed(ledger: Ledger, caller: Resident) -> None:
    done = with_status(ledger, Status.COMPLETED)

    assert waits.circle(ledger, caller, done.invocation.id) is None


def test_one_that_waits_for_a_key_that_nobody_holds_closes_no_circle(ledger: Ledger, caller: Resident) -> None:
    pending = with_status(ledger, Status.PENDING)

    assert waits.circle(ledger, caller, pending.invocation.id) is None


def test_a_search_visits_nobody_twice(ledger: Ledger, caller: Resident) -> None:
    left, right = accept(ledger), accept(ledger)
    for each, other in ((left, right), (right, left)):
        ledger.append(each, Attach(1, other.invocation.id))
        ledger.append(each, Attach(2, other.invocation.id))

    assert waits.circle(ledger, caller, left.invocation.id) is None


def test_a_call_goes_ahead_if_a_waiter_cannot_be_read(ledger: Ledger, caller: Resident) -> None:
    holder = accept(ledger, ADD)
    ledger.append(holder, Attach(1, id_of(50)))

    commands.apply(ledger, caller, Call(1, ADD, b"{}", {}, None, id_of(60)), NOW)

    assert ledger.invocations[id_of(60)].invocation.status is Status.PENDING


def test_a_search_ends_at_what_is_damaged(ledger: Ledger, caller: Resident) -> None:
    holder = accept(ledger, ADD)
    ledger.append(holder, Attach(1, id_of(50)))
    ledger.append(holder, Attach(2, caller.invocation.id))
    ledger.damaged[id_of(50)] = "a flipped bit"

    assert list(waits.deadlock_needs(ledger, caller, holder.invocation.id)) == []
    assert waits.circle(ledger, caller, holder.invocation.id) is not None


def test_why_tells_what_is_damaged(ledger: Ledger, caller: Resident) -> None:
    ledger.append(caller, Attach(1, id_of(50)))
    caller.awaits.append(One(1))
    ledger.damaged[id_of(50)] = "a flipped bit"

    found = why(ledger, caller.invocation.id)

    assert found
    assert [reason.what for reason in found.reasons] == ["a call has no outcome: a flipped bit"]


def test_why_of_nothing_needs_it(ledger: Ledger) -> None:
    assert list(waits.why_needs(ledger, id_of(9))) == [id_of(9)]
    with pytest.raises(Missing):
        why(ledger, id_of(9))


def test_why_of_what_is_purged_is_nothing(ledger: Ledger, caller: Resident) -> None:
    caller.purged = True

    assert why(ledger, caller.invocation.id) is None
    assert list(waits.why_needs(ledger, caller.invocation.id)) == []


def test_why_stops_where_it_has_been(ledger: Ledger, caller: Resident) -> None:
    ledger.append(caller, Attach(1, caller.invocation.id))
    caller.awaits.append(One(1))

    found = why(ledger, caller.invocation.id)

    assert found
    assert found.reasons[0].invocation
    assert found.reasons[0].invocation.reasons == []


def test_why_tells_steps_and_failures(ledger: Ledger, caller: Resident) -> None:
    ledger.append(caller, Run(1, "charge"))
    ledger.append(caller, Run(2, "mail"))
    ledger.append(caller, commands.e.Completed(2, Success(b"")))
    ledger.append(caller, PeekPromise(4, "paid"))
    caller.awaits.append(All((One(1), One(2), One(3), One(4))))  # 3: not decided yet
    failing = with_status(ledger, Status.BACKING_OFF)
    ledger.change(failing, attempts=3, failure=Failure(500, "down"), due_ms=NOW)

    found = [why(ledger, each.invocation.id) for each in (caller, failing)]
    said = [reason.what for each in found if each for reason in each.reasons]

    assert said == ["step 'charge' has no result", "PeekPromise has no answer", "attempt 3 failed: down"]


def test_why_names_the_key(ledger: Ledger) -> None:
    accept(ledger, ADD)
    pending = accept(ledger, ADD)

    found = why(ledger, pending.invocation.id)

    assert found
    assert found.reasons[0].what == "the key Cart/mary is held"
