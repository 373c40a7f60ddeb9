"""``durable doctor``: what is wrong with a database, in words, and what to do."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from durable.audit import audit
from durable.audit.repair import repair
from durable.cli.command import Command
from durable.cli.show import findings


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
    found = audit(path).findings
    code = findings(path, found)
    if any(finding.repairable for finding in found):
        print(f"\nstop the engine, and run: durable doctor {path} --repair")
    return code


def _repair(path: Path) -> int:
    repaired = repair(path)
    for finding in repaired.mended:
        print(f"mended: {finding}")
    if repaired.copy is not None:
        print(f"the database as it was: {repaired.copy}\n")
    return findings(path, repaired.left)


COMMAND = Command(
    name="doctor",
    summary="Look at every row of a database for what must never be, and say what to do about it.",
    add_arguments=_arguments,
    run=_run,
    epilog="exit codes: 0 nothing found, 1 something found, 2 the file cannot be read, or an engine is running on it",
)
