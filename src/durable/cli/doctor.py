"""``durable doctor``: what is wrong with a database, in words, and what to do."""

from __future__ import annotations

import sqlite3
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from durable.audit import Finding, audit
from durable.audit.finding import INVARIANTS
from durable.audit.repair import repair
from durable.cli.command import CLEAN, FOUND, Command

_ADVICE = {
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


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the database; an engine may be running on it")
    parser.add_argument(
        "--repair",
        action="store_true",
        help="mend what follows from rows that are intact, after a copy of the file; no engine may be running",
    )


def _run(given: Namespace) -> int:
    path: Path = given.file
    if given.repair:
        return _repair(path)
    findings = audit(path).findings
    _show(path, findings)
    if any(finding.repairable for finding in findings):
        print(f"\nstop the engine, and run: durable doctor {path} --repair")
    return FOUND if findings else CLEAN


def _repair(path: Path) -> int:
    repaired = repair(path)
    for finding in repaired.mended:
        print(f"mended: {finding}")
    if repaired.copy is not None:
        print(f"the database as it was: {repaired.copy}\n")
    _show(path, repaired.left)
    return FOUND if repaired.left else CLEAN


def _show(path: Path, findings: Sequence[Finding]) -> None:
    if not findings:
        print(f"{path}: no findings (SQLite {sqlite3.sqlite_version})")
        return
    print(f"{path}: {len(findings)} finding{'s' if len(findings) > 1 else ''}")
    for finding in findings:
        print(f"\n{finding}")
        print(f"  must be  {INVARIANTS[finding.invariant]}")
        print(f"  do       {'repair it' if finding.repairable else _ADVICE[finding.invariant]}")


COMMAND = Command(
    name="doctor",
    summary="Look at every row of a database for what must never be, and say what to do about it.",
    add_arguments=_arguments,
    run=_run,
    epilog="exit codes: 0 nothing found, 1 something found, 2 the file cannot be read, or an engine is running on it",
)
