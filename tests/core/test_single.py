"""Calls of which one runs at a time, or only the last of a burst."""

from __future__ import annotations

import msgspec
import pytest

from durable.core import commands, lifecycle
from durable.core.entries import Call, Completed, Send, Signalled, Target, line_of
from durable.core.ids import CANCEL
from durable.core.invocation import Caller, Kind, LoadedInstance, Request, Single, Status, Timer, instance_id
from durable.core.ledger import Ledger, Resident, Rule
from durable.core.outcome import Success
from durable.core.single import SUPERSEDED, Way, full_queue, make_way, skipped, way_needs
from durable.flow import Limit, LimitSet
from tests.core.bench import NOW, id_of

LINE = line_of("Report", "make")
SECOND = 1_000


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger({("Report", "make"): Rule(Kind.EXCLUSIVE, 1000)}, last_n=0, last_place=0)
    ledger.admit_instance(instance_id(LINE), LoadedInstance([], {}, {}, {}))
    return ledger


def request(single: Single) -> Request:
    return Request(target=LINE, kind=Kind.EXCLUSIVE, payload=b"", retention_ms=1000, single=single)


def call(ledger: Ledger, single: Single, now_ms: int = NOW) -> Resident:
    """As a caller does: make way, then be accepted, unless it is skipped."""
    way = make_way(ledger, request(single), now_ms, None)
    if way.skipped_for is not None:
        return way.skipped_for
    return lifecycle.accept(ledger, way.request, id_of(ledger.last_n + 1), now_ms, way.due_ms)


def complete(ledger: Ledger, resident: Resident) -> None:
    lifecycle.complete(ledger, resident, Success(b""), NOW)


def test_a_call_that_is_no_single_one_stands_in_nobodys_way(ledger: Ledger) -> None:
    plain = Request(target=LINE, kind=Kind.EXCLUSIVE, payload=b"")

    assert make_way(ledger, plain, NOW, NOW + 5) == Way(plain, NOW + 5)
    assert list(way_needs(ledger, plain)) == []


def test_a_call_is_skipped_while_another_is_under_way(ledger: Ledger) -> None:
    first = call(ledger, Single("skip"))

    assert call(ledger, Single("skip")) is first
    assert skipped(first).message.startswith("skipped: Report/make:/make is under way as inv_")

    complete(ledger, first)
    assert call(ledger, Single("skip")) is not first


def test_a_call_waits_in_the_queue_for_those_before_it(ledger: Ledger) -> None:
    first, second = call(ledger, Single("queue")), call(ledger, Single("queue"))

    assert (first.invocation.status, second.invocation.status) == (Status.RUNNING, Status.PENDING)
    assert list(way_needs(ledger, request(Single("queue")))) == []

    complete(ledger, first)
    assert second.invocation.status is Status.RUNNING


def test_a_call_cancels_those_before_it_once(ledger: Ledger) -> None:
    first = call(ledger, Single("cancel"))
    second = call(ledger, Single("cancel"))
    third = call(ledger, Single("cancel"))

    assert [each.signal for each in first.entries if isinstance(each, Signalled)] == [CANCEL]
    assert first.invocation.status is Status.RUNNING  # it undoes what it did
    assert second.invocation.status is Status.COMPLETED  # it had not begun
    complete(ledger, first)
    assert third.invocation.status is Status.RUNNING


def test_a_call_takes_the_place_of_one_that_has_not_begun(ledger: Ledger) -> None:
    burst = Single("last", window_ms=5 * SECOND)
    first = call(ledger, burst)
    second = call(ledger, burst, NOW + 3 * SECOND)

    assert first.invocation.outcome == SUPERSEDED
    assert (second.invocation.status, second.invocation.due_ms) == (Status.SCHEDULED, NOW + 8 * SECOND)


def test_a_burst_without_an_end_runs_when_the_longest_wait_is_over(ledger: Ledger) -> None:
    burst = Single("last", window_ms=5 * SECOND, longest_ms=12 * SECOND)

    dues = [call(ledger, burst, NOW + seconds * SECOND).invocation.due_ms for seconds in (0, 4, 8, 11)]

    assert dues == [NOW + seconds * SECOND for seconds in (5, 9, 12, 12)]


def test_what_has_begun_is_not_replaced_and_a_new_burst_begins(ledger: Ledger) -> None:
    burst = Single("last", window_ms=5 * SECOND, longest_ms=12 * SECOND)
    first = call(ledger, burst)
    due_ms = NOW + 5 * SECOND
    lifecycle.fire(ledger, first, Timer(due_ms, first.invocation.n, 0), due_ms)

    second = call(ledger, burst, NOW + 11 * SECOND)

    assert (first.invocation.status, first.invocation.outcome) == (Status.RUNNING, None)
    assert second.invocation.due_ms == NOW + 16 * SECOND  # and not 12, when the first burst would have been over


