"""A disk under a process: what it was asked to keep, in order, and what a power cut may leave of that.

What was synced is there. Of everything else each sector of each write may be there or not, in any order; a new name,
another one, or the end of one, only counts for certain once its directory was synced.
"""

from __future__ import annotations

import ctypes
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.calls import Call, Calls

SECTOR = 512
WRITES = ("write", "pwrite", "ftruncate")
NAMES = ("unlink", "unlinkat", "rename", "renameat", "renameat2")
SYNCS = ("fsync", "fdatasync")

File = tuple[str, int]
"""The name that it had first, and how many files had that before."""


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
    name: str


class Rename(NamedTuple):
    """Of a file, in place of what had that name."""

    file: File
    before: str
    name: str


class Note(NamedTuple):
    """What the process itself says between its calls, such as an acknowledgement."""

    text: tuple[object, ...]


Operation = Write | Cut | Sync | Unlink | Rename | Note


class Recorder:
    """Writes down what this process asks of the files whose names begin with that of a database, from now on.

    ``fault`` is asked about each call, by its number from 1, its name and the file; it returns an error's number, or 0.
    """

    def __init__(self, database: Path, fault: Callable[[int, str, str], int] = lambda number, call, name: 0) -> None:
        self.operations: list[Operation] = []
        self.calls = 0
        self._directory, self._prefix, self._fault = str(database.parent), database.name, fault
        self._births = Counter[str]()
        self._files: dict[str, File] = {}
        for name in sorted(os.listdir(self._directory)):
            self._file(name)
        Calls((*WRITES, *NAMES, *SYNCS), self._look)

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
        if not failure and (call.name not in NAMES or name in self._files):
            self.operations.append(self._operation(call, name))
        return failure

    def _kept(self, name: str) -> bool:
        """The index is made anew, and a lock has no content that counts."""
        return name.startswith(self._prefix) and not name.endswith(("-shm", ".lock", " (deleted)"))

    def _operation(self, call: Call, name: str) -> Operation:
        if not name:
            return Sync(None)
        if call.name in NAMES:
            file = self._files.pop(name)
            if call.name.startswith("unlink"):
                return Unlink(name)
            target = _renamed_to(call).rpartition("/")[2]
            self._files[target] = file
            return Rename(file, name, target)
        file = self._file(name)
        descriptor, *rest = call.arguments
        if call.name in SYNCS:
            return Sync(file)
        if call.name == "ftruncate":
            return Cut(file, rest[0])
        offset = rest[2] if call.name == "pwrite" else os.lseek(descriptor, 0, os.SEEK_CUR)
        return Write(file, offset, ctypes.string_at(rest[0], rest[1]))

    def _file(self, name: str) -> File:
        if name not in self._files:
            self._files[name] = (name, self._births[name])
            self._births[name] += 1
        return self._files[name]


def _path(call: Call) -> str:
    if call.name in NAMES:
        return _text(call.arguments[1 if "at" in call.name else 0])
    try:
        return os.readlink(f"/proc/self/fd/{call.arguments[0]}")
    except OSError:
        return ""


def _renamed_to(call: Call) -> str:
    return _text(call.arguments[3 if "at" in call.name else 1])


def _text(pointer: int) -> str:
    return os.fsdecode(ctypes.string_at(pointer))


class Disk:
    """What is certainly there, and what may be."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        """With files that have long been synced."""
        files = files or {}
        self._names: dict[str, File] = {name: (name, 0) for name in files}
        self._synced: dict[File, bytearray] = {(name, 0): bytearray(content) for name, content in files.items()}
        self._pending: dict[File, list[Write | Cut]] = {}
        self._renamed: list[dict[str, File | None]] = []
        """What each call changed in the directory, which counts as a whole or not at all."""
        self._seen: set[File] = set(self._synced)

    def take(self, operation: Operation) -> None:
        match operation:
            case Write(file) | Cut(file):
                self._appear(file)
                self._pending.setdefault(file, []).append(operation)
            case Sync(None):
                self._sync_names()
            case Sync(file):
                self._appear(file)
                image = self._synced.setdefault(file, bytearray())
                for each in self._pending.pop(file, []):
                    _apply(image, each)
            case Unlink(name):
                self._renamed.append({name: None})
            case Rename(file, before, name):
                self._appear(file)
                self._renamed.append({before: None, name: file})
            case Note():
                pass

    def _sync_names(self) -> None:
        for change in self._renamed:
            _point(self._names, change)
        self._renamed.clear()

    def _appear(self, file: File) -> None:
        if file not in self._seen:
            self._seen.add(file)
            self._renamed.append({file[0]: file})

    def after_a_power_cut(self, random: Random) -> dict[str, bytes]:
        """The content of each file that has a name, as one of many power cuts may leave it."""
        names = dict(self._names)
        for change in self._renamed[: random.randint(0, len(self._renamed))]:
            _point(names, change)
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


def _point(names: dict[str, File], change: Mapping[str, File | None]) -> None:
    for name, file in change.items():
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
