"""A result that nobody waits for."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from durable.lint.diagnostic import Mistake
from durable.lint.handlers import HandlerCode

_WAITED = (
    "run",
    "map",
    "map_run",
    "wait_until",
    "call",
    "sleep",
    "now",
    "get",
    "state_keys",
    "attach",
    "output",
    "signal",
    "awakeable",
)
_COMBINATORS = tuple(f"durable.{name}" for name in ("gather", "select", "first_success", "settled", "wait"))


def unawaited(code: HandlerCode) -> Iterator[Mistake]:
    for node in code.walk():
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
            continue
        call, verb = node.value, code.verb(node.value)
        if verb == "call":
            says = f"{code.ctx}.call() is not awaited; write `await {code.ctx}.call(...)`, or `{code.ctx}.send(...)`"
            yield Mistake(call, f"{says} not to wait")
        elif verb in _WAITED:
            yield Mistake(call, f"{code.ctx}.{verb}() is not awaited; write `await {code.ctx}.{verb}(...)`")
        elif (name := code.source.meaning(call.func)) in _COMBINATORS:
            yield Mistake(call, f"{name}() is not awaited; write `await {ast.unparse(call.func)}(...)`")
        elif isinstance(code.source.function_called(call), ast.AsyncFunctionDef):
            name = ast.unparse(call.func)
            yield Mistake(call, f"the coroutine {name}() is not awaited, and never runs; write `await {name}(...)`")
