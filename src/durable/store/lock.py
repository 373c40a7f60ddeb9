"""The fence between engines: a flock beside the database. It never opens the database itself.

To open and close a database file in the process that uses it silently drops SQLite's own locks; a file of our own
is immune to that, and the kernel releases its lock however the holder dies.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from weakref import WeakSet

from durable.errors import StoreError


class Lock:
    """Held by one engine at a time. The file stays, and names the process that held it last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._pid = 0

    def acquire(self) -> None:
        """Take it at once or raise :class:`StoreError`, which names the holder."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"the database cannot be locked: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # It may be empty: the holder writes its pid a moment after it has the lock.
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise StoreError(f"the database is in use: {_in_use(holder, self._path)}") from error
            raise StoreError(f"the database cannot be locked: {error}") from error
        self._descriptor, self._pid = descriptor, os.getpid()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{self._pid}\n".encode(), 0)
        _held.add(self)

    def check(self) -> None:
        """Raise unless this very process took it: a child of fork has neither the lock nor the writer's thread."""
        if self._pid != os.getpid():
            raise StoreError("the database was opened before a fork; open it in this process")

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _in_use(holder: str, path: Path) -> str:
    if holder == str(os.getpid()):
        return f"process {holder}, which is this one, holds {path}; close the engine that it has open first"
    return f"process {holder} holds {path}; stop it first"


_held: WeakSet[Lock] = WeakSet()


def _close_in_child() -> None:
    # A flock belongs to the open file: a child that kept it open would hold the lock after its parent died.
    for lock in _held:
        lock.release()


os.register_at_fork(after_in_child=_close_in_child)
