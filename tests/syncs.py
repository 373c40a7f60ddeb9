"""Counts what a process syncs to its disks, as the kernel sees it: every fsync and fdatasync of every thread."""

from tests.calls import Call, Calls, shown


class Syncs:
    """Counts from now on, and for ever; leave by ``_exit``."""

    def __init__(self) -> None:
        self.count = 0
        Calls(("fsync", "fdatasync"), self._look)

    def _look(self, call: Call) -> int:
        self.count += 1
        return 0


def counted(program: str, *arguments: object) -> str:
    """What a program prints, run by a process of its own; skips the test where nothing can be counted."""
    return shown("-c", program, *arguments)
