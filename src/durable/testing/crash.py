"""A disk whose engine dies at one commit."""

from __future__ import annotations

import msgspec

from durable.core.invocation import Commit
from durable.store.memory import MemoryDisk, MemoryStore
from durable.testing.hops import Hops


class Crash(msgspec.Struct, frozen=True):
    """An engine dies at this commit, counted from 1 since it was opened: before it is written, or after."""

    commit: int
    written: bool = False


class Crashed(Exception):
    """What the engine dies of."""


class CrashingStore(MemoryStore):
    """Fails at commit number ``crash_at``, counted from 1: before it has written, or after."""

    def __init__(self, disk: MemoryDisk, crash_at: int | None, *, written: bool) -> None:
        super().__init__(disk)
        self.crash_at, self.written = crash_at, written
        self.commits = 0
        self.hops = Hops()

    async def commit(self, commit: Commit, /) -> None:
        await self.hops.hop()
        self.commits += 1
        crash = self.commits == self.crash_at
        if crash and not self.written:
            self._broken = True
            raise Crashed(f"crash before commit {self.commits}")
        await super().commit(commit)
        if crash:
            raise Crashed(f"crash after commit {self.commits}")
