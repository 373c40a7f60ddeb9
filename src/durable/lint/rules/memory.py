"""What the next attempt does not find, or finds in another order."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from durable.lint.diagnostic import Mistake
from durable.lint.handlers import HandlerCode


def memory(code: HandlerCode) -> Iterator[Mistake]:
    for node in code.walk():
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
                yield Mistake(
                    target,
                    f"self.{target.attr} is gone after a restart, and written again by a replay; "
                    "keep it in a State of a VirtualObject or a Workflow: "
                    f"`{target.attr} = State(...)`, `{code.ctx}.set(self.{target.attr}, ...)`",
                )


def unordered(code: HandlerCode) -> Iterator[Mistake]:
    for node in code.walk():
        over = node.iter if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension) else None
        if over is not None and _is_set(over):
            yield Mistake(over, f"a set has another order in another process; write `sorted({ast.unparse(over)})`")


def _is_set(over: ast.expr) -> bool:
    if isinstance(over, ast.Call) and isinstance(over.func, ast.Name):
        return over.func.id in ("set", "frozenset")
    return isinstance(over, ast.Set | ast.SetComp)
