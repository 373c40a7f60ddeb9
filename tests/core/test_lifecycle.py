"""Every change of an invocation's status: which there are, what they write, what they set off."""

from datetime import timedelta

import pytest

from durable.core import commands, lifecycle
from durable.core.entries import Attach, Call, Completed, GetPromise, Run, SendSignal, Signalled, Sleep, Target
from durable.core.ids import CANCEL
from durable.core.invocation import Caller, Status, Timer
from durable.core.ledger import Done, Ledger, Resident, Start, Wake
from durable.core.lifecycle import Failed
from durable.core.outcome import Failure, Success
from durable.retry import RetryPolicy
from tests.core.bench import (
    ADD,
    APPROVE,
    MAIL,
    NOW,
    ORDER,
    RETENTION,
    SHOW,
    a_ledger,
    accept,
    effects,
    id_of,
    request,
    settled,
    with_status,
)

OK = Success(b"1")
BROKEN = Failed(Failure(500, "broken"))
CANCELLED = Signalled(CANCEL, Success())
SECOND = timedelta(seconds=1)
POLICY = RetryPolicy(first=SECOND, longest=60 * SECOND, max_attempts=3)
CART, SEVEN = ("Cart", "mary"), ("Order", "7")


@pytest.fixture
def ledger() -> Ledger:
    return a_ledger()


# Accepted


@pytest.mark.parametrize("target", [MAIL, ADD, SHOW, ORDER], ids=str)
def test_what_is_accepted_starts_at_once(ledger: Ledger, target: Target) -> None:
    resident = accept(ledger, target)

    assert effects(ledger) == [Start(resident)]
    assert resident.invocation.status is Status.RUNNING
    assert ledger.commit.accepted == {1: resident.invocation}
    assert ledger.commit.changed == {}


def test_what_is_accepted_for_later_waits_for_its_time(ledger: Ledger) -> None:
    resident = accept(ledger, ADD, due_ms=NOW + 1)

    assert effects(ledger) == []
    assert (resident.invocation.status, resident.invocation.due_ms) == (Status.SCHEDULED, NOW + 1)
    assert resident.invocation.place is None
    assert ledger.timers.due(NOW + 1) == [(Timer(NOW + 1, 1, 0), id_of(1))]


@pytest.mark.parametrize("due_ms", [NOW, NOW - 1])
def test_a_time_that_has_come_is_no_delay(ledger: Ledger, due_ms: int) -> None:
    resident = accept(ledger, due_ms=due_ms)

    assert effects(ledger) == [Start(resident)]
    assert resident.invocation.due_ms is None
    assert ledger.timers.next_ms is None


def test_a_second_exclusive_invocation_waits_for_the_key(ledger: Ledger) -> None:
    first = accept(ledger, ADD)

    second = accept(ledger, ADD)

    assert effects(ledger) == [Start(first)]
    assert second.invocation.status is Status.PENDING
    assert (first.invocation.place, second.invocation.place) == (1, 2)


def test_keys_do_not_wait_for_each_other(ledger: Ledger) -> None:
    first, second = accept(ledger, ADD), accept(ledger, Target("Cart", "add", "john"))

    assert effects(ledger) == [Start(first), Start(second)]


def test_a_shared_handler_waits_for_nobody(ledger: Ledger) -> None:
    accept(ledger, ADD)

    shared = accept(ledger, SHOW)

    assert Start(shared) in effects(ledger)
    assert shared.invocation.place is None


def test_numbers_and_places_go_on_where_the_store_stopped() -> None:
    ledger = Ledger(a_ledger().directory, last_n=41, last_place=99)

    resident = accept(ledger, ADD)

    assert (resident.invocation.n, resident.invocation.place) == (42, 100)


@pytest.mark.parametrize(
    ("target", "idempotency_key", "needs"),
    [
        (MAIL, None, []),
        (MAIL, "once", [id_of(1)]),
        (SHOW, None, [CART]),
        (ADD, None, [CART]),
        (ADD, "once", [id_of(1), CART]),
        (ORDER, None, [id_of(1), SEVEN]),
    ],
)
def test_accepting_needs_what_may_be_known_and_the_key(
    target: Target, idempotency_key: str | None, needs: list[object]
) -> None:
    wanted = request(target, idempotency_key=idempotency_key)

    assert list(lifecycle.accept_needs(wanted, id_of(1))) == needs


# Notified


