"""The rules, by their codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from durable.lint.diagnostic import Diagnostic, Mistake
from durable.lint.handlers import HandlerCode, handler_code
from durable.lint.rules.memory import memory, unordered
from durable.lint.rules.steps import called_step, context_in_step
from durable.lint.rules.swallowed import swallowed
from durable.lint.rules.unawaited import unawaited
from durable.lint.rules.undurable import chance, clock, tasks, waiting, world
from durable.lint.source import Source

Rule = Callable[[HandlerCode], Iterator[Mistake]]

RULES: Mapping[str, Rule] = {
    "DUR001": clock,
    "DUR002": chance,
    "DUR003": waiting,
    "DUR004": tasks,
    "DUR005": world,
    "DUR006": unawaited,
    "DUR007": swallowed,
    "DUR008": context_in_step,
    "DUR009": called_step,
    "DUR010": memory,
    "DUR011": unordered,
}


def check(path: str, text: str) -> list[Diagnostic]:
    """What is wrong with a module, in the order of its lines; :class:`SyntaxError` if it is no Python."""
    source = Source(path, text)
    diagnostics = {
        Diagnostic(path, mistake.node.lineno, _column(source, mistake), code, mistake.message)
        for each in handler_code(source)
        for code, rule in RULES.items()
        for mistake in rule(each)
        if not source.silenced(mistake.node.lineno, code)
    }
    return sorted(diagnostics)


def _column(source: Source, mistake: Mistake) -> int:
    line = source.lines[mistake.node.lineno - 1].encode()
    return len(line[: mistake.node.col_offset].decode()) + 1
