"""The end of an attempt is a ``BaseException``, thrown into its awaits: it has to get out."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from durable.lint.diagnostic import Mistake
from durable.lint.handlers import HandlerCode

_EVERYTHING = ("BaseException", "builtins.BaseException")


def swallowed(code: HandlerCode) -> Iterator[Mistake]:
    for node in code.walk():
        if isinstance(node, ast.ExceptHandler) and _catches_all(code, node.type) and not _raises(node):
            caught = "except BaseException" if node.type else "a bare except"
            yield Mistake(
                node,
                f"{caught} swallows the end of the attempt; write `except TerminalError` or `except Exception`, "
                "or end it with `raise`",
            )
        elif isinstance(node, ast.Call) and _suppresses_all(code, node):
            yield Mistake(node, "suppress(BaseException) swallows the end of the attempt; name what is expected")


def _suppresses_all(code: HandlerCode, call: ast.Call) -> bool:
    named = code.source.meaning(call.func) == "contextlib.suppress"
    return named and any(_is_everything(code, argument) for argument in call.args)


def _catches_all(code: HandlerCode, caught: ast.expr | None) -> bool:
    every = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(each is None or _is_everything(code, each) for each in every)


def _is_everything(code: HandlerCode, caught: ast.expr) -> bool:
    return (code.source.meaning(caught) or ast.unparse(caught)) in _EVERYTHING


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for node in ast.walk(handler))
