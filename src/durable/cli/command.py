"""What a subcommand is."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Final

import msgspec

CLEAN: Final = 0
FOUND: Final = 1
"""It worked, and what it found wants a person."""
UNREADABLE: Final = 2
"""It could not do what was asked. argparse exits so too."""


class Command(msgspec.Struct, frozen=True):
    name: str
    summary: str
    """Also its help."""
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]
    """What was parsed, to an exit code; a ``DurableError`` or ``OSError`` is shown, and is the exit code 2."""
    epilog: str | None = None
