"""Names of durable that come by way of the project's own modules: these are read, and never imported."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

OURS = "durable"


def meaning_of(file: Path, name: str, tree: ast.Module) -> str | None:
    """``durable.handler``, if that is what the module ``tree`` in ``file`` has imported as ``name``."""
    return _meaning(file, name, tree, frozenset())


def _meaning(file: Path, name: str, tree: ast.Module, asked: frozenset[tuple[Path, str]]) -> str | None:
    if (file, name) in asked or len(asked) > 20:
        return None
    for node, original in _sources(tree, name):
        if not node.level and _root(node) == OURS:
            return f"{node.module}.{original}"
        for other in _files(file, node):
            found = _meaning(other, original, _parsed(other, other.stat().st_mtime_ns), asked | {(file, name)})
            if found is not None:
                return found
    return None


def _sources(tree: ast.Module, name: str) -> list[tuple[ast.ImportFrom, str]]:
    """The imports that ``name`` may come from, and what it is called there."""
    imports = _imports(tree)
    named = [(node, alias.name) for node in imports for alias in node.names if (alias.asname or alias.name) == name]
    stars = [(node, name) for node in imports if node.names[0].name == "*"]
    if not named and stars and not hasattr(builtins, name) and not _defines(tree, name):
        return stars
    return named


def _files(file: Path, node: ast.ImportFrom) -> Iterator[Path]:
    parts = (node.module or "").split(".") if node.module else []
    folders = file.absolute().parents
    if node.level:
        roots = folders[node.level - 1 : node.level]
    elif _root(node) in sys.stdlib_module_names:
        return
    else:
        roots = folders[:]
    for root in roots:
        module = root.joinpath(*parts)
        for found in (module / "__init__.py", module.parent / f"{module.name}.py"):
            if found.is_file():
                yield found
                return


def _root(node: ast.ImportFrom) -> str:
    return (node.module or "").split(".")[0]


@lru_cache(maxsize=256)
def _imports(tree: ast.Module) -> list[ast.ImportFrom]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


@lru_cache(maxsize=256)
def _parsed(file: Path, _changed_ns: int) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8-sig"))
    except (SyntaxError, ValueError, OSError, RecursionError):
        return ast.Module([], [])  # it is told of when its turn comes


def _defines(tree: ast.Module, name: str) -> bool:
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    if any(isinstance(node, definitions) and node.name == name for node in tree.body):
        return True
    return any(
        isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name for node in ast.walk(tree)
    ) or any(
        (alias.asname or alias.name.split(".")[0]) == name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    )
