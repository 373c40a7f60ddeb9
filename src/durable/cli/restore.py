"""``durable restore``: a backup becomes a database again."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from durable.backup import restore
from durable.cli.command import Command
from durable.cli.show import copied


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("backup", metavar="BACKUP", help="what durable backup made")
    parser.add_argument("file", metavar="FILE", help="the database to make, which must not exist")


def _run(given: Namespace) -> int:
    said = f"restored {given.backup}: {given.file}; what was done after the backup is not in it, and may be done again"
    return copied(said, given.file, restore(given.backup, given.file).findings)


COMMAND = Command(
    name="restore",
    summary="Make a database of a backup, which knows that it was restored.",
    add_arguments=_arguments,
    run=_run,
    epilog="exit codes: 0 done, 1 done, but there are findings in it, 2 nothing was restored",
)
