"""A disk whose engine dies at one commit."""

from __future__ import annotations

from durable.core.invocation import Commit
from durable.store.memory import MemoryDisk, MemoryStore


class Crash(Exception):
    """What the engine dies of."""


class CrashingStore(MemoryStore):
    """Fails at commit number ``crash_at``, counted from 1: before it has written, or after."""

    def __init__(self, disk: MemoryDisk, crash_at: int | None, *, written: bool) -> None:
        super().__init__(disk)
        self.crash_at, self.written = crash_at, written
        self.commits = 0

    async def commit(self, commit: Commit, /) -> None:
        self.commits += 1
        crash = self.commits == self.crash_at
        if crash and not self.written:
            raise Crash(f"crash before commit {self.commits}")
        await super().commit(commit)
        if crash:
            raise Crash(f"crash after commit {self.commits}")
