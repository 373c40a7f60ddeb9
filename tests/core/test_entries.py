"""Commands that match, and entries as bytes."""

from typing import get_args

import pytest

from durable.core.entries import (
    Call,
    Command,
    Entry,
    GetState,
    GetStateKeys,
    Now,
    Run,
    Send,
    SetState,
    Sleep,
    Target,
    decode_entries,
    encode_entries,
)
from tests.core.bench import ADD, MAIL, id_of
from tests.store.samples import ENTRIES


@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_an_entry_is_read_as_it_was_written(entry: Entry) -> None:
    assert decode_entries(encode_entries([entry, entry])) == [entry, entry]


def test_no_two_entries_share_a_tag() -> None:
    tags = [entry.__struct_config__.tag for entry in get_args(Entry)]

    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize("command", [entry for entry in ENTRIES if isinstance(entry, Command)], ids=str)
def test_a_command_matches_itself(command: Command) -> None:
    assert command.matches(command)


@pytest.mark.parametrize(
    ("recorded", "issued"),
    [
        (Sleep(1, 5_000), Sleep(1, 9_000)),
        (Call(1, MAIL, b"", {}, None, id_of(1)), Call(1, MAIL, b"", {}, None, id_of(2))),
        (Send(MAIL, b"", {}, None, id_of(1), 5_000), Send(MAIL, b"", {}, None, id_of(2), 9_000)),
        (GetState("items", b"1", 0), GetState("items", None, 3)),
        (GetStateKeys(["items"], 0), GetStateKeys([], 3)),
        (Now(1_000, 0), Now(2_000, 3)),
    ],
    ids=lambda command: type(command).__name__,
)
def test_what_the_engine_chose_may_differ(recorded: Command, issued: Command) -> None:
    assert recorded.matches(issued)


@pytest.mark.parametrize(
    ("recorded", "issued"),
    [
        (Run(1, "charge"), Run(1, "refund")),
        (Run(1, "charge"), Run(2, "charge")),
        (Run(1, "charge"), Sleep(1, 5_000)),
        (SetState("items", b"1"), SetState("items", b"2")),
        (Call(1, MAIL, b"", {}, None, id_of(1)), Call(1, ADD, b"", {}, None, id_of(1))),
        (Call(1, MAIL, b"", {}, None, id_of(1)), Call(1, MAIL, b"", {}, "once", id_of(1))),
        (Call(1, MAIL, b"", {"a": "1"}, None, id_of(1)), Call(1, MAIL, b"", {"a": "2"}, None, id_of(1))),
        (GetState("items", b"1", 0), GetState("total", b"1", 0)),
    ],
    ids=str,
)
def test_what_the_handler_asked_for_may_not_differ(recorded: Command, issued: Command) -> None:
    assert not recorded.matches(issued)


def test_a_command_shows_what_the_handler_chose() -> None:
    assert str(Run(1, "charge")) == "Run(completion=1, name='charge')"
    assert str(Sleep(2, 5_000)) == "Sleep(completion=2)"


def test_a_command_shows_its_target_as_a_path() -> None:
    command = Call(1, ADD, b"2", {}, None, id_of(1))

    assert str(command) == (
        "Call(completion=1, target=Cart/mary/add, payload=b'2', headers={}, idempotency_key=None, attach=False, "
        "limit_key=None, priority=0)"
    )


def test_a_target_without_a_key_is_a_shorter_path() -> None:
    assert str(Target("Mail", "send")) == "Mail/send"
    assert str(Target("Cart", "add", "")) == "Cart//add"


def test_a_long_value_is_shown_cut_off() -> None:
    shown = str(SetState("items", b"x" * 1_000))

    assert len(shown) < 300
    assert "... (1003 characters)" in shown
