"""What is handed to ``ctx.run``."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from durable.lint.diagnostic import Mistake
from durable.lint.handlers import STEP_VERBS, HandlerCode

_KNOWN = ("invocation_id", "headers", "identity", "key")
"""What a context says without asking its journal."""


def context_in_step(code: HandlerCode) -> Iterator[Mistake]:
    for step in code.steps:
        if code.function not in code.source.scopes(step):
            continue  # its ctx is another one
        for node in ast.walk(step):
            if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
                continue
            if node.value.id == code.ctx and node.attr not in _KNOWN:
                yield Mistake(
                    node,
                    f"{code.ctx}.{node.attr} is used inside a step, which does not run again on replay; "
                    "use it before or after, and give the step what it needs as an argument",
                )


def called_step(code: HandlerCode) -> Iterator[Mistake]:
    for node in code.walk():
        if not isinstance(node, ast.Call) or code.verb(node) not in STEP_VERBS:
            continue
        for action in node.args[1:2]:
            if isinstance(action, ast.Call) and _is_done(code, action):
                name = ast.unparse(action.func)
                yield Mistake(
                    action,
                    f"{name}() is called before the step begins; hand it over uncalled, with its arguments: "
                    f"`{code.ctx}.{code.verb(node)}(name, {name}, ...)`",
                )


def _is_done(code: HandlerCode, action: ast.Call) -> bool:
    """A call that makes a function, like ``partial``, is none."""
    if isinstance(code.source.function_called(action), ast.AsyncFunctionDef):
        return True
    # self.gateway.charge(...): what a handler stands on is seldom a factory of functions.
    named = action.func
    while isinstance(named, ast.Attribute):
        named = named.value
    return isinstance(named, ast.Name) and named.id == "self" and code.source.function_called(action) is None
