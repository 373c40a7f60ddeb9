"""Findings for people. It prints, and decides nothing but the exit code."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence

from durable.audit import Finding
from durable.audit.finding import INVARIANTS
from durable.cli.command import CLEAN, FOUND

ADVICE = {
    "structure": "restore the last backup; until then, keep a copy of the file and its -wal",
    "checksum": "restore the last backup, or live with it: an engine leaves the damaged row alone, and goes on",
    "I2": "restore the last backup, or purge the invocation if it has completed",
    "I5": "restore the last backup, or kill the invocation and start it again",
    "I8": "kill the invocation that should not be first, or restore the last backup",
    "I9": "nothing will move it by itself: cancel or kill it, or restore the last backup",
    "I13": "restore the last backup, or kill the invocation and start it again",
    "I14": "it does no harm; if it is a journal, its invocation's row was lost: restore the last backup",
    "I15": "restore the last backup: no engine opens the file as it is",
    "I16": "look at the clock of the host; if it was never set back, the row is damaged: restore the last backup",
}


def findings(path: str | os.PathLike[str], found: Sequence[Finding]) -> int:
    """Each with what must be and what to do; the exit code that they mean."""
    if not found:
        print(f"{path}: no findings (SQLite {sqlite3.sqlite_version})")
        return CLEAN
    print(f"{path}: {len(found)} finding{'s' if len(found) > 1 else ''}")
    for finding in found:
        print(f"\n{finding}")
        print(f"  must be  {INVARIANTS[finding.invariant]}")
        print(f"  do       {'repair it' if finding.repairable else ADVICE[finding.invariant]}")
    return FOUND


def copied(said: str, path: str | os.PathLike[str], found: Sequence[Finding]) -> int:
    print(said)
    return findings(path, found) if found else CLEAN
