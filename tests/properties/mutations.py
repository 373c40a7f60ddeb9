"""Another journal than a handler wrote: one of its commands is changed, moved, left out, or there twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from durable.core.entries import ClearAllState, ClearState, Command, Entry, GetState, Now, Run, SetState, Sleep, Target
from durable.core.outcome import Failure, Success

T = TypeVar("T")

Journal = Sequence[Entry]
Edit = Mapping[int, Sequence[Any]]
"""What is at a place instead of the entry that was."""

_OTHERS: list[Command] = [ClearAllState(), ClearState("other"), GetState("other", None, 0), Now(0, 0)]
_OTHERS += [Run(1, "other"), SetState("other", b""), Sleep(1, 0)]

_VARYING = {
    "Sleep": {"due_ms"},
    "Call": {"invocation_id"},
    "Send": {"invocation_id", "due_ms"},
    "GetState": {"value", "seen"},
    "GetStateKeys": {"names", "seen"},
    "Now": {"now_ms", "seen"},
    "Control": {"new_id"},
}
"""What a replay may have otherwise: it belongs to the clock, to chance, or to what others did. The journal counts."""


def one_of(each: Sequence[T]) -> st.SearchStrategy[T]:
    """As ``sampled_from`` does, which looks at all of them first."""
    return st.integers(0, len(each) - 1).map(each.__getitem__)


@st.composite
def mutations(draw: st.DrawFn, journal: Journal) -> list[Entry]:
    """Never one that its handler could have written too."""
    ways = [edits for way in _WAYS if (edits := list(way(journal)))]
    edit = draw(one_of(draw(one_of(ways))))
    return [each for n, entry in enumerate(journal) for each in edit.get(n, (entry,))]


def first_difference(journal: Journal, mutated: Journal) -> tuple[int, bool]:
    """The entry of ``mutated`` that the handler does not ask for, and whether it has ended before."""
    wanted = [entry for _, entry in _commands(journal)]
    there = list(_commands(mutated))
    for (n, entry), issued in zip(there, wanted, strict=False):
        if not _same(entry, issued):
            return n + 1, False
    n, _ = there[len(wanted)]
    return n + 1, True


def _commands(journal: Journal) -> Iterator[tuple[int, Command]]:
    return ((n, entry) for n, entry in enumerate(journal) if isinstance(entry, Command))


def _fields(command: Command) -> list[str]:
    return [name for name in command.__struct_fields__ if name not in _VARYING.get(type(command).__name__, ())]


def _same(one: Command, other: Command) -> bool:
    """Whether a handler asks for the same with both."""
    return type(one) is type(other) and all(getattr(one, name) == getattr(other, name) for name in _fields(one))


def _changed(journal: Journal) -> Iterator[Edit]:
    for n, command in _commands(journal):
        for field in _fields(command):
            for value in _other_values(getattr(command, field)):
                yield {n: (msgspec.structs.replace(command, **{field: value}),)}


def _other_values(value: Any) -> list[Any]:
    return ["other"] if value is None else _OTHER_VALUES[type(value)](value)


_OTHER_VALUES: Mapping[type, Callable[[Any], list[Any]]] = {
    bool: lambda value: [not value],
    int: lambda value: [value + 1],
    str: lambda value: [f"{value}?"],
    bytes: lambda value: [value + b"?"],
    dict: lambda value: [{**value, "other": "header"}],
    Target: lambda value: [
        msgspec.structs.replace(value, **{name: f"{getattr(value, name)}?"}) for name in ("service", "handler", "key")
    ],
    Success: lambda value: [Success(b"?"), Failure(500, "no")],
    Failure: lambda value: [Success(), msgspec.structs.replace(value, message="other")],
}


def _of_another_kind(journal: Journal) -> Iterator[Edit]:
    for n, command in _commands(journal):
        yield from ({n: (other,)} for other in _OTHERS if type(other) is not type(command))


def _moved(journal: Journal) -> Iterator[Edit]:
    """Two commands have changed places; not two that are the same."""
    for (a, one), (b, other) in combinations(_commands(journal), 2):
        if not _same(one, other):
            yield {a: (other,), b: (one,)}


def _left_out(journal: Journal) -> Iterator[Edit]:
    """Not if the others are a beginning, for then the handler just has not come that far."""
    commands = list(_commands(journal))
    for place, (n, _) in enumerate(commands):
        pairs = zip(commands[place + 1 :], commands[place:], strict=False)
        if any(not _same(one, other) for (_, one), (_, other) in pairs):
            yield {n: ()}


def _twice(journal: Journal) -> Iterator[Edit]:
    return ({n: (command, command)} for n, command in _commands(journal))


def _more(journal: Journal) -> Iterator[Edit]:
    return ({n: (command, other)} for n, command in _commands(journal) for other in _OTHERS)


_WAYS = (_changed, _of_another_kind, _moved, _left_out, _twice, _more)
