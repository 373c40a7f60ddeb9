"""Whom an engine tells that it has stopped by itself: whoever serves it and can end the process, or nobody."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

on_engine_stop: ContextVar[Callable[[BaseException], None] | None] = ContextVar("on_engine_stop", default=None)
"""Of the context in which an engine is opened: whoever uses one inside a program of their own keeps their process."""
