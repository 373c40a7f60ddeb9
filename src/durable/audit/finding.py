"""What an audit says. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec

from durable.core.invocation import Commit

INVARIANTS = {
    "structure": "the file is a sound SQLite database, with the tables and indexes of its schema version",
    "checksum": "every row is what was written",
    "I2": "an invocation has one outcome if it is completed, and none before",
    "I5": "a journal has no gap, and at most one answer to each command",
    "I8": "one invocation holds a key, and the others stand in line behind it",
    "I9": "whatever has not completed has a live reason to move",
    "I13": "every invocation is either under way or completed, and is found by the index that moves it",
    "I14": "no row outlives the invocation that it belongs to",
    "I15": "the epoch and the secret of the database are whole",
    "I16": "time does not run backwards",
}
"""By the name that a finding bears."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that is not as it must be."""

    invariant: str
    """A key of ``INVARIANTS``."""
    subject: str
    """The id of an invocation, or which key, row or table."""
    explanation: str
    repairable: bool = False
    """Whether ``durable doctor --repair`` mends it: only what follows from other rows that are intact."""

    def __str__(self) -> str:
        return f"{self.invariant} {self.subject}: {self.explanation}"


class Audit(msgspec.Struct, frozen=True):
    """All that was found at one time."""

    at: datetime
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        return not self.findings


class Reindex(msgspec.Struct, frozen=True):
    """Make an index anew from its table."""

    name: str


Remedy = Commit | Reindex


class Found(NamedTuple):
    """A finding, and what mends it."""

    finding: Finding
    remedy: Remedy | None = None


def found(invariant: str, subject: str, explanation: str, remedy: Remedy | None = None) -> Found:
    return Found(Finding(invariant, _shown(subject), _shown(explanation), remedy is not None), remedy)


def _shown(text: str) -> str:
    """Damaged text is read as it is, and can neither be printed nor sent so."""
    return text.encode("utf-8", "backslashreplace").decode()
