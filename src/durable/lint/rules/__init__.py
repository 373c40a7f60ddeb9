"""The rules, by their codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from durable.lint.finding import Fault, Finding
from durable.lint.handlers import HandlerCode, handler_code
from durable.lint.rules.memory import memory, unordered
from durable.lint.rules.steps import called_step, context_in_step
from durable.lint.rules.swallowed import swallowed
from durable.lint.rules.unawaited import unawaited
from durable.lint.rules.undurable import chance, clock, tasks, waiting, world
from durable.lint.source import Source

Rule = Callable[[HandlerCode], Iterator[Fault]]

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


def check(path: str, text: str) -> list[Finding]:
    """What is wrong with a module, in the order of its lines; :class:`SyntaxError` if it is no Python."""
    source = Source(path, text)
    findings = {
        Finding(path, fault.node.lineno, _column(source, fault), code, fault.message)
        for each in handler_code(source)
        for code, rule in RULES.items()
        for fault in rule(each)
        if not source.silenced(fault.node.lineno, code)
    }
    return sorted(findings)


def _column(source: Source, fault: Fault) -> int:
    line = source.lines[fault.node.lineno - 1].encode()
    return len(line[: fault.node.col_offset].decode()) + 1
