"""What is in memory, and what each change of it leaves in the commit."""

from durable.core.entries import Completed, Entry, Run, Signalled
from durable.core.ids import CANCEL
from durable.core.invocation import Caller, Commit, Loaded, LoadedInstance, Status, Timer
from durable.core.ledger import Resident
from durable.core.outcome import Failure, Success
from tests.core.bench import ADD, NOW, SHOW, a_ledger, accept, id_of, instance_of, invocation, settled

OK = Success(b"1")
WAITER = Caller(id_of(9), 3)
CART = ("Cart", "mary")


def test_an_invocation_is_admitted_with_its_journal_and_waiters() -> None:
    ledger = a_ledger()

    resident = ledger.admit(id_of(1), Loaded(invocation(1), [Run(1, "a")], [WAITER]))

    assert ledger.invocations == {id_of(1): resident}
    assert (resident.entries, resident.waiters) == ([Run(1, "a")], [WAITER])
    assert not ledger.commit


def test_an_invocation_that_is_here_is_not_replaced_by_what_the_store_had() -> None:
    ledger = a_ledger()
    resident = accept(ledger)

    again = ledger.admit(id_of(1), Loaded(invocation(1, status=Status.PAUSED), [], []))

    assert again is resident
    assert again.invocation.status is Status.RUNNING


def test_what_is_changed_under_a_clock_that_stepped_back_is_not_older_than_before() -> None:
    ledger = a_ledger()
    resident = accept(ledger)

    ledger.change(resident, status=Status.SUSPENDED, modified_ms=NOW - 60_000)

    assert resident.invocation.modified_ms == NOW


def test_a_key_that_is_here_is_not_replaced_by_what_the_store_had() -> None:
    ledger = a_ledger()
    instance = instance_of(ledger)

    again = ledger.admit_instance(CART, LoadedInstance([(1, id_of(1))], {"items": b"1"}, {}, {}))

    assert again is instance
    assert again.state == {}


def test_a_key_is_admitted_with_its_queue_in_order() -> None:
    loaded = LoadedInstance([(3, id_of(2)), (5, id_of(1))], {"items": b"1"}, {"paid": OK}, {"sent": [WAITER]})

    instance = a_ledger().admit_instance(CART, loaded)

    assert (instance.lock.holder, instance.lock.after(id_of(2))) == (id_of(2), id_of(1))
    assert (instance.state, instance.promises, instance.listeners) == (
        {"items": b"1"},
        {"paid": OK},
        {"sent": [WAITER]},
    )


def test_handlers_of_one_key_share_an_instance() -> None:
    ledger = a_ledger()

    exclusive, shared = accept(ledger, ADD), accept(ledger, SHOW)

    assert ledger.instance_of(exclusive.invocation) is ledger.instance_of(shared.invocation)


def test_every_change_carries_the_number_of_its_decision() -> None:
    ledger = a_ledger()
    resident = accept(ledger, ADD)
    instance = ledger.instance_of(resident.invocation)
    assert (resident.number, instance.number) == (1, 1)

    ledger.number = 2
    ledger.append(resident, Run(1, "a"))
    ledger.number = 3
    ledger.set_state(instance, "items", b"1")

    assert (resident.number, instance.number) == (2, 3)


def test_entries_are_written_behind_those_that_are_there() -> None:
    ledger = a_ledger()
    resident = accept(ledger)

    ledger.append(resident, Run(1, "a"))
    ledger.commit = Commit()
    ledger.append(resident, Run(2, "b"))

    assert ledger.commit.entries == {1: (1, [Run(2, "b")])}


def test_an_answer_is_known_by_its_completion_or_signal() -> None:
    ledger = a_ledger()
    resident = accept(ledger)

    ledger.append(resident, Completed(1, OK))
    ledger.append(resident, Signalled(17, OK))

    assert not ledger.append(resident, Completed(1, Failure(500, "late")))
    assert not ledger.append(resident, Signalled(17, OK))
    assert ledger.append(resident, Completed(17, OK))
    assert ledger.append(resident, Signalled(18, OK))
    assert len(resident.entries) == 4


