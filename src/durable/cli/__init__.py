"""``durable``, the command line: ``python -m durable`` is the same."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from durable.cli import backup, doctor, lint, restore, serve
from durable.cli.command import UNREADABLE, Command
from durable.errors import DurableError

COMMANDS: tuple[Command, ...] = (serve.COMMAND, doctor.COMMAND, backup.COMMAND, restore.COMMAND, lint.COMMAND)
"""In the order in which ``durable --help`` shows them. Each has a file of its own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return the exit code of the process."""
    given = _parser().parse_args(arguments)
    command: Command = given.command
    try:
        return command.run(given)
    except (DurableError, OSError) as error:
        print(f"durable {command.name}: {error}", file=sys.stderr)
        return UNREADABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="durable", description="Tools for databases and handlers of durable engines.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        one = commands.add_parser(
            command.name, help=command.summary, description=command.summary, epilog=command.epilog
        )
        command.add_arguments(one)
        one.set_defaults(command=command)
    return parser
