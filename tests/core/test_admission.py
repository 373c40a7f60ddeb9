"""Slots, rates and priorities, with everything in memory: who is let in, and that no slot is ever lost."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from durable.core import control, lifecycle
from durable.core.entries import Signalled, Target
from durable.core.ids import CANCEL
from durable.core.invocation import Kind, LoadedInstance, Request, Status, Timer, instance_id
from durable.core.lanes import Lane, LaneKey, Mode
from durable.core.ledger import Ledger, Resident, Rule, Start
from durable.core.lifecycle import Failed
from durable.core.outcome import Failure, Success
from durable.core.single import full_queue
from durable.core.turns import PATIENCE
from durable.errors import InvocationStateError
from durable.flow import Limit, LimitSet, Path, Rate, parse_pattern, read_path
from durable.retry import RetryPolicy
from tests.core.bench import NOW, id_of
from tests.examples import examples

DAILY = Rate(1, timedelta(days=1))
DIRECTORY = {
    ("Mail", "send"): Rule(Kind.SERVICE, 1000, limit="tenant"),
    ("Mail", "sort"): Rule(Kind.SERVICE, 1000),
    ("Cart", "add"): Rule(Kind.EXCLUSIVE, 1000),
    ("Cart", "show"): Rule(Kind.SHARED, 1000),
}


def a_ledger(*limits: Limit) -> Ledger:
    ledger = Ledger(DIRECTORY, last_n=0, last_place=0)
    ledger.admission.replace(LimitSet(limits), (), NOW)
    return ledger


def accept(
    ledger: Ledger, target: Target, now_ms: int = NOW, *, limit_key: str | None = None, priority: int = 0
) -> Resident:
    rule = DIRECTORY[target.service, target.handler]
    request = Request(
        target=target, kind=rule.kind, payload=b"", limit=rule.limit_of(limit_key), priority=priority, retention_ms=1000
    )
    ledger.admit_instance(instance_id(target), LoadedInstance([], {}, {}, {}))
    return lifecycle.accept(ledger, request, id_of(ledger.last_n + 1), now_ms, None)


def send(ledger: Ledger, tenant: str, priority: int = 0) -> Resident:
    return accept(ledger, Target("Mail", "send"), limit_key=tenant, priority=priority)


def let_in(ledger: Ledger, now_ms: int = NOW, most: int = 1_000_000) -> list[Resident]:
    """As a gatekeeper does; whom it let in, in order."""
    admission, went = ledger.admission, list[Resident]()
    while len(went) < most and (lane := admission.pick(now_ms)) is not None:
        if lane.line.wants_refill:
            refill(ledger, lane)
        _, id = lane.line.pop()
        resident = ledger.invocations[id]
        lifecycle.let_in(ledger, resident, lane, now_ms)
        if resident.invocation.status is Status.RUNNING:
            went.append(resident)
    if len(went) < most:
        admission.turns.look()
    return went


def refill(ledger: Ledger, lane: Lane) -> None:
    after, rows = lane.line.begin_refill() or 0, (each.invocation for each in ledger.invocations.values())
    standing = sorted((row.n, row.id) for row in rows if row.status is Status.READY and row.lane == lane.text)
    lane.line.refill([each for each in standing if each[0] > after][: lane.line.limit])


def reopened(ledger: Ledger, limits: LimitSet, rates: dict[str, float], now_ms: int) -> Ledger:
    """Another engine on what this one wrote, as :mod:`durable.runtime.gatekeeper` opens it."""
    after = Ledger(DIRECTORY, last_n=ledger.last_n, last_place=ledger.last_place)
    after.invocations, after.instances, admission = ledger.invocations, ledger.instances, after.admission
    admission.opening = True
    admission.replace(limits, (), now_ms)
    for name, next_start_ms in rates.items():
        if not admission.resume_rate(read_path(name), next_start_ms, now_ms):
            after.commit.rates[name] = None
    rows = [each.invocation for each in after.invocations.values()]
    waiting = Counter((row.lane, row.status) for row in rows if row.lane is not None)
    for (lane, status), count in sorted(waiting.items()):
        admission.restore(lane, status, count)
    for row in rows:
        if row.holds and row.status not in (Status.RUNNING, Status.COMPLETED):
            admission.count(row)
    for resident in running(after):
        lifecycle.recover(after, resident, now_ms)
    admission.opening = False
    return after


def running(ledger: Ledger) -> list[Resident]:
    return [each for each in ledger.invocations.values() if each.invocation.status is Status.RUNNING]


def complete(ledger: Ledger, resident: Resident, now_ms: int = NOW) -> None:
    lifecycle.complete(ledger, resident, Success(b""), now_ms)


def served(ledger: Ledger, count: int) -> list[Resident]:
    """Who ran, one after the other."""
    order: list[Resident] = []
    for _ in range(count):
        (one,) = running(ledger)
        order.append(one)
        complete(ledger, one)
        let_in(ledger)
    return order


def test_a_flood_of_one_tenant_does_not_starve_another() -> None:
    ledger = a_ledger(Limit("engine", concurrency=1))
    for _ in range(1000):
        send(ledger, "flood")
    let_in(ledger)
    few = [send(ledger, "few") for _ in range(5)]
    let_in(ledger)

    order = served(ledger, 12)

    assert {each.invocation.id for each in few} <= {each.invocation.id for each in order}
    assert [each.invocation.id for each in order if each in few] == [each.invocation.id for each in few]


def test_a_priority_is_served_twice_as_often_as_the_one_below() -> None:
    ledger = a_ledger(Limit("engine", concurrency=1))
    for _ in range(180):
        for priority in (0, 1, 2):
            send(ledger, "a", priority)
    let_in(ledger)

    shares = Counter(each.invocation.request.priority for each in served(ledger, 210))

    assert shares == pytest.approx({0: 30, 1: 60, 2: 120}, abs=3)


def test_whoever_waits_is_served_however_many_with_priority_come() -> None:
    ledger = a_ledger(Limit("engine", concurrency=1))
    send(ledger, "a")
    poor = send(ledger, "a")

    for rounds in range(2**9 + 10):
        send(ledger, f"t{rounds % 100}", 9)  # each time another one with everything in its favour
        let_in(ledger)
        (one,) = running(ledger)
        complete(ledger, one)
        let_in(ledger)
        if poor.invocation.status is Status.RUNNING:
            break
    else:
        pytest.fail("it was starved")


def test_a_flood_of_one_key_does_not_starve_another() -> None:
    ledger = a_ledger(Limit("handler/Cart/show", concurrency=1))
    for _ in range(150):
        accept(ledger, Target("Cart", "show", "flood"))
    let_in(ledger)
    few = [accept(ledger, Target("Cart", "show", "few")) for _ in range(3)]
    let_in(ledger)

    assert {each.invocation.id for each in few} <= {each.invocation.id for each in served(ledger, 8)}


def test_what_waits_at_one_tenants_limit_keeps_no_other_out() -> None:
    ledger = a_ledger(Limit("limit/tenant/*", concurrency=1), Limit("engine", concurrency=5))
    many = [send(ledger, "many") for _ in range(20)]
    other = [send(ledger, "other"), send(ledger, "third")]
    let_in(ledger)

    assert {each.invocation.id for each in running(ledger)} == {
        many[0].invocation.id,
        *(each.invocation.id for each in other),
    }


def test_a_lane_of_two_limits_is_not_starved_by_two_that_have_one_each() -> None:
    """The two slots that it needs are never free at once, unless somebody keeps the first."""
    ledger = a_ledger(Limit("service/Mail", concurrency=1), Limit("limit/tenant", concurrency=1))
    pool = Rule(Kind.SERVICE, 1000, limit="tenant")
    ledger.directory = {**DIRECTORY, ("Post", "send"): pool}

    def post() -> Resident:
        request = Request(target=Target("Post", "send"), kind=Kind.SERVICE, payload=b"", limit="tenant")
        return lifecycle.accept(ledger, request, id_of(ledger.last_n + 1), NOW, None)

    for _ in range(3):
        accept(ledger, Target("Mail", "sort"))
        post()
    both = send(ledger, "a")

    for turn in range(60):
        accept(ledger, Target("Mail", "sort"))
        post()
        let_in(ledger)
        if both.invocation.status is Status.RUNNING:
            break
        busy = [
            each for each in running(ledger) if each.invocation.request.target.service == ("Mail", "Post")[turn % 2]
        ]
        for each in busy:  # one of the two at a time
            complete(ledger, each)
        let_in(ledger)
    else:
        pytest.fail("it was starved")
    assert ledger.admission.imbalance([each.invocation for each in running(ledger)]) == []


def test_an_engine_without_limits_counts_nothing() -> None:
    ledger = Ledger(DIRECTORY, last_n=0, last_place=0)
    for _ in range(3):
        send(ledger, "a")

    assert len(running(ledger)) == 3
    assert not ledger.admission.active
    assert ledger.admission.slots == {}
    assert ledger.admission.imbalance([each.invocation for each in running(ledger)]) == []
    assert full_queue(ledger, running(ledger)[0].invocation.request, NOW) is None


def test_a_slot_is_held_through_a_wait_if_the_limit_says_so() -> None:
    ledger = a_ledger(Limit("handler/Mail/send", concurrency=1, hold=True))
    first, second = send(ledger, "a"), send(ledger, "a")
    lifecycle.suspend(ledger, first, NOW)

    assert let_in(ledger) == []
    assert first.invocation.holds

    lifecycle.notify(ledger, first, Signalled("go", Success(b"")), NOW)
    assert first.invocation.status is Status.RUNNING
    complete(ledger, first)
    assert let_in(ledger) == [second]


def test_a_slot_is_given_up_with_a_wait_and_taken_again_in_turn() -> None:
    ledger = a_ledger(Limit("handler/Mail/send", concurrency=1))
    first, second = send(ledger, "a"), send(ledger, "a")
    lifecycle.suspend(ledger, first, NOW)
    assert let_in(ledger) == [second]

    lifecycle.notify(ledger, first, Signalled("go", Success(b"")), NOW)

    assert first.invocation.status is Status.READY
    assert let_in(ledger) == []
    complete(ledger, second)
    assert let_in(ledger) == [first]


def test_a_start_that_rests_only_on_the_rate_is_let_in_when_its_time_comes() -> None:
    ledger = a_ledger(Limit("service/Mail", rate=Rate(1, timedelta(seconds=1))))
    first, second, third = (send(ledger, "a") for _ in range(3))
    assert running(ledger) == [first]
    assert let_in(ledger) == []
    assert ledger.admission.turns.next_ms == NOW + 1000

    assert let_in(ledger, NOW + 999) == []
    assert let_in(ledger, NOW + 1000) == [second]
    assert let_in(ledger, NOW + 2000) == [third]
    assert ledger.commit.rates == {"service/Mail": NOW + 3000}


def test_going_on_is_no_start() -> None:
    ledger = a_ledger(Limit("service/Mail", rate=Rate(1, timedelta(seconds=1))))
    first = send(ledger, "a")
    lifecycle.suspend(ledger, first, NOW)

    lifecycle.notify(ledger, first, Signalled("go", Success(b"")), NOW)

    assert first.invocation.status is Status.RUNNING


def test_lanes_that_say_nothing_are_forgotten() -> None:
    ledger = a_ledger(Limit("limit/tenant/*", concurrency=1))
    for number in range(5000):
        complete(ledger, send(ledger, f"t{number}"))
    last = send(ledger, "last")

    assert len(ledger.admission.prune(NOW)) == 5000

    assert list(ledger.admission.meters) == [("limit", "tenant", "last")]
    complete(ledger, last)
    assert ledger.admission.imbalance([]) == []


def test_lanes_stay_while_they_are_few() -> None:
    ledger = a_ledger(Limit("limit/tenant/*", rate=Rate(1, timedelta(hours=1))))
    complete(ledger, send(ledger, "a"))

    assert ledger.admission.prune(NOW) == []

    assert send(ledger, "a").invocation.status is Status.READY  # the rate was not forgotten


def test_an_invocation_that_cannot_be_found_keeps_no_slot() -> None:
    ledger = a_ledger(Limit("engine", concurrency=1))
    first, lost, third = (send(ledger, "a") for _ in range(3))
    complete(ledger, first)
    lane = ledger.admission.pick(NOW)
    assert lane is not None
    lane.line.pop()
    lifecycle.let_in(ledger, None, lane, NOW)  # its row is damaged, say

    assert let_in(ledger) == [third]
    complete(ledger, third)
    lane = ledger.admission.pick(NOW)
    assert lane is not None
    assert lane.line.first is None
    ledger.admission.lose(lane)

    assert ledger.admission.pick(NOW) is None
    assert lost.invocation.status is Status.READY
    assert [(meter.used, meter.backlog) for meter in ledger.admission.meters.values()] == [(0, 0)]
    control.kill(ledger, lost, NOW)  # it was there after all
    assert send(ledger, "a").invocation.status is Status.RUNNING
    assert send(ledger, "a").invocation.status is Status.READY


def test_who_left_the_line_used_up_no_rate() -> None:
    ledger = a_ledger(Limit("service/Mail", rate=Rate(1, timedelta(seconds=1))))
    _, second, third = (send(ledger, "a") for _ in range(3))
    lifecycle.signal(ledger, second, Signalled(CANCEL, Success()), NOW)

    assert let_in(ledger, NOW + 1000) == [third]
    assert ledger.commit.rates == {"service/Mail": NOW + 2000}


def test_a_turn_that_nobody_took_is_the_next_ones() -> None:
    ledger = a_ledger(Limit("service/Mail", rate=Rate(1, timedelta(seconds=1))))
    _, second = (send(ledger, "a") for _ in range(2))
    lane = ledger.admission.pick(NOW + 1000)
    assert lane is not None
    lifecycle.signal(ledger, second, Signalled(CANCEL, Success()), NOW + 1000)  # while its row is being read
    third = send(ledger, "a")
    lane.line.pop()
    lifecycle.let_in(ledger, second, lane, NOW + 1000)

    assert let_in(ledger, NOW + 1000) == [third]


def test_another_limit_forgets_no_rate() -> None:
    rate = Limit("service/Mail", rate=Rate(1, timedelta(hours=1)))
    ledger = a_ledger(rate)
    complete(ledger, send(ledger, "a"))
    after = reopened(ledger, LimitSet([rate]), {"service/Mail": NOW + 3_600_000}, NOW)
    after.admission.replace(LimitSet([rate, Limit("service/Cart", concurrency=1)]), (), NOW)

    assert send(after, "a").invocation.status is Status.READY


def test_a_limit_without_a_rate_forgets_none() -> None:
    rate = Limit("service/Mail", rate=Rate(1, timedelta(hours=1)))
    ledger = a_ledger(rate)
    complete(ledger, send(ledger, "a"))
    stopped = ledger.admission.replace(LimitSet([Limit("service/Mail", concurrency=0)]), (), NOW)
    assert stopped == {("service", "Mail"): NOW + 3_600_000}
    ledger.admission.replace(LimitSet([rate]), (), NOW)

    assert send(ledger, "a").invocation.status is Status.READY
    assert ledger.admission.replace(LimitSet(), (), NOW) == {("service", "Mail"): None}


def test_another_rate_counts_the_starts_of_the_one_before() -> None:
    ledger = a_ledger(Limit("service/Mail", rate=Rate(1, timedelta(seconds=1))))
    send(ledger, "a")
    after = ledger.admission.replace(LimitSet([Limit("service/Mail", rate=Rate(1, timedelta(hours=1)))]), (), NOW + 500)

    assert after == {("service", "Mail"): NOW + 500 + 1_800_000}  # half of what has to pass after a start


def test_who_was_picked_before_there_was_a_rate_counts_for_it() -> None:
    ledger = a_ledger(Limit("service/Mail", concurrency=0))
    first, second = send(ledger, "a"), send(ledger, "a")
    ledger.admission.replace(LimitSet(), (), NOW)
    lane = ledger.admission.pick(NOW)
    assert lane is not None
    ledger.admission.replace(LimitSet([Limit("service/Mail", rate=Rate(1, timedelta(hours=1)))]), (), NOW)
    lane.line.pop()
    lifecycle.let_in(ledger, first, lane, NOW + 500)

    assert let_in(ledger, NOW + 3_600_499) == []
    assert let_in(ledger, NOW + 3_600_500) == [second]


def test_a_rate_counts_when_one_starts_however_long_its_row_was_read() -> None:
    ledger = a_ledger(Limit("service/Mail", rate=Rate(1, timedelta(seconds=1), burst=2)))
    first, second, third, fourth = (send(ledger, "a") for _ in range(4))
    assert running(ledger) == [first, second]
    lane = ledger.admission.pick(NOW + 1000)
    assert lane is not None
    assert ledger.admission.pick(NOW + 1000) is None
    lane.line.pop()
    lifecycle.let_in(ledger, third, lane, NOW + 10_000)

    assert let_in(ledger, NOW + 10_000) == [fourth]
    fifth = send(ledger, "a")
    assert let_in(ledger, NOW + 10_999) == []
    assert let_in(ledger, NOW + 11_000) == [fifth]


def test_limits_that_change_all_the_time_starve_nobody() -> None:
    ledger = a_ledger(Limit("engine", concurrency=1))
    send(ledger, "a")
    poor = send(ledger, "a")
    for _ in range(2**9 + 10):
        send(ledger, "rich", 9)
        ledger.admission.replace(
            LimitSet([Limit("engine", concurrency=1)]), [each.invocation for each in running(ledger)], NOW
        )
        (one,) = running(ledger)
        complete(ledger, one)
        let_in(ledger)
        if poor.invocation.status is Status.RUNNING:
            return
    pytest.fail("it was starved")


def test_lines_of_others_that_are_about_to_go_fill_no_queue() -> None:
    ledger = a_ledger(Limit("service/Mail", concurrency=1), Limit("service/Cart", concurrency=1, queue=0))
    first, _ = send(ledger, "a"), send(ledger, "a")
    complete(ledger, first)  # the line of the second is open, and nobody has looked yet
    assert ledger.admission.turns.changed

    request = Request(target=Target("Cart", "show", "x"), kind=Kind.SHARED, payload=b"")
    assert full_queue(ledger, request, NOW) is None


def test_who_holds_and_who_claims_do_not_wait_for_each_other() -> None:
    """One that woke up needs a slot that another lane keeps for its next one, which needs the slot that it holds."""
    ledger = a_ledger(Limit("handler/Mail/send", concurrency=1), Limit("service/Mail", concurrency=1, hold=True))
    first = send(ledger, "a")
    lifecycle.suspend(ledger, first, NOW)
    second = send(ledger, "a")
    ledger.admission.lane_of(second.invocation.request, Mode.START).bounced = PATIENCE + 1  # it claims from now on
    ledger.admission.replace(ledger.admission.limits, (), NOW)
    assert let_in(ledger) == []

    lifecycle.notify(ledger, first, Signalled("go", Success(b"")), NOW)
    let_in(ledger)

    assert first.invocation.status is Status.RUNNING


def test_a_slot_that_is_held_since_the_limit_changed_is_held_after_a_restart() -> None:
    ledger = a_ledger(Limit("service/Mail", concurrency=1))
    first = send(ledger, "a")
    holding = LimitSet([Limit("service/Mail", concurrency=1, hold=True)])
    ledger.admission.replace(holding, [first.invocation], NOW)
    lifecycle.suspend(ledger, first, NOW)
    after = reopened(ledger, holding, {}, NOW)

    second = send(after, "a")
    assert (first.invocation.holds, second.invocation.status) == (True, Status.READY)
    complete(after, first)
    assert let_in(after) == [second]


def test_a_slot_that_is_held_survives_that_the_limit_says_otherwise_for_a_while() -> None:
    holding, plain = (LimitSet([Limit("service/Mail", concurrency=1, hold=hold)]) for hold in (True, False))
    ledger = a_ledger(*holding.by_pattern.values())
    first = send(ledger, "a")
    lifecycle.suspend(ledger, first, NOW)
    ledger.admission.replace(plain, (), NOW)
    assert ledger.admission.imbalance([]) == []
    after = reopened(ledger, plain, {}, NOW)
    assert after.admission.imbalance([]) == []
    after.admission.replace(holding, (), NOW)

    assert send(after, "a").invocation.status is Status.READY


def test_who_waits_for_a_rate_holds_up_nobody_who_goes_on() -> None:
    ledger = a_ledger(Limit("service/Mail", concurrency=1, rate=Rate(1, timedelta(hours=1))))
    first = send(ledger, "a")
    lifecycle.suspend(ledger, first, NOW)
    second, later = send(ledger, "a"), NOW + 3_600_000
    third = send(ledger, "a")
    assert let_in(ledger, later) == [second]
    lifecycle.notify(ledger, first, Signalled("go", Success(b"")), later)
    assert let_in(ledger, later) == []

    complete(ledger, second, later)

    assert let_in(ledger, later) == [first]
    complete(ledger, first, later)
    assert let_in(ledger, later) == []
    assert let_in(ledger, later + 3_600_000) == [third]


def test_a_slot_that_is_held_is_kept_by_one_that_may_not_go_on() -> None:
    holding = Limit("handler/Mail/send", concurrency=2, hold=True)
    ledger = a_ledger(holding, Limit("engine", concurrency=2))
    first, second = send(ledger, "a"), send(ledger, "a")
    after = reopened(ledger, LimitSet([holding, Limit("engine", concurrency=1)]), {}, NOW)

    assert (first.invocation.status, second.invocation.status) == (Status.RUNNING, Status.READY)
    assert second.invocation.holds
    assert after.admission.meters["handler", "Mail", "send"].used == 2
    complete(after, first)
    assert let_in(after) == [second]


def test_what_is_held_is_remembered_while_there_are_no_limits() -> None:
    holding = LimitSet([Limit("service/Mail", concurrency=1, hold=True)])
    ledger = a_ledger(*holding.by_pattern.values())
    first = send(ledger, "a")
    lifecycle.suspend(ledger, first, NOW)
    without = reopened(ledger, LimitSet(), {}, NOW)
    without.admission.replace(holding, (), NOW)
    second = send(without, "a")
    assert second.invocation.status is Status.READY

    lifecycle.notify(without, first, Signalled("go", Success(b"")), NOW)
    again = reopened(without, holding, {}, NOW)

    assert first.invocation.status is Status.RUNNING
    complete(again, first)
    assert let_in(again) == [second]


def test_a_slot_is_asked_for_again_once_the_rate_has_let_go() -> None:
    limit = Limit("service/Mail", concurrency=2, rate=Rate(1, timedelta(seconds=1)))
    ledger = a_ledger(limit)
    send(ledger, "a")
    next_ones = [send(ledger, tenant) for tenant in "abc"]
    let_in(ledger)
    ledger.admission.turns.take_contended()  # somebody looked, and nobody could give up anything

    assert let_in(ledger, NOW + 1000) == next_ones[:1]

    assert ledger.admission.turns.take_contended()


def test_who_claimed_what_its_rate_holds_back_is_let_in_when_that_lets_go() -> None:
    rated = Limit("handler/Mail/send", concurrency=1, rate=Rate(1, timedelta(seconds=10)))
    ledger = a_ledger(Limit("engine", concurrency=1), rated)
    complete(ledger, send(ledger, "a"))
    busy, waits = accept(ledger, Target("Mail", "sort")), send(ledger, "a")
    let_in(ledger)
    # As after being sent from one to the other: the next time it finds one full, it claims the other.
    ledger.admission.lane_of(waits.invocation.request, Mode.START).bounced = PATIENCE + 1
    accept(ledger, Target("Mail", "sort"))
    complete(ledger, busy)
    let_in(ledger)
    ledger.admission.turns.open_next(ledger.admission.meters["engine",])
    for _ in range(6):
        for each in running(ledger):
            complete(ledger, each)
        let_in(ledger)

    assert let_in(ledger, NOW + 10_000) == [waits]


def test_nobody_is_let_in_before_all_that_ran_is_counted() -> None:
    ledger = a_ledger(Limit("engine", concurrency=1))
    ledger.admission.opening = True

    assert send(ledger, "a").invocation.status is Status.READY


def test_nobody_is_refused_before_all_that_wait_are_counted() -> None:
    ledger = a_ledger(Limit("engine", concurrency=1, queue=0))
    request = send(ledger, "a").invocation.request
    assert full_queue(ledger, request, NOW) is not None

    ledger.admission.opening = True

    assert full_queue(ledger, request, NOW) is None


def test_who_ran_is_counted_once() -> None:
    ledger = a_ledger(Limit("engine", concurrency=2))
    resident = send(ledger, "a")

    for _ in range(2):
        lifecycle.count_slots(ledger, resident)

    assert ledger.admission.meters["engine",].used == 1
    free = a_ledger()
    lifecycle.count_slots(free, send(free, "a"))
    assert free.admission.slots == {}


def test_a_slot_that_is_kept_for_one_who_leaves_is_free_again() -> None:
    ledger = a_ledger(Limit("service/Mail", concurrency=1), Limit("limit/tenant/a", concurrency=1))
    sort = accept(ledger, Target("Mail", "sort"))
    both = send(ledger, "a")
    lane = ledger.admission.lane_of(both.invocation.request, Mode.START)
    lane.bounced = PATIENCE + 1  # so often was it sent from one to the other
    assert let_in(ledger) == []
    assert [(meter.name, meter.used) for meter in lane.meters[: lane.claims]] == [("limit/tenant/a", 1)]

    control.kill(ledger, both, NOW)

    assert [meter.used for meter in lane.meters] == [0, 1]
    assert ledger.admission.imbalance([sort.invocation]) == []
    complete(ledger, sort)
    again = send(ledger, "a")
    assert let_in(ledger) == [again]


def test_a_slot_is_held_on_under_another_limit_that_says_so() -> None:
    ledger = a_ledger(Limit("service/Mail", concurrency=1, hold=True))
    holder, waiter = send(ledger, "a"), send(ledger, "a")
    lifecycle.suspend(ledger, holder, NOW)

    ledger.admission.replace(LimitSet([Limit("engine", concurrency=1, hold=True)]), (), NOW)

    assert let_in(ledger) == []
    ledger.admission.replace(LimitSet([Limit("engine", concurrency=2, hold=True)]), (), NOW)
    assert let_in(ledger) == [waiter]
    assert ledger.admission.imbalance([waiter.invocation]) == []


def test_a_rate_that_is_put_again_forgets_no_start() -> None:
    hourly = Limit("service/Mail", rate=Rate(1, timedelta(hours=1)))
    ledger = a_ledger(hourly)
    complete(ledger, send(ledger, "a"))

    ledger.admission.replace(LimitSet([hourly]), (), NOW)
    second = send(ledger, "a")
    assert (let_in(ledger), second.invocation.status) == ([], Status.READY)

    ledger.admission.replace(LimitSet(), (), NOW)
    assert let_in(ledger) == [second]


def test_who_waits_for_a_key_is_counted_until_it_leaves() -> None:
    ledger = a_ledger(Limit("handler/Cart/add", concurrency=2, queue=1))
    mary = Target("Cart", "add", "mary")
    accept(ledger, mary)
    second = accept(ledger, mary)
    assert full_queue(ledger, second.invocation.request, NOW) is not None

    control.kill(ledger, second, NOW)

    assert full_queue(ledger, second.invocation.request, NOW) is None


def test_who_waits_to_go_on_is_paused_and_who_waits_to_start_is_not() -> None:
    ledger = a_ledger(Limit("service/Mail", concurrency=1))
    first, second = send(ledger, "a"), send(ledger, "a")
    with pytest.raises(InvocationStateError, match="is not running, cannot be paused"):
        control.pause(ledger, second, NOW)
    lifecycle.suspend(ledger, first, NOW)
    assert let_in(ledger) == [second]
    lifecycle.notify(ledger, first, Signalled("go", Success(b"")), NOW)
    assert first.invocation.status is Status.READY

    control.pause(ledger, first, NOW)
    complete(ledger, second)

    assert (let_in(ledger), first.invocation.status) == ([], Status.PAUSED)


def test_a_limit_that_is_new_counts_those_who_run() -> None:
    ledger = a_ledger()
    for _ in range(2):
        send(ledger, "a")

    invocations = [each.invocation for each in running(ledger)]
    ledger.admission.replace(LimitSet([Limit("service/Mail", concurrency=3)]), invocations, NOW)

    third, fourth = send(ledger, "a"), send(ledger, "a")
    assert [each.invocation.status for each in (third, fourth)] == [Status.RUNNING, Status.READY]
    assert ledger.admission.imbalance([each.invocation for each in running(ledger)]) == []


def test_a_slot_is_held_no_longer_once_no_limit_says_so() -> None:
    ledger = a_ledger(Limit("service/Mail", concurrency=1, hold=True))
    holder, waiter = send(ledger, "a"), send(ledger, "a")
    lifecycle.suspend(ledger, holder, NOW)
    assert let_in(ledger) == []

    ledger.admission.replace(LimitSet([Limit("service/Mail", concurrency=1)]), (), NOW)

    assert let_in(ledger) == [waiter]
    assert ledger.admission.imbalance([waiter.invocation]) == []


def restarted(before: Ledger, *limits: Limit) -> Ledger:
    """What a new engine knows of it: who was running, in order, and not that anybody was counted."""
    ledger = a_ledger(*limits)
    for resident in running(before):
        ledger.invocations[resident.invocation.id] = resident
        lifecycle.recover(ledger, resident, NOW)
    return ledger


def test_what_was_running_goes_on_as_far_as_its_limits_let_it() -> None:
    before = a_ledger(Limit("service/Mail", concurrency=3))
    first, second, third = (send(before, "a") for _ in range(3))

    ledger = restarted(before, Limit("service/Mail", concurrency=1))

    assert [effect.resident for effect in ledger.effects if isinstance(effect, Start)] == [first]
    assert [each.invocation.status for each in (second, third)] == [Status.READY] * 2
    complete(ledger, first)
    assert let_in(ledger) == [second]


def test_what_was_running_goes_on_uncounted_where_no_limit_is() -> None:
    before = a_ledger()
    resident = send(before, "a")

    ledger = restarted(before)

    assert [effect.resident for effect in ledger.effects if isinstance(effect, Start)] == [resident]
    assert ledger.admission.slots == {}


def test_a_full_queue_has_no_room_and_an_empty_one_has() -> None:
    ledger = a_ledger(Limit("limit/tenant/*", concurrency=1, queue=1))
    request = send(ledger, "a").invocation.request
    assert full_queue(ledger, request, NOW) is None  # one may wait

    send(ledger, "a")
    let_in(ledger)

    full = full_queue(ledger, request, NOW)
    assert full is not None
    assert full.refusal == ("limit/tenant/a lets 1 wait, and 1 do: send it again later (by the limit limit/tenant/*)")
    assert full_queue(ledger, send(ledger, "b").invocation.request, NOW) is None


def test_a_queue_of_none_refuses_only_who_would_have_to_wait() -> None:
    ledger = a_ledger(Limit("handler/Cart/add", concurrency=2, queue=0))
    mary = accept(ledger, Target("Cart", "add", "mary")).invocation.request
    ledger.admit_instance(("Cart", "john"), LoadedInstance([], {}, {}, {}))
    john = msgspec.structs.replace(mary, target=Target("Cart", "add", "john"))

    assert full_queue(ledger, john, NOW) is None  # it starts at once
    assert full_queue(ledger, mary, NOW) is not None  # her key is held


def test_those_who_stood_in_a_lane_are_counted_after_a_restart() -> None:
    lane = LaneKey(Mode.START, 0, "Cart", "add", None, None).write()
    admission = a_ledger(Limit("engine", concurrency=1)).admission

    admission.restore(lane, Status.PENDING, 3)  # who has no key yet is not let in
    assert admission.pick(NOW) is None
    admission.restore(lane, Status.READY, 2)

    restored = admission.pick(NOW)
    assert restored is not None
    assert (restored.text, restored.waiting, restored.pending) == (lane, 2, 3)
    assert [meter.backlog for meter in restored.meters] == [5]


def test_a_lane_that_nothing_is_called_is_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        a_ledger().admission.restore("a flipped bit", Status.READY, 1)


def test_a_rate_goes_on_where_the_last_engine_was_if_it_still_holds() -> None:
    ledger = a_ledger(Limit("service/Mail", rate=Rate(1, timedelta(hours=1))), Limit("engine", concurrency=1))

    assert ledger.admission.resume_rate(parse_pattern("service/Mail"), NOW + 500, NOW)
    assert not ledger.admission.resume_rate(parse_pattern("service/Cart"), NOW + 500, NOW)

    waiting = send(ledger, "a")
    assert let_in(ledger, NOW + 499) == []
    assert not ledger.admission.turns.due(NOW + 499)
    assert ledger.admission.turns.due(NOW + 500)
    assert let_in(ledger, NOW + 500) == [waiting]


@pytest.mark.parametrize("hold", [False, True])
def test_a_slot_is_wanted_by_who_waits_unless_it_is_held_while_its_owner_does(hold: bool) -> None:
    ledger = a_ledger(Limit("service/Mail", concurrency=1, hold=hold))
    owner = send(ledger, "a")
    assert not ledger.admission.is_wanted(owner.invocation.id)

    waiting = send(ledger, "b")
    let_in(ledger)

    assert ledger.admission.is_wanted(owner.invocation.id) is not hold
    assert not ledger.admission.is_wanted(waiting.invocation.id)  # it has none


def test_who_holds_a_slot_counts_for_a_limit_on_its_key_that_is_put_while_it_waits() -> None:
    ledger = a_ledger(Limit("service/Cart", concurrency=10, hold=True))
    holders = [accept(ledger, Target("Cart", "show", "jane")) for _ in range(2)]
    for each in holders:
        lifecycle.suspend(ledger, each, NOW)
    key = Limit("key/Cart/*", concurrency=2, hold=True)
    ledger.admission.replace(LimitSet([Limit("service/Cart", concurrency=10, hold=True), key]), (), NOW)

    third = accept(ledger, Target("Cart", "show", "jane"))
    let_in(ledger)
    other = accept(ledger, Target("Cart", "show", "john"))

    assert [each.invocation.status for each in (third, other)] == [Status.READY, Status.RUNNING]
    for each in holders:
        lifecycle.notify(ledger, each, Signalled("go", Success(b"")), NOW)
        complete(ledger, each)
    assert let_in(ledger) == [third]
    assert ledger.admission.imbalance([each.invocation for each in running(ledger)]) == []


def test_who_rests_is_asked_for_the_slots_that_others_wait_for_and_nobody_else_is() -> None:
    ledger = a_ledger(
        Limit("limit/tenant/*", concurrency=2),
        Limit("service/Cart", concurrency=1),
        Limit("handler/Mail/sort", rate=DAILY),
    )
    admission = ledger.admission
    first, second, other = (send(ledger, tenant) for tenant in ("a", "a", "b"))
    free, cart = accept(ledger, Target("Mail", "sort")), accept(ledger, Target("Cart", "show", "x"))
    for each in (other, free, cart, first, second):
        admission.rest(each.invocation.id)
    assert list(admission.wanted()) == []

    send(ledger, "a")
    let_in(ledger)
    assert [*admission.wanted()] == [first.invocation.id, second.invocation.id]
    assert [*admission.wanted()] == []  # once

    send(ledger, "a", 3)
    let_in(ledger)
    asked = list[bytes]()
    for id in admission.wanted():
        asked.append(id)
        lifecycle.suspend(ledger, ledger.invocations[id], NOW)
        admission.stir(id)
    assert asked == [first.invocation.id]  # one slot is enough for now: nobody waits for another until it is taken

    admission.stir(second.invocation.id)
    admission.stir(second.invocation.id)
    let_in(ledger)
    assert list(admission.wanted()) == []


def test_who_rests_and_holds_its_slot_is_not_asked_for_it() -> None:
    ledger = a_ledger(Limit("service/Mail", concurrency=1, hold=True))
    holds = send(ledger, "a")
    ledger.admission.rest(holds.invocation.id)

    send(ledger, "a")
    let_in(ledger)

    assert list(ledger.admission.wanted()) == []


def test_who_rested_before_there_was_a_limit_is_asked() -> None:
    ledger = a_ledger()
    rests = send(ledger, "a")
    ledger.admission.rest(rests.invocation.id)
    ledger.admission.replace(LimitSet([Limit("service/Mail", concurrency=1)]), [rests.invocation], NOW)

    send(ledger, "a")
    let_in(ledger)

    assert list(ledger.admission.wanted()) == [rests.invocation.id]


def test_who_begins_to_rest_before_a_free_slot_is_taken_is_asked_for_its_own() -> None:
    ledger = a_ledger(Limit("engine", concurrency=2))
    ends, rests = send(ledger, "a"), send(ledger, "a")
    for tenant in "bc":
        send(ledger, tenant)
    let_in(ledger)
    assert list(ledger.admission.wanted()) == []

    complete(ledger, ends)
    ledger.admission.rest(rests.invocation.id)
    assert not ledger.admission.is_wanted(rests.invocation.id)  # one is free, and on its way to the first that waits
    let_in(ledger)

    assert list(ledger.admission.wanted()) == [rests.invocation.id]


PATTERNS = [
    "engine", "service/*", "service/Mail", "handler/Mail/send", "handler/*/*", "limit/tenant", "limit/tenant/*",
    "limit/tenant/a", "limit/tenant/*/eu", "key/Cart/*",
]  # fmt: skip
RATES = [None, None, Rate(1, timedelta(seconds=2)), Rate(3, timedelta(seconds=1), burst=2)]
LIMITS = st.dictionaries(
    st.sampled_from(PATTERNS),
    st.tuples(st.sampled_from([None, 1, 1, 2, 3]), st.sampled_from(RATES), st.booleans()),
    max_size=5,
).map(lambda drawn: [Limit(name, n, rate, hold=hold and n is not None) for name, (n, rate, hold) in drawn.items()])
TARGETS = [
    Target("Mail", "send"), Target("Mail", "sort"), Target("Cart", "add", "x"), Target("Cart", "add", "y"),
    Target("Cart", "show", "x"),
]  # fmt: skip
TENANTS = [None, "a", "b", "a/eu", "b/eu"]
RETRY = RetryPolicy(first=timedelta(seconds=1), max_attempts=2)


class Flow(RuleBasedStateMachine):
    """Everything that may happen to invocations, under limits that change."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.ledger = a_ledger()
        self.most: dict[Path, int] = {}
        """How many may run, per path: as many as did, if the limit became smaller."""
        self.starts: dict[Path, list[int]] = {}
        self.next_ms: dict[Path, float] = {}
        """When the next one would start, by those that did."""
        self.limits = LimitSet()
        self.rates: dict[str, float] = {}
        """As they are on the disk."""
        self.begun: set[bytes] = set()
        self.order: dict[str, list[int]] = {}

    def of(self, *statuses: Status) -> list[Resident]:
        return [each for each in self.ledger.invocations.values() if each.invocation.status in statuses]

    @initialize(limits=LIMITS.filter(bool))
    def limit(self, limits: list[Limit]) -> None:
        self.replace(limits)

    @rule(limits=LIMITS)
    def replace(self, limits: list[Limit]) -> None:
        invocations = [each.invocation for each in self.of(Status.RUNNING)]
        self.limits = LimitSet(limits)
        before = {path: meter.limit.rate for path, meter in self.ledger.admission.meters.items()}
        for path, next_ms in self.ledger.admission.replace(self.limits, invocations, self.now).items():
            self.ledger.commit.rates["/".join(path)] = next_ms
        self.most = {path: meter.used for path, meter in self.ledger.admission.meters.items()}
        self.starts = {}
        self.begin_rates(before)

    def begin_rates(self, before: dict[Path, Rate | None]) -> None:
        """What was used is used, but no more than a burst is."""
        for path, next_ms in list(self.next_ms.items()):
            limit = self.limits.of(path)
            if limit is None:
                del self.next_ms[path]
            elif limit.rate is not None:
                used = (next_ms - self.now) / (before.get(path) or limit.rate).apart_ms
                self.next_ms[path] = self.now + min(used, limit.rate.burst) * limit.rate.apart_ms

    @rule(limits=st.none() | LIMITS)
    def restart(self, limits: list[Limit] | None) -> None:
        """The process dies, and another goes on, perhaps with code that says something else."""
        self.write_rates()
        if limits is not None:
            return self.deploy(limits)
        used = {path: meter.used for path, meter in self.ledger.admission.meters.items()}
        for lane in self.ledger.admission.lanes.values():  # what is claimed is nobody's yet
            used.update({meter.path: used[meter.path] - 1 for meter in lane.meters[: lane.claims]})
        self.ledger = reopened(self.ledger, self.limits, self.rates, self.now)
        self.begin_rates({})
        meters = self.ledger.admission.meters
        self.most = {path: min(most, used.get(path, 0)) for path, most in self.most.items()}
        over = any(n > (self.concurrency(path) or n) for path, n in used.items())
        # Otherwise some of those that ran wait now; and those who stood in a line before their key had a limit.
        if not over and not self.limits.tells_keys_apart("Cart"):
            after = {path: meter.used for path, meter in meters.items() if meter.used}
            assert after == {path: n for path, n in used.items() if n}
        return self.act()

    def deploy(self, limits: list[Limit]) -> None:
        self.limits, self.starts = LimitSet(limits), {}
        self.ledger = reopened(self.ledger, self.limits, self.rates, self.now)
        self.begin_rates({})
        self.most = {path: meter.used for path, meter in self.ledger.admission.meters.items()}
        self.act()

    def concurrency(self, path: Path) -> int | None:
        limit = self.limits.of(path)
        return None if limit is None else limit.concurrency

    def write_rates(self) -> None:
        rates, self.ledger.commit.rates = self.ledger.commit.rates, {}
        written = {**self.rates, **rates}
        self.rates = {name: next_ms for name, next_ms in written.items() if next_ms is not None}

    @rule(target_=st.sampled_from(TARGETS), tenant=st.sampled_from(TENANTS), priority=st.integers(0, 9))
    def accept(self, target_: Target, tenant: str | None, priority: int) -> None:
        limit_key = tenant if target_.handler == "send" else None
        accept(self.ledger, target_, self.now, limit_key=limit_key, priority=priority)
        self.act()

    @rule(ms=st.integers(0, 2000))
    def wait(self, ms: int) -> None:
        self.now += ms
        for resident in self.of(Status.BACKING_OFF):
            due_ms = resident.invocation.due_ms
            if due_ms is not None and due_ms <= self.now:
                lifecycle.fire(self.ledger, resident, Timer(due_ms, resident.invocation.n, 0), self.now)
        self.act()

    @rule(most=st.integers(1, 5))
    def let_in(self, most: int) -> None:
        let_in(self.ledger, self.now, most)
        self.act()

    def act(self) -> None:
        """Who started now, and what that counts for."""
        for resident in self.of(Status.RUNNING):
            invocation = resident.invocation
            if invocation.id in self.begun:
                continue
            self.begun.add(invocation.id)
            lane = self.ledger.admission.lane_of(invocation.request, Mode.START)
            for meter in lane.meters:
                self.starts.setdefault(meter.path, []).append(self.now)
                if meter.limit.rate is not None:
                    next_ms = max(self.next_ms.get(meter.path, 0), self.now)
                    self.next_ms[meter.path] = next_ms + meter.limit.rate.apart_ms
            self.order.setdefault(lane.text, []).append(invocation.n)
        self.ledger.effects = []

    @rule()
    def settle(self) -> None:
        """Whoever is let in by nobody now is held back by something."""
        let_in(self.ledger, self.now)
        self.act()
        for resident in self.of(Status.READY):
            assert resident.invocation.lane is not None
            key = LaneKey.read(resident.invocation.lane)
            assert self.ledger.admission.lanes[key].find_blocker(self.now) is not None
            assert (key.mode is Mode.HOLDER) is resident.invocation.holds

    @invariant()
    def rows_say_who_holds(self) -> None:
        for resident in self.of(*(status for status in Status if status is not Status.RUNNING)):
            assert resident.invocation.holds is (resident.invocation.id in self.ledger.admission.slots)

    @invariant()
    def lanes_that_stand_are_counted(self) -> None:
        admission = self.ledger.admission
        assert admission.turns.standing == sum(lane.placed for lane in admission.lanes.values())

    @precondition(lambda self: self.of(Status.RUNNING))
    @rule(data=st.data(), how=st.sampled_from(["complete", "suspend", "fail"]))
    def end(self, data: st.DataObject, how: str) -> None:
        resident = data.draw(st.sampled_from(self.of(Status.RUNNING)))
        match how:
            case "complete":
                complete(self.ledger, resident, self.now)
            case "suspend":
                lifecycle.suspend(self.ledger, resident, self.now)
            case _:
                failed = Failed(Failure(500, "no"))
                if lifecycle.fail(self.ledger, resident, failed, RETRY, self.now):
                    complete(self.ledger, resident, self.now)
        self.act()

    @precondition(lambda self: self.of(*Status) != self.of(Status.COMPLETED))
    @rule(data=st.data(), how=st.sampled_from(["cancel", "kill", "pause", "resume", "wake"]))
    def disturb(self, data: st.DataObject, how: str) -> None:
        resident = data.draw(st.sampled_from(self.of(*(status for status in Status if status is not Status.COMPLETED))))
        paused = resident.invocation.status is Status.PAUSED
        try:
            match how:
                case "cancel":
                    lifecycle.signal(self.ledger, resident, Signalled(CANCEL, Success()), self.now)
                case "kill":
                    control.kill(self.ledger, resident, self.now)
                case "pause":
                    control.pause(self.ledger, resident, self.now)
                case "resume":
                    control.resume(self.ledger, resident, self.now)
                case _:
                    lifecycle.notify(self.ledger, resident, Signalled("go", Success(b"")), self.now)
        except control.InvocationStateError:
            assert not paused or how == "kill"
        self.act()

    @invariant()
    def slots_balance(self) -> None:
        invocations = [each.invocation for each in self.of(Status.RUNNING)]
        assert self.ledger.admission.imbalance(invocations) == []

    @invariant()
    def never_more_than_the_limit_at_once(self) -> None:
        for path, meter in self.ledger.admission.meters.items():
            if meter.limit.concurrency is None:
                continue
            most = max(meter.limit.concurrency, self.most.get(path, 0))
            assert meter.used <= most, path
            self.most[path] = max(meter.limit.concurrency, min(most, meter.used))

    @invariant()
    def never_more_starts_than_count_and_burst(self) -> None:
        for path, meter in self.ledger.admission.meters.items():
            rate = meter.limit.rate
            if rate is not None:
                since = self.now - rate.per.total_seconds() * 1000
                assert (
                    len([moment for moment in self.starts.get(path, []) if moment > since]) <= rate.count + rate.burst
                )

    @invariant()
    def starts_use_up_a_rate_and_nothing_else_does(self) -> None:
        for path, meter in self.ledger.admission.meters.items():
            expected = self.next_ms.get(path, 0)
            # Who stood in a line before its key had a limit does not count for that.
            if path[0] != "key" and max(meter.next_start_ms, expected) > self.now:
                assert meter.next_start_ms == pytest.approx(expected), path

    @invariant()
    def backlogs_are_what_waits(self) -> None:
        waiting = Counter[Path]()
        for resident in self.of(Status.READY, Status.PENDING):
            lane = resident.invocation.lane
            if lane is not None and LaneKey.read(lane).mode is Mode.START:
                waiting.update(meter.path for meter in self.ledger.admission.lanes[LaneKey.read(lane)].meters)
        assert {path: meter.backlog for path, meter in self.ledger.admission.meters.items() if meter.backlog} == waiting

    @invariant()
    def nobody_waits_who_could_run(self) -> None:
        if self.ledger.admission.turns.changed:
            return  # the gatekeeper has not looked yet
        for resident in self.of(Status.READY):
            assert resident.invocation.lane is not None
            lane = self.ledger.admission.lanes[LaneKey.read(resident.invocation.lane)]
            blocker = lane.find_blocker(self.now)
            assert blocker is not None or self.ledger.admission.turns.due(self.now)

    def teardown(self) -> None:
        """Everybody ends at last."""
        for _ in range(10_000):
            for resident in self.of(Status.SUSPENDED, Status.BACKING_OFF, Status.PAUSED):
                lifecycle.start(self.ledger, resident, self.now)
            for resident in self.of(Status.RUNNING):
                complete(self.ledger, resident, self.now)
            self.now += 1000
            let_in(self.ledger, self.now)
            if not self.of(*(status for status in Status if status is not Status.COMPLETED)):
                break
        assert not self.of(*(status for status in Status if status is not Status.COMPLETED))
        assert all(meter.used == meter.backlog == 0 for meter in self.ledger.admission.meters.values())


Flow.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=50, deadline=None)
TestFlow = Flow.TestCase