def test_a_running_invocation_is_woken(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)

    lifecycle.notify(ledger, resident, Completed(1, OK), NOW)

    assert effects(ledger) == [Wake(resident, Completed(1, OK))]
    assert ledger.commit.entries == {1: (0, [Completed(1, OK)])}


def test_a_suspended_invocation_is_started(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)
    lifecycle.suspend(ledger, resident, NOW)
    assert resident.invocation.status is Status.SUSPENDED

    lifecycle.notify(ledger, resident, Completed(1, OK), NOW + 1)

    assert effects(ledger) == [Start(resident)]
    assert (resident.invocation.status, resident.invocation.modified_ms) == (Status.RUNNING, NOW + 1)


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.PENDING, Status.BACKING_OFF, Status.PAUSED])
def test_one_that_waits_for_something_else_keeps_the_notification(ledger: Ledger, status: Status) -> None:
    resident = with_status(ledger, status)

    lifecycle.notify(ledger, resident, Signalled("go", OK), NOW)

    assert resident.entries == [Signalled("go", OK)]
    assert resident.invocation.status is status
    assert effects(ledger) == []


def test_a_second_answer_changes_nothing(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)
    lifecycle.notify(ledger, resident, Completed(1, OK), NOW)
    settled(ledger)

    lifecycle.notify(ledger, resident, Completed(1, Failure(500, "late")), NOW)

    assert not ledger.commit
    assert effects(ledger) == []


def test_a_completed_invocation_hears_nothing(ledger: Ledger) -> None:
    resident = accept(ledger)
    lifecycle.complete(ledger, resident, OK, NOW)
    settled(ledger)

    lifecycle.notify(ledger, resident, Completed(1, OK), NOW)

    assert not ledger.commit
    assert effects(ledger) == []


# Completed


def test_an_outcome_is_kept_for_its_retention(ledger: Ledger) -> None:
    resident = accept(ledger)
    settled(ledger)

    lifecycle.complete(ledger, resident, OK, NOW + 5)

    row = resident.invocation
    assert (row.status, row.outcome, row.expires_ms) == (Status.COMPLETED, OK, NOW + 5 + RETENTION)
    assert ledger.commit.changed == {1: row}
    assert effects(ledger) == [Done(resident)]


def test_the_key_goes_to_the_next_in_line_in_the_same_commit(ledger: Ledger) -> None:
    first, second, third = accept(ledger, ADD), accept(ledger, ADD), accept(ledger, ADD)
    settled(ledger)

    lifecycle.complete(ledger, first, OK, NOW)

    assert effects(ledger) == [Done(first), Start(second)]
    assert ledger.commit.changed == {1: first.invocation, 2: second.invocation}
    assert (second.invocation.status, third.invocation.status) == (Status.RUNNING, Status.PENDING)


def test_the_caller_is_answered_in_the_same_commit(ledger: Ledger) -> None:
    caller = accept(ledger)
    ledger.append(caller, Attach(4, id_of(2)))
    callee = accept(ledger, caller=Caller(id_of(1), 4))
    settled(ledger)

    lifecycle.complete(ledger, callee, OK, NOW)

    assert effects(ledger) == [Done(callee), Wake(caller, Completed(4, OK))]
    assert ledger.commit.entries == {1: (1, [Completed(4, OK)])}


def test_everybody_who_waits_is_answered_and_forgotten(ledger: Ledger) -> None:
    waiting, awaited = with_status(ledger, Status.SUSPENDED), accept(ledger)
    ledger.append(waiting, Attach(4, id_of(2)))
    ledger.wait_for(awaited, Caller(id_of(1), 4))
    settled(ledger)

    lifecycle.complete(ledger, awaited, OK, NOW)

    assert effects(ledger) == [Done(awaited), Start(waiting)]
    assert waiting.entries == [Attach(4, id_of(2)), Completed(4, OK)]
    assert awaited.waiters == []
    assert ledger.commit.waiters == {(id_of(2), Caller(id_of(1), 4)): False}


def test_whoever_did_not_ask_is_not_answered(ledger: Ledger) -> None:
    # The row of a waiter has no checksum.
    other, awaited = accept(ledger), accept(ledger)
    ledger.append(other, Run(1, "charge"))
    ledger.append(other, Attach(2, id_of(9)))
    for completion in (1, 2, 3):
        ledger.wait_for(awaited, Caller(id_of(1), completion))
    settled(ledger)

    lifecycle.complete(ledger, awaited, OK, NOW)

    assert effects(ledger) == [Done(awaited)]


