"""The replay state machine. No clock, no disk, no awaiting.

A journal is one ordered list of commands and notifications. A handler walks its commands from the top: each one that
it issues is either *replayed* (the journal already holds it) or *recorded* (it is new, and staged to be committed).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeVar

from durable.core.awaits import Settled
from durable.core.entries import AnyCommand, Command, Completed, Entry, Signalled
from durable.core.ids import CANCEL, FIRST_AWAKEABLE
from durable.core.outcome import Failure, Outcome

C = TypeVar("C", bound=AnyCommand)


class Divergence(Exception):
    """The handler issued another command than the one its journal records next, or none where it records one."""

    def __init__(self, index: int, recorded: Command | None, issued: Command | None) -> None:
        super().__init__(
            f"replay diverged at journal entry {index}:\n"
            f"  recorded  {recorded or 'nothing more'}\n"
            f"  issued    {issued or 'nothing: the handler ended here'}"
            f"{_difference(recorded, issued)}"
        )
        self.index, self.recorded, self.issued = index, recorded, issued


def _difference(recorded: Command | None, issued: Command | None) -> str:
    if recorded is None or issued is None or type(recorded) is not type(issued):
        return ""
    return f"\n  differs   in {recorded.difference(issued)}"


class Journal:
    """One attempt's walk through the journal of its invocation."""

    __slots__ = ("_commands", "_cursor", "_heard", "_named", "_settled", "_signals", "cancels", "completions", "staged")

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._commands: list[tuple[int, AnyCommand]] = []
        self._cursor = 0
        self._heard = 0
        self._settled: dict[int | str, tuple[Settled, Outcome]] = {}
        self._named: defaultdict[str, int] = defaultdict(int)
        self._signals = FIRST_AWAKEABLE - 1
        self.completions = 0
        """The last completion id that the handler was given."""
        self.cancels: list[int] = []
        """Positions of the cancellations, in order."""
        self.staged: list[AnyCommand] = []
        """Recorded, and not decided yet."""
        for index, entry in enumerate(entries, 1):  # entry 0 is the input
            if isinstance(entry, Completed | Signalled):
                self.hear(entry)
            else:
                self._commands.append((index, entry))

    @property
    def replaying(self) -> bool:
        return self._cursor < len(self._commands)

    @property
    def upcoming(self) -> AnyCommand | None:
        """The command that a replay must issue next."""
        return self._commands[self._cursor][1] if self.replaying else None

    @property
    def heard(self) -> int:
        """How many notifications have arrived."""
        return self._heard

    def next_completion(self) -> int:
        self.completions += 1
        return self.completions

    def next_awakeable(self) -> int:
        self._signals += 1
        return self._signals

    def issue(self, command: C) -> C:
        """Replay or record ``command``: the journal's copy of it, or itself if it is new."""
        if not self.replaying:
            self.staged.append(command)
            return command
        index, recorded = self._commands[self._cursor]
        if not isinstance(recorded, type(command)) or not recorded.matches(command):
            raise Divergence(index, recorded, command)
        self._cursor += 1
        return recorded

    def finish(self) -> None:
        """The handler ended: it must have issued all that the journal records."""
        if self.replaying:
            raise Divergence(*self._commands[self._cursor], None)

    def hear(self, entry: Completed | Signalled) -> None:
        """Take in a notification. The first for a slot counts."""
        self._heard += 1
        if isinstance(entry, Completed):
            slot: int | str = entry.completion
        elif entry.signal == CANCEL:
            self.cancels.append(2 * self._heard)
            return
        else:
            slot = self._signal_slot(entry.signal)
        settled = Settled(2 * self._heard, failed=isinstance(entry.outcome, Failure))
        self._settled.setdefault(slot, (settled, entry.outcome))

    def notified(self, slot: int | str) -> Settled | None:
        held = self._settled.get(slot)
        return held[0] if held else None

    def outcome(self, slot: int | str) -> Outcome:
        return self._settled[slot][1]

    def _signal_slot(self, signal: int | str) -> int | str:
        if isinstance(signal, int):
            return -signal
        self._named[signal] += 1
        return named_slot(signal, self._named[signal])


def named_slot(name: str, occurrence: int) -> str:
    """The slot of the n-th signal of a name, from 1."""
    return f"{name}\0{occurrence}"
