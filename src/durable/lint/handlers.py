"""Which code of a module is a handler's: it runs again on every attempt. The bodies of steps do not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress

from durable.lint.source import Function, Scope, Source, parameters

CONTEXTS = ("Context", "ObjectContext", "ObjectSharedContext", "WorkflowContext", "WorkflowSharedContext")

STEP_VERBS = ("run", "map_run", "wait_until")
"""Verbs that are given a name, and the function of a step."""


class HandlerCode:
    """A handler, or a function that is given a handler's ctx."""

    def __init__(self, source: Source, function: Function, ctx: str) -> None:
        self.source, self.function, self.ctx = source, function, ctx
        self.steps = [body for call in self._run_calls() for body in self._body(call)]
        """What its calls of ``ctx.run`` and the like do: functions inside it, and lambdas."""

    def walk(self) -> Iterator[ast.AST]:
        """All of it but the bodies of its steps."""
        left: list[ast.AST] = list(reversed(self.function.body))
        while left:
            node = left.pop()
            if node in self.steps:
                continue
            yield node
            left += reversed(list(ast.iter_child_nodes(node)))

    def verb(self, node: ast.AST) -> str | None:
        """``run`` for ``ctx.run(...)``."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return None
        owner = node.func.value
        return node.func.attr if isinstance(owner, ast.Name) and owner.id == self.ctx else None

    def _run_calls(self) -> Iterator[ast.Call]:
        for node in ast.walk(self.function):
            if isinstance(node, ast.Call) and self.verb(node) in STEP_VERBS:
                yield node

    def _body(self, call: ast.Call) -> Iterator[Scope]:
        for action in call.args[1:2]:
            function = action if isinstance(action, ast.Lambda) else self.source.function_named(action)
            if function is not None and (isinstance(action, ast.Lambda) or function is not self.function):
                yield function


def handler_code(source: Source) -> list[HandlerCode]:
    """Its handlers, and the functions that these hand their ctx to."""
    given = {function: ctx for function in source.functions if (ctx := _context_of(source, function))}
    left = list(given)
    while left:
        function = left.pop()
        for callee, ctx in _handed_on(source, function, given[function]):
            if callee not in given:
                given[callee] = ctx
                left.append(callee)
    return [
        HandlerCode(source, function, ctx) for function, ctx in given.items() if not _inside(source, function, given)
    ]


def _inside(source: Source, function: Function, given: dict[Function, str]) -> bool:
    """What is defined in a handler is read with it."""
    return any(scope in given for scope in source.scopes(function))


def _context_of(source: Source, function: Function) -> str | None:
    """The parameter that is a context: the second one of a handler, or the one that is annotated so."""
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    for parameter in every:
        if parameter.annotation is not None and _is_context(source, parameter.annotation):
            return parameter.arg
    return (
        every[1].arg if len(every) > 1 and any(_is_handler(source, each) for each in function.decorator_list) else None
    )


def _is_context(source: Source, annotation: ast.expr) -> bool:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        with suppress(SyntaxError):
            return _is_context(source, ast.parse(annotation.value, mode="eval").body)
    module, _, name = (source.meaning(annotation) or "").rpartition(".")
    return name in CONTEXTS and module in ("durable", "durable.context")


def _is_handler(source: Source, decorator: ast.expr) -> bool:
    named = decorator.func if isinstance(decorator, ast.Call) else decorator
    return source.meaning(named) in ("durable.handler", "durable.service.handler")


def _handed_on(source: Source, function: Function, ctx: str) -> Iterator[tuple[Function, str]]:
    for call in ast.walk(function):
        callee = source.function_called(call) if isinstance(call, ast.Call) else None
        if callee is None or not isinstance(call, ast.Call):
            continue
        names = parameters(callee)
        if names[:1] in (["self"], ["cls"]):
            names = names[1:]
        for name, argument in [*zip(names, call.args, strict=False), *((kw.arg, kw.value) for kw in call.keywords)]:
            if name and isinstance(argument, ast.Name) and argument.id == ctx:
                yield callee, name
