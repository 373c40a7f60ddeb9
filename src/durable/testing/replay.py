"""Recorded journals, walked by today's code. No step runs, and nothing is written."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import zip_longest
from os import PathLike
from pathlib import Path
from typing import TypeVar

import msgspec

from durable.audit.reader import Reader
from durable.core import entries as e
from durable.core.ids import InvocationId, plain, write_invocation
from durable.core.invocation import Invocation
from durable.core.journal import Divergence
from durable.core.ledger import Directory, Resident
from durable.core.outcome import Failure, Outcome, Success
from durable.errors import JournalMismatchError, StoreError, Suspended, TerminalError
from durable.mapper import MAPPERS
from durable.replacement import REPLACE_STATE
from durable.runtime.attempt import Attempt
from durable.runtime.drive import Driven
from durable.runtime.invoker import Runnable
from durable.runtime.line import current_line
from durable.runtime.steps import Step
from durable.service import AnyService
from durable.serving import bind, directory, runnables, serve
from durable.store import rows
from durable.store.connection import connect_to_read
from durable.store.schema import recognise
from durable.testing.engine import TestEngine
from durable.testing.freeze import FREEZE

C = TypeVar("C", bound=e.AnyCommand)

_HIDDEN = {REPLACE_STATE, FREEZE, *(handler for _, handler in MAPPERS)}
"""The engine's own handlers, and the kit's."""

_CONTEXT = 5
_WIDTH = 56
_QUIET = 20
"""Turns of the event loop in which a handler that waits does not move: then it has come to the end of its journal."""
_PATIENCE = 10.0
"""Seconds for a handler that waits for something of its own."""


class Recording(msgspec.Struct, frozen=True):
    """An invocation as it was written down."""

    invocation: Invocation
    entries: list[e.Entry]
    secret: bytes
    """Of its database: the ids of its awakeables are made with it."""

    @property
    def missing(self) -> str | None:
        """Why there is nothing to replay, if there is nothing."""
        if self.entries:
            return None
        return "its journal has no entry" if self.invocation.journal_kept else "its journal is no longer kept"

    def __str__(self) -> str:
        return f"{self.invocation.request.target} {write_invocation(self.invocation.id)}"


class ReplayDivergedError(AssertionError):
    """Today's code takes another path than a journal records."""


def recordings(source: str | PathLike[str] | TestEngine, /) -> list[Recording]:
    """Every invocation of a database, or of a test's engine, that has something in its journal."""
    return [each for each in invocations(source) if not each.missing]


def invocations(source: str | PathLike[str] | TestEngine, /) -> list[Recording]:
    """All but the engine's own."""
    if isinstance(source, TestEngine):
        disk = source.disk
        found = [Recording(row, disk.journal(n), disk.secret) for n, row in sorted(disk.invocations.items())]
    else:
        found = list(_read(Path(source)))
    return [each for each in found if each.invocation.request.target.handler not in _HIDDEN]


async def replay_check(source: str | PathLike[str] | TestEngine | Recording, /, *services: AnyService) -> int:
    """Walk each recorded journal with the code of ``services``; how many there were.

    :class:`ReplayDivergedError` for the first that it does not fit, with journal and code side by side.
    """
    recorded = [source] if isinstance(source, Recording) else recordings(source)
    bound = bind(services)
    served = serve(bound)
    for recording in recorded:
        await _check(recording, directory(served), runnables(served))
    return len(recorded)


def _read(path: Path) -> Iterator[Recording]:
    try:
        with closing(connect_to_read(path)) as connection:
            connection.execute("BEGIN")  # an engine may be writing meanwhile
            if not recognise(connection):
                raise StoreError(f"{path} is empty: no engine has opened it yet")
            reader = Reader(connection)
            _, _, secret = rows.read_meta(reader.rows("meta"))
            for (id,) in reader.ask("SELECT id FROM invocation ORDER BY n"):
                row = rows.read_invocation(reader.rows("invocation", id)[0])
                length = row.entries if row.journal_kept else 0
                yield Recording(row, rows.read_journal(row.n, length, reader.rows("journal", row.n)), secret)
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be replayed: {error}; name the database of an engine, or a backup") from error


class _Walk:
    """Implements :class:`durable.runtime.attempt.Host`: it decides nothing, and begins no step."""

    def __init__(self, directory: Directory, recording: Recording) -> None:
        self.directory, self.secret, self._recording = directory, recording.secret, recording
        self.waits = asyncio.Event()
        self.divergence: Divergence | None = None

    def now_ms(self) -> int:
        return self._recording.invocation.created_ms

    def new_id(self) -> InvocationId:
        return plain(self.now_ms(), bytes(10))

    def flush_now(self, attempt: Attempt, /) -> bool:
        self.waits.set()
        return True

    async def flush(self, attempt: Attempt, /) -> None: ...
    def flush_soon(self, attempt: Attempt, /) -> None: ...
    def on_step(self, attempt: Attempt, step: Step, /) -> None: ...
    def begin(self, attempt: Attempt, command: e.Run, step: Step, /) -> None: ...
    def parked(self, attempt: Attempt, /) -> None: ...

    def diverged(self, attempt: Attempt, error: JournalMismatchError, /) -> None:
        self.waits.set()
        attempt.close()