def test_cancellations_and_named_signals_are_never_answers() -> None:
    ledger = a_ledger()
    resident = accept(ledger)
    entries: list[Entry] = [Signalled(CANCEL, OK), Signalled("go", OK), Run(1, "a")]

    assert all(ledger.append(resident, entry) for entry in entries * 2)


def test_answers_are_found_again_in_a_journal_from_the_store() -> None:
    resident = Resident(invocation(1), [Run(1, "a"), Completed(1, OK)], [])

    assert not a_ledger().append(resident, Completed(1, OK))


def test_a_row_says_how_long_its_journal_is() -> None:
    ledger = a_ledger()
    resident = accept(ledger)
    ledger.append(resident, Run(1, "a"))

    ledger.change(resident, status=Status.SUSPENDED)

    assert resident.invocation.entries == 1


def test_a_timer_is_armed_in_memory_and_in_the_commit() -> None:
    ledger = a_ledger()
    resident = accept(ledger)

    ledger.arm(resident, NOW + 5, 2)

    assert ledger.commit.timers == {Timer(NOW + 5, 1, 2): True}
    assert ledger.timers.due(NOW + 5) == [(Timer(NOW + 5, 1, 2), id_of(1))]


def test_an_invocations_own_timer_is_in_its_row_only() -> None:
    ledger = a_ledger()
    resident = accept(ledger)

    ledger.arm(resident, NOW + 5, 0)

    assert ledger.commit.timers == {}
    assert ledger.timers.next_ms == NOW + 5


def test_state_is_set_and_cleared_in_memory_and_in_the_commit() -> None:
    ledger = a_ledger()
    instance = instance_of(ledger)

    ledger.set_state(instance, "items", b"1")
    ledger.set_state(instance, "total", b"9")
    ledger.set_state(instance, "items", None)
    ledger.set_state(instance, "never set", None)

    assert instance.state == {"total": b"9"}
    assert ledger.commit.state == {
        (*CART, "items"): None, (*CART, "total"): b"9", (*CART, "never set"): None,
    }  # fmt: skip


def test_a_promise_is_completed_in_memory_and_in_the_commit() -> None:
    ledger = a_ledger()
    instance = instance_of(ledger)

    ledger.set_promise(instance, "paid", OK)

    assert instance.promises == {"paid": OK}
    assert ledger.commit.promises == {(*CART, "paid"): OK}


def test_a_listener_that_leaves_leaves_nothing_behind() -> None:
    ledger = a_ledger()
    instance = instance_of(ledger)
    ledger.listen(instance, "paid", WAITER, wanted=True)
    assert instance.listeners == {"paid": [WAITER]}

    ledger.listen(instance, "paid", WAITER, wanted=False)

    assert instance.listeners == {}
    assert ledger.commit.listeners == {(*CART, "paid", WAITER): False}


def test_the_other_listeners_stay() -> None:
    ledger = a_ledger()
    instance = instance_of(ledger)
    other = Caller(id_of(8), 1)
    for caller in (WAITER, other):
        ledger.listen(instance, "paid", caller, wanted=True)

    ledger.listen(instance, "paid", WAITER, wanted=False)

    assert instance.listeners == {"paid": [other]}


def test_a_listener_that_never_came_may_leave() -> None:
    ledger = a_ledger()
    instance = instance_of(ledger)

    ledger.listen(instance, "paid", WAITER, wanted=False)

    assert instance.listeners == {}


def test_a_waiter_is_kept_in_memory_and_in_the_commit() -> None:
    ledger = settled(a_ledger())
    resident = accept(ledger)

    ledger.wait_for(resident, WAITER)

    assert resident.waiters == [WAITER]
    assert ledger.commit.waiters == {(id_of(1), WAITER): True}
