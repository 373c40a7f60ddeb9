"""Mistakes that can be read off the source, for ``durable lint``. It imports none of what it reads."""

from durable.lint.diagnostic import Diagnostic
from durable.lint.rules import RULES, check

__all__ = ["RULES", "Diagnostic", "check"]
