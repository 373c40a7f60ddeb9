"""Ends what takes too long by the clock on the wall: a loop in which no simulated time passes ends by nothing else."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StuckError(KeyboardInterrupt):
    """Like the one of a keyboard it leaves the event loop, and is not what some task failed with."""


@contextmanager
def watchdog(seconds: float) -> Iterator[None]:
    """:class:`StuckError` where the main thread is by then, and each second after that until it has left."""

    def bark(number: int, frame: FrameType | None) -> None:
        raise StuckError(f"it has not ended after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