class _Walker(Attempt):
    """An attempt that remembers what was asked of it, and where."""

    def __init__(self, walk: _Walk, recording: Recording) -> None:
        super().__init__(walk, Resident(recording.invocation, recording.entries, []), None)
        self._walk = walk
        self.walked: list[tuple[e.AnyCommand, str]] = []

    def _issue(self, command: C) -> C:
        if not self.closed:
            self.walked.append((command, current_line()))
        try:
            return super()._issue(command)
        except Suspended as error:
            if isinstance(error.__cause__, Divergence):
                self._walk.divergence = error.__cause__
            raise


async def _check(recording: Recording, directory: Directory, handlers: Mapping[tuple[str, str], Runnable]) -> None:
    target = recording.invocation.request.target
    handler = handlers.get((target.service, target.handler))
    if handler is None:
        raise ReplayDivergedError(
            f"{recording}: there is no handler {target.service}/{target.handler}; add its service"
        )
    walk = _Walk(directory, recording)
    walker = _Walker(walk, recording)
    outcome = await _walked(walk, walker, handler)
    why = _difference(recording, walk, walker, outcome)
    if why is not None:
        raise ReplayDivergedError(f"{recording}: {why}\n{_columns(recording, walker, handler.source)}")


async def _walked(walk: _Walk, walker: _Walker, handler: Runnable) -> Outcome | BaseException | None:
    """What the handler ended with, or ``None`` if it waits where its journal ends."""
    payload = walker.resident.invocation.request.payload
    task = asyncio.ensure_future(_ended(Driven(handler.invoke(walker, payload), walker)))
    waits = asyncio.ensure_future(walk.waits.wait())
    try:
        await asyncio.wait({task, waits}, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        await _still(walker, task.done)
        if task.done():
            return task.result()
        if not walk.waits.is_set():
            raise ReplayDivergedError(f"the handler at {handler.source} waits for something that is no entry")
        return None
    finally:
        waits.cancel()
        if not walker.closed:
            walker.close()
        await asyncio.wait({task}, timeout=1)
        task.cancel()


async def _ended(driven: Driven[bytes]) -> Outcome | BaseException:
    try:
        return Success(await driven)
    except TerminalError as error:
        return Failure.of(error)
    except BaseException as error:
        return error


async def _still(walker: _Walker, over: Callable[[], bool]) -> None:
    quiet, seen = 0, -1
    while quiet < _QUIET and not over():
        await asyncio.sleep(0)
        quiet, seen = (quiet + 1, seen) if seen == len(walker.walked) else (0, len(walker.walked))


def _difference(
    recording: Recording, walk: _Walk, walker: _Walker, outcome: Outcome | BaseException | None
) -> str | None:
    if walk.divergence is not None:
        return f"the code diverges at journal entry {walk.divergence.index}"
    if walker.journal.replaying:
        return (
            "the code " + ("waits" if outcome is None else f"ends with {_short(outcome)}") + " before its journal ends"
        )
    if not isinstance(recording.invocation.outcome, Success):
        # Under way; or ended by the engine, perhaps: killed, or out of retries. Today's code may go on from there.
        return None
    commands = sum(isinstance(entry, e.Command) for entry in recording.entries)
    if len(walker.walked) > commands:
        return "the code goes on where its journal ends"
    if outcome != recording.invocation.outcome:
        return f"the outcome was {_short(recording.invocation.outcome)}, and is {_short(outcome)}"
    return None


def _columns(recording: Recording, walker: _Walker, source: str) -> str:
    """Journal and code side by side, around the first difference."""
    numbered = [(n, each) for n, each in enumerate(recording.entries, 1) if isinstance(each, e.Command)]
    pairs: Sequence[tuple[tuple[int, e.Command] | None, tuple[e.AnyCommand, str] | None]]
    pairs = list(zip_longest(numbered, walker.walked))
    same = [old is not None and new is not None and old[1].matches(new[0]) for old, new in pairs]
    first = same.index(False) if False in same else len(pairs)
    lines = [f"    {'entry':<6} {'journal':<{_WIDTH}} code  (handler: {source})"]
    for index in range(max(0, first - _CONTEXT), min(len(pairs), first + _CONTEXT)):
        old, new = pairs[index]
        left = _cell(str(old[1])) if old else "nothing more"
        right = f"{_cell(str(new[0])):<{_WIDTH}} {new[1]}" if new else "nothing"
        mark, number = " " if same[index] else "!", old[0] if old else ""
        lines.append(f"  {mark} {number!s:<6} {left:<{_WIDTH}} {right}")
        if old and new and index == first and type(old[1]) is type(new[0]):
            lines.append(f"    differs in {old[1].difference(new[0])}")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def _short(value: object) -> str:
    return "nothing" if value is None else _cell(repr(value))