def test_a_key_stays_with_the_next_in_line_if_it_cannot_be_read(ledger: Ledger) -> None:
    first, second = accept(ledger, ADD), accept(ledger, ADD)
    del ledger.invocations[second.invocation.id]
    ledger.damaged[second.invocation.id] = "a flipped bit"
    settled(ledger)

    lifecycle.complete(ledger, first, OK, NOW)

    assert effects(ledger) == [Done(first)]
    assert ledger.held_for_ever(request(ADD)) == "the key Cart/mary is not free: a flipped bit"
    assert ledger.held_for_ever(request(SHOW)) is None


def test_a_caller_that_is_gone_needs_no_answer(ledger: Ledger) -> None:
    callee = accept(ledger, caller=Caller(id_of(9), 4))
    settled(ledger)

    lifecycle.complete(ledger, callee, OK, NOW)

    assert effects(ledger) == [Done(callee)]
    assert ledger.commit.entries == {}


def test_sleeps_that_were_not_waited_for_leave_no_timer(ledger: Ledger) -> None:
    resident = accept(ledger)
    for completion in (1, 2):
        commands.apply(ledger, resident, Sleep(completion, NOW + completion), NOW)
    lifecycle.fire(ledger, resident, Timer(NOW + 1, 1, 1), NOW + 1)
    settled(ledger)

    lifecycle.complete(ledger, resident, OK, NOW + 1)

    assert ledger.commit.timers == {Timer(NOW + 2, 1, 2): False}


def test_promises_that_were_not_waited_for_leave_no_listener(ledger: Ledger) -> None:
    resident = accept(ledger, ORDER)
    commands.apply(ledger, resident, GetPromise(1, "approved"), NOW)
    caller = Caller(id_of(1), 1)
    assert ledger.commit.listeners == {(*SEVEN, "approved", caller): True}

    lifecycle.complete(ledger, resident, OK, NOW)

    assert ledger.commit.listeners == {(*SEVEN, "approved", caller): False}
    assert ledger.instances[SEVEN].listeners == {}


def test_outcomes_that_were_not_waited_for_leave_no_waiter(ledger: Ledger) -> None:
    awaited, resident = accept(ledger), accept(ledger)
    commands.apply(ledger, resident, Attach(1, id_of(1)), NOW)
    caller = Caller(id_of(2), 1)
    assert awaited.waiters == [caller]

    lifecycle.complete(ledger, resident, OK, NOW)

    assert awaited.waiters == []
    assert ledger.commit.waiters == {(id_of(1), caller): False}


def test_a_waiter_of_what_is_gone_is_removed_all_the_same(ledger: Ledger) -> None:
    awaited, resident = accept(ledger), accept(ledger)
    commands.apply(ledger, resident, Attach(1, id_of(1)), NOW)
    del ledger.invocations[awaited.invocation.id]
    settled(ledger)

    lifecycle.complete(ledger, resident, OK, NOW)

    assert ledger.commit.waiters == {(id_of(1), Caller(id_of(2), 1)): False}


def test_waits_that_were_answered_are_not_removed_again(ledger: Ledger) -> None:
    resident = accept(ledger, ORDER)
    commands.apply(ledger, resident, GetPromise(1, "approved"), NOW)
    commands.apply(ledger, resident, Sleep(2, NOW + 1), NOW)
    commands.apply(ledger, resident, Call(3, MAIL, b"", {}, None, id_of(2)), NOW)
    for completion in (1, 2, 3):
        lifecycle.notify(ledger, resident, Completed(completion, OK), NOW)
    settled(ledger)

    lifecycle.complete(ledger, resident, OK, NOW)

    assert (ledger.commit.listeners, ledger.commit.timers, ledger.commit.waiters) == ({}, {}, {})


@pytest.mark.parametrize(
    ("target", "needs"), [(MAIL, []), (ADD, [CART, id_of(3)]), (SHOW, [CART]), (ORDER, [SEVEN])], ids=str
)
def test_completing_needs_the_key_and_the_next_in_line(ledger: Ledger, target: Target, needs: list[object]) -> None:
    for each in (target, MAIL, target):
        accept(ledger, each)

    assert list(lifecycle.complete_needs(ledger, ledger.invocations[id_of(1)])) == needs


