from __future__ import annotations

import re
from datetime import timedelta

import pytest

from durable.core import commands, lifecycle, waits
from durable.core.awaits import All, One
from durable.core.entries import Attach, Call, GetPromise, PeekPromise, Run, Sleep
from durable.core.ids import FIRST_AWAKEABLE
from durable.core.invocation import Status, instance_id
from durable.core.lanes import LaneKey, Mode
from durable.core.ledger import Ledger, Resident
from durable.core.moments import write_moment
from durable.core.outcome import Failure, Success
from durable.core.waits import Missing, why
from durable.flow import Limit, LimitSet, Rate
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


def test_a_key_whose_holder_waits_for_the_caller_closes_a_circle(ledger: Ledger, caller: Resident) -> None:
    """By way of one that stands in line for that key, and has a timer besides."""
    holder, queued = accept(ledger, ADD), accept(ledger, ADD)
    ledger.append(holder, Sleep(1, NOW + 5))
    ledger.append(holder, Attach(2, caller.invocation.id))

    found = waits.circle(ledger, caller, queued.invocation.id)

    assert found is not None
    assert found.message.startswith("deadlock: Mail/send -> Cart/mary/add -> Cart/mary/add -> Mail/send;")


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

    found = why(ledger, caller.invocation.id, NOW)

    assert found
    assert [reason.what for reason in found.reasons] == ["a call has no outcome: a flipped bit"]


def test_why_of_nothing_needs_it(ledger: Ledger) -> None:
    assert list(waits.why_needs(ledger, id_of(9))) == [id_of(9)]
    with pytest.raises(Missing):
        why(ledger, id_of(9), NOW)


def test_why_of_what_is_purged_is_nothing(ledger: Ledger, caller: Resident) -> None:
    caller.purged = True

    assert why(ledger, caller.invocation.id, NOW) is None
    assert list(waits.why_needs(ledger, caller.invocation.id)) == []


def test_why_stops_where_it_has_been(ledger: Ledger, caller: Resident) -> None:
    ledger.append(caller, Attach(1, caller.invocation.id))
    caller.awaits.append(One(1))

    found = why(ledger, caller.invocation.id, NOW)

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

    found = [why(ledger, each.invocation.id, NOW) for each in (caller, failing)]
    said = [reason.what for each in found if each for reason in each.reasons]

    assert said == ["step 'charge' has no result", "PeekPromise has no answer", "attempt 3 failed: down"]


def test_why_names_the_key(ledger: Ledger) -> None:
    accept(ledger, ADD)
    pending = accept(ledger, ADD)

    found = why(ledger, pending.invocation.id, NOW)

    assert found
    assert found.reasons[0].what == "the key Cart/mary is held"


def test_why_tells_the_limits_that_are_full_and_how_many_wait(ledger: Ledger) -> None:
    ledger.admission.replace(LimitSet([Limit("service/*", concurrency=1)]), (), NOW)
    accept(ledger)
    ready = accept(ledger)

    assert reasons(ledger, ready) == [
        ("service/Mail lets 1 run at once, and 1 do (by the limit service/*)", None),
        ("1 wait with the same limits and priority, itself among them", None),
    ]


def test_why_does_not_tell_limits_that_have_room(ledger: Ledger) -> None:
    ledger.admission.replace(LimitSet([Limit("engine", concurrency=9), Limit("service/*", concurrency=1)]), (), NOW)
    accept(ledger)
    ready = accept(ledger)

    assert not [what for what, _ in reasons(ledger, ready) if "engine" in what]


def test_why_tells_when_a_rate_lets_the_next_one_start(ledger: Ledger) -> None:
    ledger.admission.replace(LimitSet([Limit("service/Mail", rate=Rate(1, timedelta(hours=1)))]), (), NOW)
    accept(ledger)
    ready = accept(ledger)

    assert reasons(ledger, ready)[0] == ("service/Mail lets 1 start in 1:00:00", NOW + 3_600_000)


def test_why_tells_that_others_come_first(ledger: Ledger) -> None:
    """A slot is free, and whose turn it is has not been told yet."""
    ledger.admission.replace(LimitSet([Limit("engine", concurrency=1)]), (), NOW)
    running = accept(ledger)
    accept(ledger, priority=1)
    ready = accept(ledger)
    assert ledger.admission.pick(NOW) is None
    lifecycle.complete(ledger, running, Success(b""), NOW)

    assert reasons(ledger, ready)[0] == ("others wait for engine too, and their turn is before its own", None)


def test_why_of_a_lane_that_is_unknown_says_so(ledger: Ledger) -> None:
    """After a restart, while an engine still reads who waits."""
    ready = with_status(ledger, Status.READY)
    ledger.change(ready, lane=LaneKey.of(ready.invocation.request, Mode.START, keyed=False).write())
    ledger.admission.lanes.clear()

    assert reasons(ledger, ready) == [("0 wait with the same limits and priority, itself among them", None)]


def test_why_tells_when_something_begins(ledger: Ledger) -> None:
    scheduled = accept(ledger, due_ms=NOW + 5)

    assert reasons(ledger, scheduled) == [("its time to start has not come", NOW + 5)]


def test_why_tells_signals_awakeables_timers_and_promises(ledger: Ledger, caller: Resident) -> None:
    ledger.append(caller, Sleep(1, NOW + 9))
    ledger.append(caller, GetPromise(2, "paid"))
    lifecycle.suspend(ledger, caller, NOW)
    ledger.change(caller, awaiting=("ready\x000", -FIRST_AWAKEABLE - 1, 1, 2))

    assert reasons(ledger, caller) == [
        ("signal 'ready' has not arrived", None),
        ("awakeable 2 of this invocation is not completed", None),
        ("a timer has not fired", NOW + 9),
        ("promise 'paid' is not completed", None),
    ]


def test_why_of_what_is_paused_or_done(ledger: Ledger) -> None:
    paused, done = with_status(ledger, Status.PAUSED), with_status(ledger, Status.COMPLETED)
    ledger.change(paused, failure=Failure(500, "out of attempts"))

    assert reasons(ledger, paused) == [
        ("it is paused until the cause is mended, deployed, and it is resumed: out of attempts", None)
    ]
    assert reasons(ledger, done) == []


def test_why_is_told_as_a_tree(ledger: Ledger, caller: Resident) -> None:
    callee = accept(ledger, due_ms=NOW + 5)
    ledger.append(caller, Attach(1, callee.invocation.id))
    caller.awaits.append(One(1))

    told = str(why(ledger, caller.invocation.id, NOW)).splitlines()

    assert [re.sub(r"\(inv_\w+\)", "(inv)", line) for line in told] == [
        "Mail/send (inv) is running",
        "  a call has no outcome",
        "    Mail/send (inv) is scheduled",
        f"      its time to start has not come (until {write_moment(NOW + 5)})",
    ]


def test_why_as_text_has_the_time_of_the_next_attempt(ledger: Ledger) -> None:
    failing = with_status(ledger, Status.BACKING_OFF)
    ledger.change(failing, attempts=3, failure=Failure(500, "down"), due_ms=NOW)

    told = str(why(ledger, failing.invocation.id, NOW)).splitlines()

    assert told[1:] == [f"  attempt 3 failed: down (until {write_moment(NOW)})"]


def reasons(ledger: Ledger, resident: Resident) -> list[tuple[str, int | None]]:
    found = why(ledger, resident.invocation.id, NOW)
    assert found is not None
    return [(reason.what, reason.due_ms) for reason in found.reasons]
