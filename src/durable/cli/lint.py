"""``durable lint``: the usual mistakes of handlers, in the files that are named."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from durable.cli.command import CLEAN, FOUND, UNREADABLE, Command
from durable.lint import check

_SKIPPED = ("node_modules", "__pycache__")


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("path", nargs="+", type=Path, help="a file, or a directory whose .py files are read")


def _run(given: Namespace) -> int:
    paths: list[Path] = given.path
    found, unreadable = False, False
    for path in paths:
        if not path.exists():
            print(f"{path}: there is no such file", file=sys.stderr)
            unreadable = True
        for file in _files(path):
            try:
                diagnostics = check(str(file), file.read_text(encoding="utf-8-sig"))
            except (SyntaxError, ValueError, OSError, RecursionError) as error:
                print(f"{file}: cannot be read: {error}", file=sys.stderr)
                unreadable = True
                continue
            for diagnostic in diagnostics:
                print(diagnostic)
                found = True
    return UNREADABLE if unreadable else FOUND if found else CLEAN


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for file in sorted(path.rglob("*.py")):
            if not any(part.startswith(".") or part in _SKIPPED for part in file.relative_to(path).parts):
                yield file
    elif path.exists():
        yield path


COMMAND = Command(
    name="lint",
    summary="Find the usual mistakes of handlers in their source, without running them.",
    add_arguments=_arguments,
    run=_run,
    epilog="exit codes: 0 nothing found, 1 something found, 2 a file cannot be read",
)
