"""I5: what a journal may hold. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from durable.audit.finding import Found, found
from durable.core.entries import Completed, Entry, Question, Signalled
from durable.core.ids import CANCEL


def journal(subject: str, entries: list[Entry]) -> Iterator[Found]:
    """Answers that no command asked for, and second ones."""
    asked, answered = set[int](), set[int]()
    for index, entry in enumerate(entries, 1):  # entry 0 is the input
        if isinstance(entry, Question):
            if entry.completion in asked:
                yield found("I5", subject, f"journal entry {index} asks under completion {entry.completion} again")
            asked.add(entry.completion)
        slot = _slot(entry)
        if slot is None:
            continue
        if slot > 0 and slot not in asked:
            yield found("I5", subject, f"journal entry {index} answers completion {slot}, which nothing before it asks")
        if slot in answered:
            what = f"completion {slot}" if slot > 0 else f"signal {-slot}"
            yield found("I5", subject, f"journal entry {index} is a second answer to {what}")
        answered.add(slot)


def _slot(entry: Entry) -> int | None:
    if isinstance(entry, Completed):
        return entry.completion
    if isinstance(entry, Signalled) and isinstance(entry.signal, int) and entry.signal != CANCEL:
        return -entry.signal
    return None