def test_completing_needs_everybody_who_waits(ledger: Ledger) -> None:
    resident = accept(ledger, caller=Caller(id_of(8), 1))
    ledger.wait_for(resident, Caller(id_of(9), 1))

    assert list(lifecycle.complete_needs(ledger, resident)) == [id_of(8), id_of(9)]


def test_completing_needs_everybody_it_still_waits_for(ledger: Ledger) -> None:
    awaited, resident = accept(ledger), accept(ledger)
    commands.apply(ledger, resident, Attach(1, awaited.invocation.id), NOW)
    commands.apply(ledger, resident, Call(2, MAIL, b"", {}, None, id_of(3)), NOW)
    commands.apply(ledger, resident, Call(3, MAIL, b"", {}, None, id_of(4)), NOW)
    commands.apply(ledger, resident, Sleep(4, NOW + 5), NOW)
    lifecycle.notify(ledger, resident, Completed(3, OK), NOW)

    assert list(lifecycle.complete_needs(ledger, resident)) == [id_of(1), id_of(3)]


def test_a_waiter_that_leaves_is_a_change_that_must_reach_the_disk(ledger: Ledger) -> None:
    awaited, resident = accept(ledger), accept(ledger)
    commands.apply(ledger, resident, Attach(1, awaited.invocation.id), NOW)
    ledger.number = 2

    lifecycle.complete(ledger, resident, OK, NOW)

    assert awaited.number == 2


def test_completing_needs_the_key_before_the_next_in_line_is_known(ledger: Ledger) -> None:
    resident = accept(ledger, ADD)
    del ledger.instances[CART]

    assert list(lifecycle.complete_needs(ledger, resident)) == [CART]


def test_the_last_in_line_hands_its_key_to_nobody(ledger: Ledger) -> None:
    accept(ledger, ADD)

    last = accept(ledger, ADD)

    assert list(lifecycle.complete_needs(ledger, last)) == [CART]


def test_a_line_that_is_cancelled_before_the_holder_ends_needs_whoever_is_left(ledger: Ledger) -> None:
    # One decision may hold both: the handler cancels those behind it as its last command.
    holder, second, third, _ = (accept(ledger, ADD) for _ in range(4))
    cancels = [SendSignal(each.invocation.id, CANCEL, Success()) for each in (second, third)]

    needs = {need for cancel in cancels for need in commands.needs(ledger, holder, cancel)}
    needs |= set(lifecycle.complete_needs(ledger, holder))

    assert id_of(4) in needs


# Failed


def fail(ledger: Ledger, resident: Resident, now_ms: int, policy: RetryPolicy = POLICY) -> bool:
    return lifecycle.fail(ledger, resident, BROKEN, policy, now_ms)


def test_a_failed_attempt_is_tried_again_after_the_policys_delay(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)

    assert not fail(ledger, resident, NOW)

    row = resident.invocation
    assert (row.status, row.due_ms, row.attempts) == (Status.BACKING_OFF, NOW + 1_000, 1)
    assert row.failure == BROKEN.failure
    assert ledger.timers.due(NOW + 1_000) == [(Timer(NOW + 1_000, 1, 0), id_of(1))]


def test_the_handler_may_say_when_to_try_again(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)

    lifecycle.fail(ledger, resident, Failed(BROKEN.failure, timedelta(seconds=30)), POLICY, NOW)

    assert resident.invocation.due_ms == NOW + 30_000


def test_failures_in_a_row_are_counted_from_the_first(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)

    fail(ledger, resident, NOW)
    fail(ledger, resident, NOW + 5_000)

    row = resident.invocation
    assert (row.attempts, row.failing_since_ms, row.due_ms) == (2, NOW, NOW + 5_000 + 2_000)


def test_an_attempt_that_got_further_begins_to_count_afresh(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)
    fail(ledger, resident, NOW)

    ledger.append(resident, Run(1, "charge"))
    fail(ledger, resident, NOW + 5_000)

    assert (resident.invocation.attempts, resident.invocation.failing_since_ms) == (1, NOW + 5_000)


def test_a_policy_that_is_exhausted_pauses_the_invocation(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)

    given_up = [fail(ledger, resident, NOW) for _ in range(3)]

    assert given_up == [False, False, False]
    assert (resident.invocation.status, resident.invocation.attempts) == (Status.PAUSED, 3)


def test_a_policy_may_end_the_invocation_instead(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)

    assert fail(ledger, resident, NOW, RetryPolicy(max_attempts=1, exhausted="fail"))


