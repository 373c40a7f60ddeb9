"""Which line of the author's code is being executed."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

PACKAGE = str(Path(__file__).parent.parent) + os.sep


def current_line() -> str:
    """The nearest one that is not ours, also if it is in an installed package."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "an unknown line"
