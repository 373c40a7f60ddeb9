"""Whatever a handler waits for, and in whatever order it comes: once there is an answer, it stays, also on replay."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from durable.core.awaits import All, Await, First, FirstSuccess, Known, One, Settled, Some, Timeout
from durable.core.entries import Completed, Entry, Notification, Run, Signalled
from durable.core.ids import CANCEL
from durable.core.journal import Journal, named_slot
from durable.core.outcome import Failure, Outcome, Success
from tests.examples import examples

SLOTS = (1, 2, 3, 4, -17, named_slot("go", 1), named_slot("go", 2))

outcomes: st.SearchStrategy[Outcome] = st.sampled_from([Success(b"1"), Success(b"2"), Failure(500, "no")])
notifications: st.SearchStrategy[Notification] = st.one_of(
    st.builds(Completed, st.integers(1, 5), outcomes),
    st.builds(Signalled, st.sampled_from([CANCEL, 17, 18, "go", "stop"]), outcomes),
)
slots = st.builds(One, st.sampled_from(SLOTS))


@cache
def trees(heard: int) -> st.SearchStrategy[Await]:
    """Trees of a handler that has heard so many notifications: what it knows, it learned no later."""
    leaves: st.SearchStrategy[Await] = slots | st.integers(0, heard).map(lambda seen: Known(2 * seen + 1))

    def combined(parts: st.SearchStrategy[Await]) -> st.SearchStrategy[Await]:
        several = st.lists(parts, max_size=3).map(tuple)
        return st.one_of(
            st.builds(All, several),
            st.builds(First, several),
            st.builds(FirstSuccess, several),
            st.builds(Some, several, st.integers(0, 4)),
            st.builds(Timeout, parts, slots),
        )

    return st.recursive(leaves, combined, max_leaves=6)


class Answer(NamedTuple):
    settled: Settled
    winners: tuple[int, ...]
    """The parts that were answered by then, the first first: where a combinator takes its value from."""


def answer(tree: Await, journal: Journal) -> Answer | None:
    settled = tree.settled(journal)
    if settled is None:
        return None
    parts = () if isinstance(tree, One | Known | Timeout) else tree.parts
    answered = [(each, n) for n, part in enumerate(parts) if (each := part.settled(journal)) is not None]
    return Answer(settled, tuple(n for each, n in sorted(answered) if each.position <= settled.position))


def heard(*entries: Entry) -> Journal:
    return Journal(entries)


@st.composite
def waits(draw: st.DrawFn) -> tuple[list[Notification], list[Notification], Await]:
    """What came before a handler began to wait, what comes after, and what it waits for."""
    before, after = draw(st.lists(notifications, max_size=6)), draw(st.lists(notifications, max_size=6))
    return before, after, draw(trees(len(before)))


@settings(max_examples=examples(200))
@given(waits())
def test_an_answer_does_not_change_as_more_arrives(wait: tuple[list[Notification], list[Notification], Await]) -> None:
    before, after, tree = wait
    journal = heard(*before)
    first = answer(tree, journal)

    for entry in after:
        journal.hear(entry)
        first = first or answer(tree, journal)

        assert answer(tree, journal) == first


@settings(max_examples=examples(200))
@given(waits(), st.data())
def test_a_replay_finds_the_same_answer_wherever_the_commands_stand(
    wait: tuple[list[Notification], list[Notification], Await], data: st.DataObject
) -> None:
    before, after, tree = wait
    journal = heard(*before)
    for entry in after:
        journal.hear(entry)
    entries: list[Entry] = [*before, *after]
    for completion in range(1, 4):
        entries.insert(data.draw(st.integers(0, len(entries))), Run(completion, "step"))

    replayed = heard(*entries)

    assert answer(tree, replayed) == answer(tree, journal)
    assert replayed.cancels == journal.cancels
    held = [slot for slot in SLOTS if journal.notified(slot) is not None]
    assert [replayed.outcome(slot) for slot in held] == [journal.outcome(slot) for slot in held]


@settings(max_examples=examples(100))
@given(waits())
def test_a_tree_listens_to_nothing_but_its_slots(wait: tuple[list[Notification], list[Notification], Await]) -> None:
    before, after, tree = wait
    journal, slots = heard(*before), set(tree.slots())

    for entry in after:
        settled, held = tree.settled(journal), {slot for slot in slots if journal.notified(slot)}
        journal.hear(entry)

        if held == {slot for slot in slots if journal.notified(slot)}:
            assert tree.settled(journal) == settled


@settings(max_examples=examples(100))
@given(waits())
def test_an_answer_is_one_of_the_moments_it_was_given(
    wait: tuple[list[Notification], list[Notification], Await],
) -> None:
    before, after, tree = wait
    journal = heard(*before, *after)

    settled = tree.settled(journal)

    assert settled is None or 0 <= settled.position <= 2 * journal.heard + 1
    if settled is not None and settled.failed:
        nothing_could_succeed = {0}
        moments = {held.position for slot in tree.slots() if (held := journal.notified(slot))}
        assert settled.position in nothing_could_succeed | moments
