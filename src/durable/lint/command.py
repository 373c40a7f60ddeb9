"""The command line: which files are read, and what is printed about them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from durable.lint.rules import check

_SKIPPED = ("node_modules", "__pycache__")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="+", type=Path, help="a file, or a directory whose .py files are read")


def run(arguments: argparse.Namespace) -> int:
    """Print what is found. The exit status: 1 if that is anything, 2 if a file cannot be read, else 0."""
    paths: list[Path] = arguments.path
    found, unreadable = False, False
    for path in paths:
        if not path.exists():
            print(f"{path}: there is no such file", file=sys.stderr)
            unreadable = True
        for file in _files(path):
            try:
                findings = check(str(file), file.read_text(encoding="utf-8-sig"))
            except (SyntaxError, ValueError, OSError, RecursionError) as error:
                print(f"{file}: cannot be read: {error}", file=sys.stderr)
                unreadable = True
                continue
            for finding in findings:
                print(finding)
                found = True
    return 2 if unreadable else int(found)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="durable lint", description="Find mistakes in handlers, without running them."
    )
    add_arguments(parser)
    return run(parser.parse_args(argv))


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for file in sorted(path.rglob("*.py")):
            if not any(part.startswith(".") or part in _SKIPPED for part in file.relative_to(path).parts):
                yield file
    elif path.exists():
        yield path