def test_a_policy_may_be_exhausted_by_time(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)
    policy = RetryPolicy(max_duration=SECOND)

    fail(ledger, resident, NOW, policy)
    first = resident.invocation.status
    fail(ledger, resident, NOW + 1_000, policy)

    assert (first, resident.invocation.status) == (Status.BACKING_OFF, Status.PAUSED)


def test_a_key_is_kept_while_its_holder_backs_off_or_is_paused(ledger: Ledger) -> None:
    first, second = accept(ledger, ADD), accept(ledger, ADD)
    settled(ledger)

    fail(ledger, first, NOW)
    lifecycle.pause(ledger, first, BROKEN.failure, NOW)

    assert second.invocation.status is Status.PENDING
    assert effects(ledger) == []


def test_a_pause_says_why(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)

    lifecycle.pause(ledger, resident, Failure(570, "replay diverged"), NOW + 1)

    row = resident.invocation
    assert (row.status, row.failure, row.modified_ms) == (Status.PAUSED, Failure(570, "replay diverged"), NOW + 1)


# Timers


def test_a_sleep_that_is_over_is_a_notification(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)
    commands.apply(ledger, resident, Sleep(1, NOW + 5), NOW)
    timer = Timer(NOW + 5, 1, 1)

    lifecycle.fire(ledger, resident, timer, NOW + 5)

    assert effects(ledger) == [Wake(resident, Completed(1, Success(b"")))]
    assert ledger.commit.timers == {timer: False}


def test_a_sleep_that_is_over_twice_is_over_once(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.SUSPENDED)
    ledger.append(resident, Sleep(1, NOW + 5))
    timer = Timer(NOW + 5, 1, 1)
    lifecycle.fire(ledger, resident, timer, NOW + 5)
    assert effects(ledger) == [Start(resident)]

    lifecycle.fire(ledger, resident, timer, NOW + 5)

    assert effects(ledger) == []


def test_a_timer_that_nobody_set_wakes_nobody(ledger: Ledger) -> None:
    # Its row has no checksum.
    resident = with_status(ledger, Status.SUSPENDED)
    ledger.append(resident, Run(1, "charge"))

    for completion in (1, 2):
        lifecycle.fire(ledger, resident, Timer(NOW + 5, 1, completion), NOW + 5)

    assert effects(ledger) == []


def test_a_sleep_does_not_end_before_the_time_in_its_journal(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.SUSPENDED)
    ledger.append(resident, Sleep(1, NOW + 9))

    lifecycle.fire(ledger, resident, Timer(NOW + 5, 1, 1), NOW + 5)

    assert effects(ledger) == []
    assert ledger.commit.timers == {Timer(NOW + 5, 1, 1): False, Timer(NOW + 9, 1, 1): True}


def test_what_was_scheduled_starts_in_its_time(ledger: Ledger) -> None:
    resident = accept(ledger, ADD, due_ms=NOW + 5)
    settled(ledger)

    lifecycle.fire(ledger, resident, Timer(NOW + 5, 1, 0), NOW + 5)

    row = resident.invocation
    assert (row.status, row.due_ms, row.place) == (Status.RUNNING, None, 1)
    assert effects(ledger) == [Start(resident)]


def test_what_was_scheduled_takes_its_place_when_its_time_comes(ledger: Ledger) -> None:
    scheduled, first = accept(ledger, ADD, due_ms=NOW + 5), accept(ledger, ADD)
    settled(ledger)

    lifecycle.fire(ledger, scheduled, Timer(NOW + 5, 1, 0), NOW + 5)

    assert scheduled.invocation.status is Status.PENDING
    assert (first.invocation.place, scheduled.invocation.place) == (1, 2)
    assert effects(ledger) == []


def test_a_back_off_that_is_over_starts_the_next_attempt(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)
    fail(ledger, resident, NOW)
    settled(ledger)

    lifecycle.fire(ledger, resident, Timer(NOW + 1_000, 1, 0), NOW + 1_000)

    assert effects(ledger) == [Start(resident)]
    assert (resident.invocation.status, resident.invocation.due_ms) == (Status.RUNNING, None)


def test_a_timer_of_an_earlier_back_off_changes_nothing(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)
    fail(ledger, resident, NOW)
    fail(ledger, resident, NOW)
    settled(ledger)

    lifecycle.fire(ledger, resident, Timer(NOW + 1_000, 1, 0), NOW + 1_000)

    assert resident.invocation.status is Status.BACKING_OFF
    assert not ledger.commit


