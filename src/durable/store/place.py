"""Where a database may lie. It looks at names and file systems, and opens nothing that it is asked about."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from durable.errors import StoreError

logger = logging.getLogger("durable.store")

_REMOTE = {"afs", "ceph", "cifs", "coda", "gfs2", "lustre", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"}
# What lies behind these may be a local disk, and may not.
_UNKNOWN = {"9p", "fuse", "fuseblk", "prl_fs", "vboxsf", "virtiofs"}
_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


def database_path(database: str | os.PathLike[str]) -> Path:
    """The absolute path without symbolic links: two names of one file must meet at one lock."""
    name = os.fspath(database)
    if name == ":memory:":
        raise StoreError(
            "':memory:' is no file, and what an engine acknowledges must outlive it: name a file, "
            "or test with durable.testing.TestEngine, which is an engine in memory"
        )
    if not name or name.startswith("file:"):
        raise StoreError(
            f"{name!r} is not the path of a file: give a path like 'durable.db', "
            "or test with durable.testing.TestEngine, which is an engine in memory"
        )
    return Path(name).resolve()


def check_place(path: Path) -> None:
    """Raise :class:`StoreError`, which says what to do, unless a database can be kept at ``path``."""
    directory = path.parent
    if not directory.is_dir():
        raise StoreError(f"there is no directory {directory} to keep the database in; make it first")
    found = _status(path)
    if found is not None:
        _check_file(path, found)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise StoreError(
            f"this process may not write in {directory}: SQLite keeps its log beside the database; "
            "give the directory to the user that runs the engine"
        )
    _check_log(path, found)
    mounts = [*_mounts()]
    check_mount(path, mounts)
    check_file_system(directory, file_system(os.stat(directory).st_dev, mounts))


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _check_file(path: Path, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise StoreError(f"{path} is a directory; name a file in it, like {path / 'durable.db'}")
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path} is not a regular file; give the engine a path of its own")
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreError(f"this process may not read and write {path}; give it to the user that runs the engine")
    if found.st_nlink > 1:
        raise StoreError(
            f"{path} has {found.st_nlink} names (hard links), and SQLite's log and the engine's lock belong to one of "
            "them; remove the others, or copy the file"
        )


def _check_log(path: Path, found: os.stat_result | None) -> None:
    """SQLite silently removes a log that lies beside an empty database."""
    log = path.with_name(f"{path.name}-wal")
    if (found is None or not found.st_size) and (left := _status(log)) is not None and left.st_size:
        raise StoreError(
            f"{path} is {'missing' if found is None else 'empty'}, but its log is there and may hold work that was "
            f"acknowledged; move {log} away, or its database back; without both, restore a backup or begin anew"
        )


def check_file_system(directory: Path, kind: str | None) -> None:
    if kind in _REMOTE:
        raise StoreError(
            f"{directory} is on a network file system ({kind}), whose locks and caches SQLite cannot rely on; "
            "keep the database on a local disk"
        )
    if kind is not None and kind.partition(".")[0] in _UNKNOWN:
        logger.warning("%s is on a file system (%s) that may not honour locks and fsync", directory, kind)


def check_mount(path: Path, mounts: Iterable[Mount]) -> None:
    if any(mount.point == os.fspath(path) for mount in mounts):
        raise StoreError(
            f"{path} is mounted alone, so that SQLite's log beside it is on another disk, or in a container that goes; "
            "mount its directory instead"
        )


def file_system(device: int, mounts: Iterable[Mount]) -> str | None:
    """The type of the file system on a device, if one of the mounts tells."""
    number = f"{os.major(device)}:{os.minor(device)}"
    return next((mount.kind for mount in mounts if mount.device == number), None)


class Mount(NamedTuple):
    device: str
    point: str
    kind: str


def read_mounts(lines: Iterable[str]) -> Iterator[Mount]:
    """The lines of Linux's mountinfo: ``id parent device root point options - kind source options``."""
    for line in lines:
        where, _, what = line.partition(" - ")
        _, _, device, _, point, *_ = where.split(" ")
        yield Mount(device, _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), point), what.split(" ")[0])


def _mounts() -> Iterator[Mount]:
    try:
        return read_mounts(_MOUNTS.read_text("utf-8", "surrogateescape").splitlines())
    except OSError:
        return iter(())  # not Linux
