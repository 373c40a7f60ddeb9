from __future__ import annotations

import pytest

from durable.core import commands, control
from durable.core.control import Order
from durable.core.entries import Call, ClearAllState, Completed, Entry, Run, Send, SetState, Signalled, Target
from durable.core.ids import CANCEL
from durable.core.invocation import Status, instance_id
from durable.core.ledger import Done, Ledger, Resident, Start, Stop
from durable.core.lifecycle import complete
from durable.core.outcome import Success
from durable.errors import InvocationNotFoundError, InvocationStateError
from tests.core.bench import ADD, MAIL, NOW, ORDER, a_ledger, accept, effects, id_of, with_status

OK = Success(b"1")


@pytest.fixture
def ledger() -> Ledger:
    return a_ledger()


def order(verb: control.Verb, n: int = 1, from_entry: int = 0) -> Order:
    return Order(verb, id_of(n), id_of(99), from_entry)


def completed(ledger: Ledger, *entries: Entry) -> Resident:
    resident = accept(ledger)
    for entry in entries:
        ledger.append(resident, entry)
    complete(ledger, resident, OK, NOW)
    return resident


def calls(ledger: Ledger, caller: Resident, n: int, target: Target = MAIL) -> None:
    commands.apply(ledger, caller, Call(n, target, b"{}", {}, None, id_of(n)), NOW)


@pytest.mark.parametrize("verb", ["kill", "pause", "resume", "restart", "purge", "purge-journal"])
def test_nothing_can_be_done_to_what_is_not_there(ledger: Ledger, verb: control.Verb) -> None:
    assert list(control.needs(ledger, order(verb))) == [id_of(1)]

    with pytest.raises(InvocationNotFoundError):
        control.carry_out(ledger, order(verb), NOW)


def test_killing_needs_all_that_was_called_also_what_is_not_in_memory(ledger: Ledger) -> None:
    root = accept(ledger)
    calls(ledger, root, 2)
    ledger.append(root, Send(MAIL, b"", {}, None, id_of(77), None))

    needed = set(control.needs(ledger, order("kill")))

    assert needed >= {id_of(1), id_of(2), id_of(77)}


def test_a_kill_completes_the_family_and_leaves_strangers_alone(ledger: Ledger) -> None:
    root, stranger = accept(ledger), accept(ledger)
    calls(ledger, root, 3)
    ledger.append(root, Send(MAIL, b"", {}, None, stranger.invocation.id, None))
    ledger.append(root, Send(MAIL, b"", {}, None, id_of(77), None))
    ledger.append(root, Send(MAIL, b"", {}, None, id_of(77), None))

    control.carry_out(ledger, order("kill"), NOW)

    child = ledger.invocations[id_of(3)]
    assert [each.invocation.outcome for each in (root, child, stranger)] == [control.KILLED, control.KILLED, None]
    assert effects(ledger)[-4:] == [Stop(root), Done(root), Stop(child), Done(child)]


def test_a_kill_completes_a_child_that_others_of_the_family_met_before(ledger: Ledger) -> None:
    root = accept(ledger)
    calls(ledger, root, 2)
    calls(ledger, root, 3)
    child, other = ledger.invocations[id_of(2)], ledger.invocations[id_of(3)]
    for each in (child, other):
        calls(ledger, each, 4)
    assert ledger.invocations[id_of(4)].invocation.request.invoked_by == id_of(2)

    control.carry_out(ledger, order("kill"), NOW)

    assert {resident.invocation.status for resident in ledger.invocations.values()} == {Status.COMPLETED}


def test_a_kill_keeps_no_record_of_a_child_that_waits_for_the_same_key(ledger: Ledger) -> None:
    root = accept(ledger, ADD)
    commands.apply(ledger, root, Send(ADD, b"{}", {}, None, id_of(2), None), NOW)
    child = ledger.invocations[id_of(2)]

    control.carry_out(ledger, order("kill"), NOW)

    assert (child.invocation.outcome, child.purged) == (control.KILLED, True)
    assert root.invocation.outcome == control.KILLED


def test_what_is_completed_is_not_killed(ledger: Ledger) -> None:
    completed(ledger)

    with pytest.raises(InvocationStateError, match="was already completed"):
        control.carry_out(ledger, order("kill"), NOW)


def test_a_paused_invocation_stays_paused_if_it_is_paused_again(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.PAUSED)
    effects(ledger)

    control.carry_out(ledger, order("pause"), NOW)

    assert (resident.invocation.status, effects(ledger)) == (Status.PAUSED, [])


def test_a_running_invocation_is_not_disturbed_by_resuming_it(ledger: Ledger) -> None:
    accept(ledger)
    effects(ledger)

    control.carry_out(ledger, order("resume"), NOW)

    assert effects(ledger) == []


def test_resuming_forgets_the_failures(ledger: Ledger) -> None:
    resident = with_status(ledger, Status.PAUSED)
    ledger.change(resident, attempts=70, failing_since_ms=1)

    control.carry_out(ledger, order("resume"), NOW)

    assert (resident.invocation.attempts, resident.invocation.failing_since_ms) == (0, None)
    assert effects(ledger)[-1] == Start(resident)


