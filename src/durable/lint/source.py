"""A module's source: what its names mean, its functions, and which lines silence which rules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

from durable.lint.reexports import meaning_of

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = Function | ast.Lambda

_NOQA = re.compile(r"#\s*noqa(?P<codes>:\s*[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*)?", re.IGNORECASE)


class Source:
    def __init__(self, path: str, text: str) -> None:
        """:class:`SyntaxError` or :class:`ValueError` if it is no Python."""
        self.path = path
        self.lines = re.split(r"\r\n|\r|\n", text)  # as ast counts them
        self.tree = ast.parse(text, path)
        self._meanings = dict(_imported(self.tree))
        self._ours: dict[str, str | None] = {}
        self._parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self._variables: dict[Scope, set[str]] = {}
        self.functions = [node for node in ast.walk(self.tree) if isinstance(node, Function)]

    def meaning(self, node: ast.AST) -> str | None:
        """The dotted name of what was imported: ``datetime.datetime.now``, however it was spelled."""
        if isinstance(node, ast.Attribute):
            owner = self.meaning(node.value)
            return f"{owner}.{node.attr}" if owner else None
        if isinstance(node, ast.Name) and not self._hidden(node):
            return self._named(node.id)
        return None

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The class whose body the function around ``node``, or ``node`` itself, is in."""
        while (parent := self._parents.get(node)) is not None:
            if isinstance(parent, ast.ClassDef):
                return parent
            node = parent
        return None

    def function_called(self, call: ast.Call) -> Function | None:
        """The function or method of this module that ``call`` calls, if its name alone says that."""
        return self.function_named(call.func)

    def function_named(self, node: ast.AST) -> Function | None:
        if isinstance(node, ast.Name):
            return self._visible(node)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            owner = self.class_of(node)
            return None if owner is None else self._method(owner, node.attr)
        return None

    def silenced(self, line: int, code: str) -> bool:
        """Whether ``# noqa`` or ``# noqa: CODE`` is on this line."""
        found = _NOQA.search(self.lines[line - 1]) if line <= len(self.lines) else None
        return found is not None and (found["codes"] is None or code in re.findall(r"\w+", found["codes"].upper()))

    def scopes(self, node: ast.AST) -> Iterator[Scope]:
        """The functions around ``node``, innermost first."""
        while (parent := self._parents.get(node)) is not None:
            if isinstance(parent, Scope):
                yield parent
            node = parent

    def _named(self, name: str) -> str | None:
        if name not in self._ours:
            self._ours[name] = meaning_of(Path(self.path), name, self.tree)
        return self._ours[name] or self._meanings.get(name)

    def _visible(self, name: ast.Name) -> Function | None:
        around = [*self.scopes(name), self.tree]
        for function in self.functions:
            if function.name == name.id and self._parents[function] in around and not self._hidden(name):
                return function
        return None

    def _method(self, owner: ast.ClassDef, name: str) -> Function | None:
        classes = {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef)}
        for each in [owner, *(classes[base.id] for base in owner.bases if _is_one_of(base, classes))]:
            for node in each.body:
                if isinstance(node, Function) and node.name == name:
                    return node
        return None

    def _hidden(self, name: ast.Name) -> bool:
        """Whether a function around it has a variable of the name."""
        return any(name.id in self._variables_of(scope) for scope in self.scopes(name))

    def _variables_of(self, scope: Scope) -> set[str]:
        if scope not in self._variables:
            stored = (node for node in ast.walk(scope) if isinstance(node, ast.Name))
            names = {node.id for node in stored if isinstance(node.ctx, ast.Store)}
            self._variables[scope] = names.union(parameters(scope))
        return self._variables[scope]


def parameters(scope: Scope) -> list[str]:
    """In the order in which a call fills them; the named ones after that."""
    arguments = scope.args
    return [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def _is_one_of(base: ast.expr, classes: dict[str, ast.ClassDef]) -> TypeGuard[ast.Name]:
    return isinstance(base, ast.Name) and base.id in classes


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (root, root)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
    yield from ((name, f"builtins.{name}") for name in ("open", "input") if not _defines(tree, name))


def _defines(tree: ast.Module, name: str) -> bool:
    return any(isinstance(node, Function) and node.name == name for node in tree.body) or any(
        isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name for node in ast.walk(tree)
    )
