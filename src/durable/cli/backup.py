"""``durable backup``: a verified copy, also of a database that is in use."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from durable.backup import backup
from durable.cli.command import Command
from durable.cli.show import copied


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the database; an engine may be running on it")
    parser.add_argument("target", metavar="TARGET", help="the backup: one file, which must not exist")


def _run(given: Namespace) -> int:
    return copied(f"backup of {given.file}: {given.target}", given.target, backup(given.file, given.target).findings)


COMMAND = Command(
    name="backup",
    summary="Copy a database as it is at one moment, beside a running engine, and verify the copy.",
    add_arguments=_arguments,
    run=_run,
    epilog="exit codes: 0 done, 1 done, but there are findings in it, 2 there is no backup",
)
