"""Mistakes that can be read off the source: ``python -m durable.lint PATH``. It imports none of what it reads."""

from durable.lint.command import add_arguments, main, run
from durable.lint.finding import Finding
from durable.lint.rules import RULES, check

__all__ = ["RULES", "Finding", "add_arguments", "check", "main", "run"]
