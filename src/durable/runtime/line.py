"""Which line of the author's code is being executed."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

PACKAGE = str(Path(__file__).parent.parent) + os.sep


def current_line() -> str:
    """The nearest one that is not ours, also if it is in an installed package."""
    others = (frame for frame in outward(inspect.currentframe()) if not is_ours(frame))
    return line_of(next(others, None))


def outward(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame, its caller, and so on."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(PACKAGE)


def line_of(frame: FrameType | None) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "an unknown line"
