"""Derived ids, and what one transaction holds."""

from durable.core.entries import Run, Target
from durable.core.invocation import Caller, Commit, Status, Timer, derived_id, instance_id
from tests.core.bench import ADD, MAIL, ORDER, id_of, invocation


def test_a_plain_call_has_no_id_of_its_own() -> None:
    assert derived_id(ADD, None, None, workflow=False) is None


def test_a_workflow_run_has_one_id_per_key_whatever_else_is_said() -> None:
    id = derived_id(ORDER, None, None, workflow=True)

    assert id == derived_id(ORDER, "once", "mary", workflow=True)
    assert id != derived_id(Target("Order", "run", "8"), None, None, workflow=True)


def test_an_idempotency_key_belongs_to_a_target_and_to_who_calls() -> None:
    targets = [MAIL, ADD, Target("Cart", "add", ""), Target("Cart", "add", "john"), Target("Cart", "add")]
    callers = [None, "", "anonymous", "mary"]

    ids = {derived_id(target, key, who, workflow=False) for target in targets for who in callers for key in ("", "k")}

    assert len(ids) == 5 * 4 * 2


def test_an_instance_without_a_key_has_the_empty_one() -> None:
    assert instance_id(Target("Cart", "add")) == instance_id(Target("Cart", "show", "")) == ("Cart", "")


def test_keys_that_differ_in_nothing_but_their_case_are_two() -> None:
    assert instance_id(Target("Cart", "add", "Ada")) != instance_id(Target("Cart", "add", "ada"))


def test_timers_fire_in_order_of_moment_then_age() -> None:
    timers = [Timer(2, 1, 1), Timer(1, 2, 0), Timer(1, 1, 5), Timer(1, 1, 0)]

    assert sorted(timers) == [Timer(1, 1, 0), Timer(1, 1, 5), Timer(1, 2, 0), Timer(2, 1, 1)]


def test_a_change_before_the_commit_is_part_of_the_acceptance() -> None:
    commit = Commit()
    commit.accept(invocation(1))

    commit.change(invocation(1, status=Status.SUSPENDED))

    assert commit.accepted == {1: invocation(1, status=Status.SUSPENDED)}
    assert commit.changed == {}


def test_a_later_change_replaces_an_earlier_one() -> None:
    commit = Commit()
    commit.change(invocation(1, status=Status.PAUSED))

    commit.change(invocation(1, status=Status.RUNNING))

    assert commit.changed == {1: invocation(1, status=Status.RUNNING)}


def test_entries_of_one_commit_are_one_piece_of_the_journal() -> None:
    commit = Commit()

    commit.append(1, 4, Run(1, "a"))
    commit.append(1, 5, Run(2, "b"))
    commit.append(2, 0, Run(1, "c"))

    assert commit.entries == {1: (4, [Run(1, "a"), Run(2, "b")]), 2: (0, [Run(1, "c")])}


def test_a_commit_is_true_if_there_is_anything_to_write() -> None:
    empty, one = Commit(), Commit()

    one.waiters[id_of(1), Caller(id_of(2), 1)] = False

    assert one
    assert not empty
