"""What a rule finds: a place, and what to write there instead."""

from __future__ import annotations

import ast
from typing import NamedTuple


class Mistake(NamedTuple):
    node: ast.expr | ast.stmt | ast.excepthandler
    message: str


class Diagnostic(NamedTuple):
    path: str
    line: int
    column: int
    """Counted from 1, in characters."""
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.code} {self.message}"