@pytest.mark.parametrize("verb", ["resume", "restart"])
@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.PENDING])
def test_what_has_not_started_is_not_resumed_or_restarted(ledger: Ledger, verb: control.Verb, status: Status) -> None:
    with_status(ledger, status)

    with pytest.raises(InvocationStateError) as error:
        control.carry_out(ledger, order(verb), NOW)

    assert error.value.status == 425


def test_a_restart_has_the_prefix_without_its_cancellations_and_the_answers_to_it(ledger: Ledger) -> None:
    late = Completed(1, OK)
    completed(ledger, Run(1, "a"), Signalled(CANCEL, Success()), Signalled(17, OK), Run(2, "b"), late)

    new = control.carry_out(ledger, order("restart", from_entry=3), NOW)

    again = ledger.invocations[new]
    assert again.entries == [Run(1, "a"), Signalled(17, OK), late]
    assert (again.invocation.request.restarted_from, again.invocation.request.seed) == (id_of(1), id_of(1))


@pytest.mark.parametrize(
    ("verb", "status", "said"),
    [
        ("resume", Status.COMPLETED, "is completed, cannot be resumed"),
        ("restart", Status.SUSPENDED, "is still running"),
    ],
)
def test_a_verb_that_comes_too_late_or_too_early_says_so(
    ledger: Ledger, verb: control.Verb, status: Status, said: str
) -> None:
    with_status(ledger, status)

    with pytest.raises(InvocationStateError, match=said):
        control.carry_out(ledger, order(verb), NOW)

    assert effects(ledger) == []


def test_what_has_no_journal_any_more_is_not_restarted(ledger: Ledger) -> None:
    completed(ledger)
    control.carry_out(ledger, order("purge-journal"), NOW)

    with pytest.raises(InvocationStateError, match="the input is not available") as error:
        control.carry_out(ledger, order("restart"), NOW)

    assert error.value.status == 410


@pytest.mark.parametrize("from_entry", [-1, 3])
def test_a_restart_refuses_a_prefix_that_is_not_there(ledger: Ledger, from_entry: int) -> None:
    completed(ledger, Run(1, "a"), Completed(1, OK))

    with pytest.raises(InvocationStateError, match="without respective"):
        control.carry_out(ledger, order("restart", from_entry=from_entry), NOW)


@pytest.mark.parametrize("verb", ["restart", "purge", "pause", "resume", "purge-journal"])
def test_only_a_restart_and_a_purge_touch_the_key(ledger: Ledger, verb: control.Verb) -> None:
    accept(ledger, ADD)
    accept(ledger, MAIL)

    keyed = [instance_id(ADD)] if verb in ("restart", "purge") else []
    assert list(control.needs(ledger, order(verb, 1))) == [id_of(1), *keyed]
    assert list(control.needs(ledger, order(verb, 2))) == [id_of(2)]


def test_a_restart_refuses_a_prefix_with_an_open_question(ledger: Ledger) -> None:
    completed(ledger, Run(1, "a"))

    with pytest.raises(InvocationStateError, match="without respective") as error:
        control.carry_out(ledger, order("restart", from_entry=1), NOW)

    assert error.value.status == 400


def test_a_restart_of_an_object_handler_needs_its_key(ledger: Ledger) -> None:
    accept(ledger, ADD)

    assert list(control.needs(ledger, order("restart"))) == [id_of(1), instance_id(ADD)]


def test_purging_a_run_clears_state_and_promises(ledger: Ledger) -> None:
    run = accept(ledger, ORDER)
    commands.apply(ledger, run, SetState("items", b"1"), NOW)
    instance = ledger.instance_of(run.invocation)
    ledger.set_promise(instance, "paid", OK)
    complete(ledger, run, OK, NOW)

    control.carry_out(ledger, order("purge"), NOW)

    assert (instance.state, instance.promises, ledger.find(id_of(1))) == ({}, {}, None)


def test_purging_the_restart_of_a_run_leaves_the_runs_state(ledger: Ledger) -> None:
    run = accept(ledger, ORDER, restarted_from=id_of(7))
    ledger.set_state(ledger.instance_of(run.invocation), "items", b"1")
    complete(ledger, run, OK, NOW)

    control.carry_out(ledger, order("purge"), NOW)

    assert ledger.instances[instance_id(ORDER)].state == {"items": b"1"}


@pytest.mark.parametrize("verb", ["purge", "purge-journal"])
def test_what_is_live_is_not_purged(ledger: Ledger, verb: control.Verb) -> None:
    accept(ledger)

    with pytest.raises(InvocationStateError, match="is not yet completed"):
        control.carry_out(ledger, order(verb), NOW)


def test_a_journal_that_is_purged_before_it_is_written_is_not_written(ledger: Ledger) -> None:
    completed(ledger, ClearAllState())

    control.carry_out(ledger, order("purge-journal"), NOW)

    assert (ledger.commit.entries, ledger.commit.forgotten) == ({}, [1])
