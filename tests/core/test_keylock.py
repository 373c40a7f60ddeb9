"""The queue of one key."""

import pytest

from durable.core.ids import InvocationId
from durable.core.keylock import KeyLock
from tests.core.bench import id_of

A, B, C = id_of(1), id_of(2), id_of(3)


def test_a_free_key_has_no_holder() -> None:
    lock = KeyLock()

    assert lock.holder is None
    assert len(lock) == 0


def test_whoever_enters_first_holds_the_key() -> None:
    lock = KeyLock()

    assert lock.enter(A)
    assert not lock.enter(B)
    assert lock.holder == A


def test_the_key_goes_to_the_next_in_line() -> None:
    lock = KeyLock([A, B, C])

    assert lock.leave(A) == B
    assert lock.leave(B) == C
    assert lock.leave(C) is None
    assert lock.holder is None


def test_leaving_the_line_hands_on_nothing() -> None:
    lock = KeyLock([A, B, C])

    assert lock.leave(B) is None
    assert lock.holder == A
    assert lock.leave(A) == C


def test_a_key_is_free_again_when_all_have_left() -> None:
    lock = KeyLock([A])
    lock.leave(A)

    assert lock.enter(B)


@pytest.mark.parametrize(("id", "after"), [(A, B), (B, C), (C, None), (id_of(4), None)])
def test_who_stands_behind_whom(id: InvocationId, after: InvocationId | None) -> None:
    assert KeyLock([A, B, C]).after(id) == after


def test_a_line_knows_who_stands_in_it() -> None:
    lock = KeyLock([A, B])

    assert A in lock
    assert C not in lock
    assert len(lock) == 2
