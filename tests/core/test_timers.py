"""The window on all timers."""

from durable.core.invocation import Timer
from durable.core.timers import Armed, Timers
from tests.core.bench import id_of


def armed(due_ms: int, completion: int = 1) -> Armed:
    return Timer(due_ms, 1, completion), id_of(1)


def with_timers(*dues_ms: int, limit: int = 10_000) -> Timers:
    timers = Timers(limit)
    for due_ms in dues_ms:
        timers.add(*armed(due_ms))
    return timers


def dues(taken: list[Armed]) -> list[int]:
    return [timer.due_ms for timer, _ in taken]


def test_without_timers_nothing_is_due() -> None:
    timers = Timers()

    assert timers.next_ms is None
    assert timers.due(10**15) == []
    assert not timers.wants_refill


def test_what_is_due_comes_out_once_and_in_order() -> None:
    timers = with_timers(30, 10, 20, 40)

    assert dues(timers.due(30)) == [10, 20, 30]
    assert timers.due(30) == []
    assert timers.next_ms == 40


def test_a_timer_is_not_due_before_its_moment() -> None:
    timers = with_timers(10)

    assert timers.due(9) == []
    assert dues(timers.due(10)) == [10]


def test_a_full_window_lets_the_latest_go() -> None:
    timers = with_timers(50, 40, 30, 20, 10, limit=2)

    assert timers.horizon == Timer(20, 1, 1)
    assert dues(timers.due(100)) == [10, 20]


def test_what_lies_behind_the_horizon_stays_in_the_store() -> None:
    timers = with_timers(50, 40, 30, 20, 10, limit=2)

    timers.add(*armed(25))
    timers.add(*armed(15))

    assert dues(timers.due(100)) == [10, 15, 20]


def test_an_empty_window_with_more_behind_it_wants_to_be_filled() -> None:
    timers = with_timers(50, 40, 30, 20, 10, limit=2)
    assert not timers.wants_refill

    timers.due(100)

    assert timers.wants_refill
    assert timers.begin_refill() == Timer(20, 1, 1)
    assert not timers.wants_refill


def test_a_full_page_moves_the_horizon() -> None:
    timers = Timers(limit=2)
    timers.begin_refill()

    timers.refill([armed(10), armed(20)])

    assert timers.horizon == Timer(20, 1, 1)
    assert dues(timers.due(100)) == [10, 20]
    assert timers.wants_refill


def test_a_page_that_is_not_full_ends_the_reading() -> None:
    timers = Timers(limit=2)
    timers.begin_refill()

    timers.refill([armed(10)])

    assert timers.horizon is None
    assert dues(timers.due(100)) == [10]
    assert not timers.wants_refill


def test_a_timer_set_while_a_page_is_read_is_not_lost() -> None:
    timers = with_timers(50, 40, 30, 20, 10, limit=2)
    timers.due(100)
    timers.begin_refill()

    timers.add(*armed(35))
    timers.refill([armed(30), armed(40)])

    assert dues(timers.due(100)) == [30, 35, 40]


def test_a_timer_set_while_a_page_is_read_and_found_in_it_is_there_once() -> None:
    timers = Timers(limit=3)
    timers.begin_refill()

    timers.add(*armed(10))
    timers.refill([armed(10), armed(20)])

    assert dues(timers.due(100)) == [10, 20]


def test_a_timer_set_while_a_page_is_read_does_not_hide_those_between() -> None:
    # The store holds 10, 20 and 30; 90 is set while the first page is read, when there is no horizon yet.
    timers = Timers(limit=2)
    timers.begin_refill()
    timers.add(*armed(90))
    timers.refill([armed(10), armed(20)])
    timers.due(20)
    assert timers.wants_refill

    timers.begin_refill()
    timers.refill([armed(30), armed(90)])

    assert dues(timers.due(100)) == [30, 90]


def test_a_refill_keeps_what_was_set_before_the_horizon() -> None:
    timers = with_timers(50, 40, 30, 20, 10, limit=2)
    timers.due(100)
    timers.begin_refill()

    timers.add(*armed(15))
    timers.refill([])

    assert timers.next_ms == 15
    assert timers.horizon is None


def test_many_timers_are_kept_within_twice_the_limit() -> None:
    timers = with_timers(*range(1_000, 0, -1), limit=10)

    assert len(timers.due(10**6)) <= 20
