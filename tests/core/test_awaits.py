"""When a tree of waits has its answer."""

import pytest

from durable.core.awaits import All, Await, First, FirstSuccess, Known, One, Settled, Some, Timeout


class Heard:
    """A journal that holds these notifications, in this order; a failure is written ``-slot``."""

    def __init__(self, *slots: int) -> None:
        self._settled = {abs(slot): Settled(2 * n, failed=slot < 0) for n, slot in enumerate(slots, 1)}

    def notified(self, slot: int | str) -> Settled | None:
        return self._settled.get(int(slot))


A, B, C = One(1), One(2), One(3)
FAILED, FINE = True, False


@pytest.mark.parametrize(
    ("awaited", "heard", "settled"),
    [
        (A, Heard(), None),
        (A, Heard(2, 1), Settled(4, FINE)),
        (A, Heard(-1), Settled(2, FAILED)),
        (Known(5), Heard(), Settled(5, FINE)),
    ],
)
def test_a_single_wait_is_settled_by_its_own_notification(awaited: Await, heard: Heard, settled: Settled) -> None:
    assert awaited.settled(heard) == settled


@pytest.mark.parametrize(
    ("heard", "settled"),
    [
        (Heard(), None),
        (Heard(1, 3), None),
        (Heard(2, 3, 1), Settled(6, FINE)),
        (Heard(1, -3), Settled(4, FAILED)),
        (Heard(1, -3, -2), Settled(4, FAILED)),
        (Heard(1, 2, -3), Settled(6, FAILED)),
    ],
)
def test_all_is_settled_by_its_last_part_or_its_first_failure(heard: Heard, settled: Settled) -> None:
    assert All((A, B, C)).settled(heard) == settled


def test_all_of_nothing_is_settled_from_the_beginning() -> None:
    assert All(()).settled(Heard(1)) == Settled(0, FINE)


@pytest.mark.parametrize(
    ("heard", "settled"),
    [
        (Heard(), None),
        (Heard(4), None),
        (Heard(4, 3, 1), Settled(4, FINE)),
        (Heard(-2, 1), Settled(2, FAILED)),
    ],
)
def test_first_is_settled_by_whichever_part_comes_first(heard: Heard, settled: Settled) -> None:
    assert First((A, B, C)).settled(heard) == settled


@pytest.mark.parametrize(
    ("heard", "settled"),
    [
        (Heard(), None),
        (Heard(-1, -2), None),
        (Heard(-1, 3, 2), Settled(4, FINE)),
        (Heard(-3, -1, -2), Settled(6, FAILED)),
    ],
)
def test_first_success_is_settled_by_a_success_or_the_last_failure(heard: Heard, settled: Settled) -> None:
    assert FirstSuccess((A, B, C)).settled(heard) == settled


def test_first_success_of_nothing_has_failed_from_the_beginning() -> None:
    assert FirstSuccess(()).settled(Heard(1)) == Settled(0, FAILED)


@pytest.mark.parametrize(
    ("count", "heard", "settled"),
    [
        (0, Heard(1), Settled(0, FINE)),
        (1, Heard(), None),
        (1, Heard(-2, 1), Settled(2, FINE)),
        (2, Heard(3), None),
        (2, Heard(3, -1, 2), Settled(4, FINE)),
        (3, Heard(3, -1, -2), Settled(6, FINE)),
    ],
)
def test_some_is_settled_by_so_many_answers_and_never_fails(count: int, heard: Heard, settled: Settled) -> None:
    assert Some((A, B, C), count).settled(heard) == settled


@pytest.mark.parametrize(
    ("heard", "settled"),
    [
        (Heard(), None),
        (Heard(1), Settled(2, FINE)),
        (Heard(-1), Settled(2, FAILED)),
        (Heard(1, 2), Settled(2, FINE)),
        (Heard(2), Settled(2, FAILED)),
        (Heard(2, 1), Settled(2, FAILED)),
    ],
)
def test_a_timeout_is_a_failure_only_if_the_timer_came_first(heard: Heard, settled: Settled) -> None:
    assert Timeout(A, timer=B).settled(heard) == settled


def test_what_was_answered_on_the_spot_has_its_place_between_notifications() -> None:
    after_one = Known(3)

    assert First((after_one, A)).settled(Heard(1)) == Settled(2, FINE)
    assert First((after_one, A)).settled(Heard(2, 1)) == Settled(3, FINE)


def test_trees_nest() -> None:
    tree = First((All((A, B)), Timeout(C, timer=One(4))))

    assert tree.settled(Heard(1)) is None
    assert tree.settled(Heard(1, 3, 2)) == Settled(4, FINE)
    assert tree.settled(Heard(1, 4, 2)) == Settled(4, FAILED)


def test_a_tree_names_every_slot_it_waits_for() -> None:
    tree = All((First((A, One("paid\x001"))), Timeout(C, timer=One(4)), Known(1), FirstSuccess((B, Some((A,), 1)))))

    assert list(tree.slots()) == [1, "paid\x001", 3, 4, 2, 1]