def test_one_that_is_due_while_another_runs_waits_for_it(ledger: Ledger) -> None:
    burst = Single("last", window_ms=5 * SECOND)
    first = call(ledger, burst)
    lifecycle.fire(ledger, first, Timer(NOW + 5 * SECOND, first.invocation.n, 0), NOW + 5 * SECOND)
    second = call(ledger, burst, NOW + 6 * SECOND)
    lifecycle.fire(ledger, second, Timer(NOW + 11 * SECOND, second.invocation.n, 0), NOW + 11 * SECOND)

    assert second.invocation.status is Status.PENDING

    complete(ledger, first)
    assert second.invocation.status is Status.RUNNING


def test_one_whose_time_has_not_come_is_not_started_by_the_end_of_the_one_before(ledger: Ledger) -> None:
    burst = Single("last", window_ms=5 * SECOND)
    first = call(ledger, burst)
    lifecycle.fire(ledger, first, Timer(NOW + 5 * SECOND, first.invocation.n, 0), NOW + 5 * SECOND)
    second = call(ledger, burst, NOW + 6 * SECOND)

    complete(ledger, first)

    assert second.invocation.status is Status.SCHEDULED


def test_a_handler_that_calls_is_told_that_it_was_skipped_and_its_send_is_not_accepted(ledger: Ledger) -> None:
    ledger.directory = {**ledger.directory, ("Report", "make"): Rule(Kind.EXCLUSIVE, 1000, single=Single("skip"))}
    caller = accept_plain(ledger)
    first = call(ledger, Single("skip"))

    commands.apply(ledger, caller, Call(1, Target("Report", "make"), b"", {}, None, id_of(60)), NOW)
    commands.apply(ledger, caller, Send(Target("Report", "make"), b"", {}, None, id_of(61), None), NOW)

    assert caller.entries[1] == Completed(1, skipped(first))
    assert not ledger.has(id_of(60))
    assert not ledger.has(id_of(61))


def accept_plain(ledger: Ledger) -> Resident:
    plain = Request(target=Target("Mail", "send"), kind=Kind.SERVICE, payload=b"")
    return lifecycle.accept(ledger, plain, id_of(40), NOW, None)


def test_a_call_needs_those_in_its_line_and_whoever_waits_for_them(ledger: Ledger) -> None:
    caller = Caller(id_of(50), 1)
    running, waiting = call(ledger, Single("queue")), call(ledger, Single("queue"))
    waiting.waiters.append(caller)

    needed = list(way_needs(ledger, request(Single("cancel"))))

    assert needed[:2] == [running.invocation.id, waiting.invocation.id]
    assert {instance_id(LINE), caller.id} <= {*needed}


def test_a_call_needs_nobody_while_its_line_is_not_there(ledger: Ledger) -> None:
    ledger.instances.clear()

    assert list(way_needs(ledger, request(Single("cancel")))) == []


def test_one_in_the_line_that_cannot_be_read_is_needed_and_left_alone(ledger: Ledger) -> None:
    ledger.instances[instance_id(LINE)].lock.enter(id_of(50))

    assert list(way_needs(ledger, request(Single("cancel")))) == [id_of(50)]
    assert make_way(ledger, request(Single("skip")), NOW, None).skipped_for is None


def test_a_full_queue_refuses_nobody_who_takes_no_place_in_it(ledger: Ledger) -> None:
    ledger.admission.replace(LimitSet((Limit("handler/Report/make", concurrency=1, queue=0),)), (), NOW)
    kinds = {mode: request(Single(mode)) for mode in ("skip", "cancel", "last", "queue")}
    first = call(ledger, Single("cancel"))

    assert [mode for mode, each in kinds.items() if full_queue(ledger, each, NOW)] == ["cancel", "queue"]
    assert full_queue(ledger, msgspec.structs.replace(first.invocation.request, single=None), NOW) is not None

    call(ledger, Single("queue"))
    assert [mode for mode, each in kinds.items() if full_queue(ledger, each, NOW)] == ["queue"]


def test_what_is_decided_when_it_is_sent_takes_no_delay() -> None:
    directory = {("Report", "make"): Rule(Kind.EXCLUSIVE, 1000, single=Single("skip"))}

    refused = commands.unsendable(directory, LINE, delayed=True)

    assert refused is not None
    assert "whether it is skipped is decided when it is sent" in refused.message
    assert commands.unsendable(directory, LINE, delayed=False) is None


def test_what_nobody_serves_is_sent_to_nobody() -> None:
    refused = commands.unsendable({}, LINE, delayed=False)

    assert refused is not None
    assert refused.status == 404
