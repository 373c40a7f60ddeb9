"""The files of an open database, seen from outside: still the ones, and written by nobody else. It never opens one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from durable.errors import StoreError


class Stamp(NamedTuple):
    device: int
    inode: int
    size: int
    written_ns: int


class Files:
    """What the database and its log looked like when this process had last written to them.

    SQLite commits happily into a log that was cut, or a file that was deleted or replaced: all of it is gone when the
    process ends. Five calls of stat per commit were measured to cost a twentieth of it.
    """

    def __init__(self, path: Path) -> None:
        self._main, self._log, self._index = os.fspath(path), f"{path}-wal", f"{path}-shm"
        self._stamps: dict[str, Stamp] = {}

    @property
    def log_bytes(self) -> int:
        return self._stamps[self._log].size

    def adopt(self) -> None:
        """Remember them as this process has left them; raise if they are others than at the first time."""
        found = {file: _stamp(file) for file in (self._main, self._log, self._index)}
        for file, left in self._stamps.items():
            _verify_identity(file, left, found[file])
        self._stamps = found

    def verify(self) -> None:
        """Raise :class:`StoreError` unless they are as they were left. Nobody else may hold SQLite's write lock now."""
        _verify_unwritten(self._main, self._stamps[self._main])
        _verify_unwritten(self._log, self._stamps[self._log])
        # It is mapped: what is written to it has no time.
        _verify_identity(self._index, self._stamps[self._index], _stamp(self._index))

    def adopt_log(self) -> None:
        """Like ``adopt``, after a commit, which writes to the log only; raise if a file went meanwhile."""
        _verify_unwritten(self._main, self._stamps[self._main])
        found = _stamp(self._log)
        _verify_identity(self._log, self._stamps[self._log], found)
        self._stamps[self._log] = found

    def lost_only_the_log(self) -> bool:
        """Whether the log lost its name and nothing else happened: the process still has all of it."""
        try:
            return _stamp(self._main) == self._stamps.get(self._main) and not os.path.lexists(self._log)
        except StoreError:
            return False


def _stamp(file: str) -> Stamp:
    try:
        found = os.stat(file)
    except FileNotFoundError as error:
        raise _lost(file, "was removed") from error
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _verify_unwritten(file: str, left: Stamp) -> None:
    found = _stamp(file)
    _verify_identity(file, left, found)
    if found != left:
        raise _lost(file, "was cut short" if found.size < left.size else "was written by another program")


def _verify_identity(file: str, left: Stamp, found: Stamp) -> None:
    if (found.device, found.inode) != (left.device, left.inode):
        raise _lost(file, "was replaced")


def _lost(file: str, what: str) -> StoreError:
    return StoreError(
        f"{file} {what} while the engine was running; keep other programs away from the database, "
        "restore it from a backup if work is missing, and open the engine again"
    )
