"""The walk through a journal: what is replayed, what is recorded, what diverges."""

import re

import pytest

from durable.core.awaits import Settled
from durable.core.entries import Completed, Entry, GetState, Run, SetState, Signalled, Sleep
from durable.core.ids import CANCEL
from durable.core.journal import Divergence, Journal, named_slot
from durable.core.outcome import Failure, Success

CHARGE, REFUND = Run(1, "charge"), Run(2, "refund")
OK, NO = Success(b"1"), Failure(402, "declined")


def test_a_command_behind_the_end_is_recorded() -> None:
    journal = Journal([])

    issued = journal.issue(CHARGE)

    assert issued is CHARGE
    assert journal.staged == [CHARGE]
    assert not journal.replaying


def test_a_recorded_command_is_replayed_and_not_staged() -> None:
    journal = Journal([CHARGE])
    assert journal.replaying

    issued = journal.issue(Run(1, "charge"))

    assert issued is CHARGE
    assert journal.staged == []
    assert not journal.replaying


def test_the_command_that_a_replay_must_issue_next_is_known_before() -> None:
    journal = Journal([CHARGE])
    before = journal.upcoming

    journal.issue(CHARGE)

    assert (before, journal.upcoming) == (CHARGE, None)


def test_the_recorded_copy_counts_where_a_command_may_differ() -> None:
    journal = Journal([GetState("items", b"2", 0), Sleep(1, 5_000)])

    assert journal.issue(GetState("items", None, 7)).value == b"2"
    assert journal.issue(Sleep(1, 9_000)).due_ms == 5_000


def test_notifications_do_not_stand_between_commands() -> None:
    journal = Journal([CHARGE, Completed(1, OK), Signalled(17, OK), REFUND])

    journal.issue(CHARGE)
    journal.issue(REFUND)

    assert not journal.replaying


def test_another_command_diverges_and_shows_both_sides() -> None:
    journal = Journal([CHARGE, Completed(1, OK), REFUND])
    journal.issue(CHARGE)

    with pytest.raises(Divergence) as raised:
        journal.issue(SetState("paid", b"1"))

    assert (raised.value.index, raised.value.recorded) == (3, REFUND)
    assert str(raised.value) == (
        "replay diverged at journal entry 3:\n"
        "  recorded  Run(completion=2, name='refund')\n"
        "  issued    SetState(name='paid', value=b'1')"
    )


def test_where_a_long_input_differs_is_shown() -> None:
    before, after = (SetState("cart", b"x" * 300 + number + b"y" * 300) for number in (b"12", b"5"))

    with pytest.raises(Divergence) as raised:
        Journal([before]).issue(after)

    was, now = b"x" * 20 + b"12" + b"y" * 18, b"x" * 20 + b"5" + b"y" * 19
    assert str(raised.value).splitlines()[-1] == f"  differs   in value from byte 300 on: {was!r}, now {now!r}"


def test_another_name_diverges() -> None:
    journal = Journal([CHARGE])

    with pytest.raises(Divergence, match=re.escape("issued    Run(completion=1, name='refund')")):
        journal.issue(Run(1, "refund"))


def test_an_end_before_the_last_recorded_command_diverges() -> None:
    journal = Journal([CHARGE, REFUND])
    journal.issue(CHARGE)

    with pytest.raises(Divergence, match="issued    nothing: the handler ended here"):
        journal.finish()


def test_an_end_behind_the_last_command_is_fine() -> None:
    journal = Journal([CHARGE])
    journal.issue(CHARGE)
    journal.issue(REFUND)

    journal.finish()

    assert journal.staged == [REFUND]


def test_a_divergence_that_records_nothing_says_so() -> None:
    assert "recorded  nothing more" in str(Divergence(1, None, CHARGE))


def test_completion_ids_count_from_1_and_awakeables_from_17() -> None:
    journal = Journal([CHARGE])

    assert [journal.next_completion(), journal.next_completion()] == [1, 2]
    assert [journal.next_awakeable(), journal.next_awakeable()] == [17, 18]


def test_the_nth_notification_has_position_2n() -> None:
    journal = Journal([CHARGE, Completed(1, OK), REFUND, Completed(2, NO)])

    assert journal.notified(1) == Settled(2, failed=False)
    assert journal.notified(2) == Settled(4, failed=True)
    assert journal.notified(3) is None
    assert journal.heard == 2


def test_an_outcome_is_kept_as_it_came() -> None:
    journal = Journal([])

    journal.hear(Completed(1, NO))

    assert journal.outcome(1) is NO


def test_the_first_answer_to_a_slot_counts() -> None:
    journal = Journal([Completed(1, OK), Completed(1, NO)])

    assert (journal.notified(1), journal.outcome(1)) == (Settled(2, failed=False), OK)
    assert journal.heard == 2


def test_an_awakeable_is_heard_in_the_slot_of_its_negative_index() -> None:
    journal = Journal([Signalled(17, OK)])

    assert journal.notified(-17) == Settled(2, failed=False)
    assert journal.notified(17) is None


def test_named_signals_of_one_name_are_heard_one_after_the_other() -> None:
    journal = Journal([Signalled("go", OK), Signalled("stop", OK), Signalled("go", NO)])

    assert journal.outcome(named_slot("go", 1)) is OK
    assert journal.outcome(named_slot("go", 2)) is NO
    assert journal.notified(named_slot("stop", 1)) == Settled(4, failed=False)


def test_cancellations_settle_nothing_and_are_counted() -> None:
    journal = Journal([Signalled(CANCEL, Success()), Completed(1, OK), Signalled(CANCEL, Success())])

    assert journal.cancels == [2, 6]
    assert journal.notified(-CANCEL) is None


def test_replaying_a_journal_hears_what_was_heard_the_first_time() -> None:
    first = Journal([])
    entries: list[Entry] = [first.issue(CHARGE), Completed(1, OK), Signalled("go", NO)]
    for entry in entries[1:]:
        assert isinstance(entry, Completed | Signalled)
        first.hear(entry)

    again = Journal(entries)

    slots = (1, named_slot("go", 1), 2)
    assert [again.notified(slot) for slot in slots] == [first.notified(slot) for slot in slots]
