"""Handlers of which one call runs at a time, or only the last of a burst: as people write it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Literal, get_args

import msgspec

from durable.sizes import LONGEST_TIME

_LINE = re.compile(r"[\x21-\x7e]{1,200}")


class Debounce(msgspec.Struct, frozen=True):
    """A call waits for ``window``; a later one within that time takes its place, and waits anew.

    However many come, one runs ``longest`` after the first of them.
    """

    window: timedelta
    longest: timedelta | None = None

    def __post_init__(self) -> None:
        for name in ("window", "longest"):
            duration: object = getattr(self, name)
            if duration is None and name == "longest":
                continue
            if not isinstance(duration, timedelta):
                raise TypeError(f"{name} is a timedelta, got {duration!r}; write Debounce(timedelta(seconds=5))")
            if not timedelta(0) < duration <= LONGEST_TIME:
                raise ValueError(f"{name} is longer than zero, and at most ten years, got {duration}")
        if self.longest is not None and self.longest < self.window:
            raise ValueError(f"longest ({self.longest}) is shorter than window ({self.window}): it would never be over")


Singleton = Literal["skip", "queue", "cancel"]
"""What a call does while another one is under way: nothing; wait for it; or cancel it, and run when it has ended."""


def check_single(singleton: object, debounce: object) -> None:
    if singleton is not None and singleton not in get_args(Singleton):
        raise ValueError(f"singleton is one of {', '.join(get_args(Singleton))}, got {singleton!r}")
    if debounce is not None and not isinstance(debounce, Debounce):
        raise TypeError(f"debounce is a Debounce, got {debounce!r}; write Debounce(timedelta(seconds=5))")
    if singleton is not None and debounce is not None:
        raise ValueError("a handler is a singleton, or debounced, not both: what is debounced runs one at a time")


def check_line(key: object) -> str:
    if not isinstance(key, str) or not _LINE.fullmatch(key):
        raise ValueError(f"a singleton key is 1 to 200 visible ASCII characters, got {key!r}")
    return key