@pytest.mark.parametrize("status", [Status.PENDING, Status.PAUSED, Status.RUNNING])
def test_a_start_that_is_due_starts_only_what_waits_for_it(ledger: Ledger, status: Status) -> None:
    resident = with_status(ledger, status)
    ledger.change(resident, due_ms=NOW)
    settled(ledger)

    lifecycle.fire(ledger, resident, Timer(NOW, 1, 0), NOW)

    assert effects(ledger) == []


@pytest.mark.parametrize("completion", [0, 1])
def test_a_timer_of_a_completed_invocation_costs_no_commit(ledger: Ledger, completion: int) -> None:
    # A timeout that was not needed, years later: its row went with the invocation.
    resident = accept(ledger)
    lifecycle.complete(ledger, resident, OK, NOW)
    settled(ledger)

    lifecycle.fire(ledger, resident, Timer(NOW + 5, 1, completion), NOW + 5)

    assert not ledger.commit


@pytest.mark.parametrize(
    ("target", "due_ms", "needs"), [(ADD, NOW + 1, [CART]), (ADD, None, []), (SHOW, NOW + 1, []), (MAIL, NOW + 1, [])]
)
def test_firing_needs_the_key_that_is_entered(
    ledger: Ledger, target: Target, due_ms: int | None, needs: list[object]
) -> None:
    resident = accept(ledger, target, due_ms=due_ms)

    assert list(lifecycle.fire_needs(resident)) == needs


# Signals


def test_a_signal_is_a_notification(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)

    lifecycle.signal(ledger, resident, Signalled(17, OK), NOW)

    assert effects(ledger) == [Wake(resident, Signalled(17, OK))]


def test_a_cancellation_is_heard_by_a_running_invocation(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.RUNNING)

    lifecycle.signal(ledger, resident, CANCELLED, NOW)

    assert effects(ledger) == [Wake(resident, CANCELLED)]
    assert resident.invocation.status is Status.RUNNING


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.PAUSED, Status.BACKING_OFF])
def test_a_cancellation_starts_whoever_has_no_attempt_once(ledger: Ledger, status: Status) -> None:
    resident = with_status(ledger, status)

    lifecycle.signal(ledger, resident, CANCELLED, NOW)

    assert effects(ledger) == [Start(resident)]
    assert resident.entries == [CANCELLED]
    assert resident.invocation.status is Status.RUNNING


def test_a_cancellation_completes_what_waits_for_its_time(ledger: Ledger) -> None:
    resident = accept(ledger, ADD, due_ms=NOW + 5)

    lifecycle.signal(ledger, resident, CANCELLED, NOW)

    assert effects(ledger) == [Done(resident)]
    assert resident.invocation.outcome == Failure(409, "cancelled")
    assert resident.invocation.due_ms is None


def test_a_cancellation_takes_a_waiting_invocation_out_of_the_line(ledger: Ledger) -> None:
    first, second, third = accept(ledger, ADD), accept(ledger, ADD), accept(ledger, ADD)
    settled(ledger)

    lifecycle.signal(ledger, second, CANCELLED, NOW)
    assert effects(ledger) == [Done(second)]
    lifecycle.complete(ledger, first, OK, NOW)

    assert effects(ledger) == [Done(first), Start(third)]


def test_a_cancellation_of_what_has_completed_changes_nothing(ledger: Ledger) -> None:
    resident = accept(ledger)
    lifecycle.complete(ledger, resident, OK, NOW)
    settled(ledger)

    lifecycle.signal(ledger, resident, CANCELLED, NOW)

    assert not ledger.commit
    assert resident.invocation.outcome == OK


@pytest.mark.parametrize(
    ("status", "signal", "needs"),
    [
        (Status.PENDING, CANCEL, [SEVEN]),
        (Status.SCHEDULED, CANCEL, [SEVEN]),
        (Status.RUNNING, CANCEL, []),
        (Status.PENDING, 17, []),
        (Status.PENDING, "go", []),
    ],
)
def test_a_signal_needs_more_only_if_it_completes(
    ledger: Ledger, status: Status, signal: int | str, needs: list[object]
) -> None:
    resident = with_status(ledger, status, APPROVE)

    assert list(lifecycle.signal_needs(ledger, resident, signal)) == needs
