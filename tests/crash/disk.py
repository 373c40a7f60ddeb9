"""A disk under a process: what it was asked to keep, in order, and what a power cut may leave of that.

What was synced is there. Of everything else each sector of each write may be there or not, in any order; a new name, or
the end of one, only counts for certain once its directory was synced.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.calls import Call, Calls

SECTOR = 512
WRITES = ("write", "pwrite", "ftruncate", "unlink", "unlinkat")
SYNCS = ("fsync", "fdatasync")

File = tuple[str, int]
"""A name in the directory, and how many files had it before."""


class Write(NamedTuple):
    file: File
    offset: int
    data: bytes


class Cut(NamedTuple):
    """Of a file to a size."""

    file: File
    size: int


class Sync(NamedTuple):
    """Of a file, or with none of all names in the directory."""

    file: File | None


class Unlink(NamedTuple):
    file: File


class Note(NamedTuple):
    """What the process itself says between its calls, such as an acknowledgement."""

    text: tuple[object, ...]


Operation = Write | Cut | Sync | Unlink | Note


class Recorder:
    """Writes down what this process asks of the files whose names begin with that of a database, from now on.

    ``fault`` is asked about each call, by its number from 1, its name and the file; it returns an error's number, or 0.
    """

    def __init__(self, database: Path, fault: Callable[[int, str, str], int] = lambda number, call, name: 0) -> None:
        self.operations: list[Operation] = []
        self.calls = 0
        self._directory, self._prefix, self._fault = str(database.parent), database.name, fault
        self._ended: dict[str, int] = {}
        Calls((*WRITES, *SYNCS), self._look)

    def note(self, *text: object) -> None:
        self.operations.append(Note(text))

    def _look(self, call: Call) -> int:
        path = _path(call)
        if path == self._directory and call.name in SYNCS:
            name = ""
        else:
            directory, _, name = path.rpartition("/")
            if directory != self._directory or not self._kept(name):
                return 0
        self.calls += 1
        failure = self._fault(self.calls, call.name, name)
        if not failure:
            self.operations.append(self._operation(call, name))
        return failure

    def _kept(self, name: str) -> bool:
        """The index is made anew, and a lock has no content that counts."""
        return name.startswith(self._prefix) and not name.endswith(("-shm", ".lock", " (deleted)"))

    def _operation(self, call: Call, name: str) -> Operation:
        if not name:
            return Sync(None)
        file = (name, self._ended.get(name, 0))
        if call.name.startswith("unlink"):
            self._ended[name] = file[1] + 1
            return Unlink(file)
        descriptor, *rest = call.arguments
        if call.name in SYNCS:
            return Sync(file)
        if call.name == "ftruncate":
            return Cut(file, rest[0])
        offset = rest[2] if call.name == "pwrite" else os.lseek(descriptor, 0, os.SEEK_CUR)
        return Write(file, offset, ctypes.string_at(rest[0], rest[1]))


def _path(call: Call) -> str:
    if call.name.startswith("unlink"):
        return os.fsdecode(ctypes.string_at(call.arguments[1 if call.name == "unlinkat" else 0]))
    try:
        return os.readlink(f"/proc/self/fd/{call.arguments[0]}")
    except OSError:
        return ""


class Disk:
    """What is certainly there, and what may be."""

    def __init__(self) -> None:
        self._synced: dict[File, bytearray] = {}
        self._pending: dict[File, list[Write | Cut]] = {}
        self._names: dict[str, File] = {}
        self._renamed: list[tuple[str, File | None]] = []
        self._seen: set[File] = set()

    def take(self, operation: Operation) -> None:
        match operation:
            case Write(file) | Cut(file):
                self._appear(file)
                self._pending.setdefault(file, []).append(operation)
            case Sync(None):
                for name, file in self._renamed:
                    _point(self._names, name, file)
                self._renamed.clear()
            case Sync(file):
                self._appear(file)
                image = self._synced.setdefault(file, bytearray())
                for each in self._pending.pop(file, []):
                    _apply(image, each)
            case Unlink(file):
                self._renamed.append((file[0], None))
            case Note():
                pass

    def _appear(self, file: File) -> None:
        if file not in self._seen:
            self._seen.add(file)
            self._renamed.append((file[0], file))

    def after_a_power_cut(self, random: Random) -> dict[str, bytes]:
        """The content of each file that has a name, as one of many power cuts may leave it."""
        names = dict(self._names)
        for name, file in self._renamed[: random.randint(0, len(self._renamed))]:
            _point(names, name, file)
        kept = random.choice((0.0, 0.5, 0.5, random.random(), 1.0))
        return {name: self._image(file, kept, random) for name, file in names.items()}

    def _image(self, file: File, kept: float, random: Random) -> bytes:
        image = bytearray(self._synced.get(file, b""))
        for operation in self._pending.get(file, []):
            for piece in _pieces(operation):
                if random.random() < kept:
                    _apply(image, piece)
        return bytes(image)


def _pieces(operation: Write | Cut) -> Iterator[Write | Cut]:
    """What a disk keeps or loses as a whole."""
    if isinstance(operation, Cut):
        yield operation
        return
    file, offset, data = operation
    start = 0
    while start < len(data):
        end = min(len(data), start + SECTOR - (offset + start) % SECTOR)
        yield Write(file, offset + start, data[start:end])
        start = end


def _point(names: dict[str, File], name: str, file: File | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


def _apply(image: bytearray, operation: Write | Cut) -> None:
    size = operation.size if isinstance(operation, Cut) else operation.offset + len(operation.data)
    if len(image) < size:
        image.extend(bytes(size - len(image)))
    if isinstance(operation, Cut):
        del image[size:]
    else:
        image[operation.offset : size] = operation.data
