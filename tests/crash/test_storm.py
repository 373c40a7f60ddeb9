"""A server that is killed under load, again and again: every request has one answer, and all of them fit together.

The figures of a long run are in docs/reliability.md, with its command.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from durable.runtime.writer import Writer
from tests.crash import served
from tests.crash.customers import GROUP, Book, WrongError
from tests.crash.storm import CUSTOMERS, check_bumps, check_steps, report, storm

KILLS = 40
SIGTERMS = 8


@pytest.mark.slow
def test_kills_under_load_lose_nothing_and_double_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    book = storm(KILLS)

    with capsys.disabled():
        print(f"\n{report(book, 0)}")
    assert book.counts["kills"] == KILLS
    assert book.counts["stops"] >= KILLS / 10
    assert book.counts["acknowledged"] >= 20 * KILLS
    assert book.counts["lost"] >= CUSTOMERS
    assert book.counts["steps run again"] > 0  # so kills did hit steps
    assert book.counts["histories"] >= CUSTOMERS / GROUP
    assert book.counts["operations"] >= 2 * book.counts["unknown"] > 0
    assert {kind for kind, answers in book.answers.items() if answers} == {"order", "parcel", "signup"}


@pytest.mark.slow
def test_servers_that_are_asked_to_stop_cut_nothing_off(capsys: pytest.CaptureFixture[str]) -> None:
    book = storm(SIGTERMS, gently=True)

    with capsys.disabled():
        print(f"\n{report(book, 0)}")
    assert len(book.closings) == SIGTERMS + 1
    assert book.counts["acknowledged"] >= 20 * SIGTERMS
    assert book.counts["steps run again"] == 0
    assert max(book.closings) < 5  # a second for replies that wait, a second for steps, and what a busy machine needs
    assert "Traceback" not in book.said
    assert "destroyed" not in book.said


def serve_early(directory: str, port: str) -> None:
    """Replies do not wait for the disk."""

    async def until(self: Writer, number: int, *, patient: bool = False) -> None:
        return None

    Writer.until = until  # type: ignore[method-assign]
    served.serve(directory, port)


@pytest.mark.slow
def test_a_reply_before_its_commit_is_found() -> None:
    with pytest.raises(BaseException) as found:  # noqa: PT011 - WrongError, in a group or not
        storm(KILLS, serve="tests.crash.test_storm:serve_early")

    assert isinstance(found.value, WrongError) or found.group_contains(WrongError)


def book_of(steps: list[tuple[str, str, str]], answer: list[str | int]) -> Book:
    book = Book(Path("nowhere"))
    book.steps = steps
    book.answers["order"]["a"] = answer
    return book


def test_a_step_that_was_recorded_and_runs_again_is_found() -> None:
    steps = [("a", "pay", "1"), ("a", "pay", "2"), ("a", "ship", "3")]
    check_steps(book_of(steps, ["a", "2", 1, "3"]))

    with pytest.raises(WrongError, match="'pay' of a was recorded, and ran again"):
        check_steps(book_of([*steps, ("a", "pay", "4")], ["a", "2", 1, "3"]))


def test_an_answer_that_no_step_gave_is_found() -> None:
    with pytest.raises(WrongError, match="steps that never ran"):
        check_steps(book_of([("a", "pay", "1"), ("a", "ship", "2")], ["a", "9", 1, "2"]))


@pytest.mark.parametrize(
    "bumps",
    [
        pytest.param([(1, 2, 1), (3, 4, 1)], id="twice"),
        pytest.param([(1, 2, 1), (3, 4, 3)], id="lost"),
        pytest.param([(1, 2, 2), (3, 4, 1)], id="out of order"),
    ],
)
def test_numbers_that_no_order_of_calls_explains_are_found(bumps: list[tuple[int, int, int]]) -> None:
    book = Book(Path("nowhere"))
    book.bumps = bumps

    with pytest.raises(WrongError):
        check_bumps(book)


def test_numbers_of_calls_that_overlap_may_come_in_any_order() -> None:
    book = Book(Path("nowhere"))
    book.bumps = [(1, 4, 2), (2, 3, 1)]

    check_bumps(book)
