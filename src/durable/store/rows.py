"""Rows of the database from and to the structs of core, with their checksums. No SQL, no disk."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from durable.core.entries import Entry, decode_entries, encode_entries
from durable.core.ids import InvocationId, write_invocation
from durable.core.invocation import Caller, Commit, Invocation, Request, Status
from durable.core.outcome import Failure, Outcome
from durable.errors import DamagedError
from durable.limits import LARGEST

Row = Sequence[Any]
"""What sqlite3 takes and gives: its types are those of the columns."""

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_request = msgspec.msgpack.Decoder(Request).decode
_failure = msgspec.msgpack.Decoder(Failure).decode
_slots = msgspec.msgpack.Decoder(list[int | str]).decode
_outcome: Callable[[bytes], Outcome] = msgspec.msgpack.Decoder[Outcome](Outcome).decode
_numbers = struct.Struct(">qq").pack


def batch(commit: Commit) -> list[tuple[str, list[Row]]]:
    """The statements of a commit by name, with their parameters, in the order in which they must run."""
    purged: list[Row] = [(n,) for n in commit.purged]
    statements: list[tuple[str, list[Row]]] = [
        ("purge_journal", [(n,) for n in commit.forgotten]),
        *((f"purge_{table}", purged) for table in ("journal", "timers", "waiters", "invocation")),
        ("accept", [_accepted(row) for row in commit.accepted.values()]),
        ("change", [(*_changing(row), row.n) for row in commit.changed.values()]),
        ("append", [row for n, (held, entries) in commit.entries.items() for row in _chunks(n, held, entries)]),
        ("set_state", [_named(key, value) for key, value in commit.state.items() if value is not None]),
        ("clear_state", [key for key, value in commit.state.items() if value is None]),
        ("complete_promise", [_named(key, _encode(out)) for key, out in commit.promises.items() if out is not None]),
        ("remove_promise", [key for key, outcome in commit.promises.items() if outcome is None]),
        *_switched("timer", commit.timers.items()),
        *_switched("waiter", (((id, *caller), on) for (id, caller), on in commit.waiters.items())),
        *_switched("listener", (((*key, *caller), on) for (*key, caller), on in commit.listeners.items())),
    ]
    return [(name, rows) for name, rows in statements if rows]


def _switched(noun: str, rows: Iterable[tuple[Row, bool]]) -> Iterator[tuple[str, list[Row]]]:
    kept: dict[bool, list[Row]] = {True: [], False: []}
    for row, on in rows:
        kept[on].append(row)
    yield f"set_{noun}", kept[True]
    yield f"remove_{noun}", kept[False]


def _accepted(row: Invocation) -> Row:
    target, request = row.request.target, _encode(row.request)
    crc = _request_crc(row.n, row.id, request)
    names = (target.service, target.key, target.handler, row.request.kind)
    return (row.n, row.id, *names, row.created_ms, crc, request, *_changing(row))


def _changing(row: Invocation) -> Row:
    outcome = None if row.outcome is None else _encode(row.outcome)
    return (
        row.status,
        row.place,
        row.due_ms,
        row.attempts,
        row.failing_since_ms,
        None if row.failure is None else _encode(row.failure),
        None if row.awaiting is None else _encode(row.awaiting),
        outcome,
        _outcome_crc(row.n, outcome),
        row.modified_ms,
        row.expires_ms,
        row.journal_expires_ms,
        row.journal_kept,
        row.detached,
    )


def _chunks(n: int, position: int, entries: list[Entry]) -> Iterator[Row]:
    """One row, unless that would be too large for SQLite's limit: each payload fits, many together may not."""
    raw = encode_entries(entries)
    if len(raw) > LARGEST and len(entries) > 1:
        half = len(entries) // 2
        yield from _chunks(n, position, entries[:half])
        yield from _chunks(n, position + half, entries[half:])
    else:
        yield (n, position, raw, _chunk_crc(n, position, raw))


def _named(key: tuple[str, str, str], value: bytes) -> Row:
    return (*key, value, _named_crc(key, value))


def _request_crc(n: int, id: bytes, request: bytes) -> int:
    return zlib.crc32(request, zlib.crc32(_numbers(n, len(id)) + id))


def _outcome_crc(n: int, outcome: bytes | None) -> int:
    # -1 for a missing one: a lost outcome must not look like an empty one.
    return zlib.crc32(outcome or b"", zlib.crc32(_numbers(n, -1 if outcome is None else len(outcome))))


def _chunk_crc(n: int, position: int, raw: bytes) -> int:
    return zlib.crc32(raw, zlib.crc32(_numbers(n, position)))


def _named_crc(key: tuple[str, str, str], value: bytes) -> int:
    return zlib.crc32(value, zlib.crc32(_encode(key)))


def read_invocation(row: Row) -> Invocation:
    """The row of the query ``invocation``; :class:`DamagedError` if it is not what was written."""
    n, id, request, crc, status, created, modified, place, due, attempts, since, failure, *rest = row
    awaiting, outcome, outcome_crc, end, journal_end, journal_kept, detached = rest
    what = f"invocation {write_invocation(id)} (number {n})"
    _verify(crc == _request_crc(n, id, request), f"the request of {what}")
    _verify(outcome_crc == _outcome_crc(n, outcome), f"the outcome of {what}")
    return Invocation(
        n=n,
        id=InvocationId(id),
        request=_decode(_request, request, f"the request of {what}"),
        status=Status(status),
        created_ms=created,
        modified_ms=modified,
        place=place,
        due_ms=due,
        attempts=attempts,
        failing_since_ms=since,
        failure=None if failure is None else _decode(_failure, failure, f"the last failure of {what}"),
        awaiting=None if awaiting is None else _decode(_slots, awaiting, f"what {what} waits for"),
        outcome=None if outcome is None else _decode(_outcome, outcome, f"the outcome of {what}"),
        expires_ms=end,
        journal_expires_ms=journal_end,
        journal_kept=bool(journal_kept),
        detached=bool(detached),
    )


def read_journal(n: int, rows: Iterable[Row]) -> list[Entry]:
    """The chunks of a journal, joined; :class:`DamagedError` if one was altered or is missing in between."""
    entries: list[Entry] = []
    for position, raw, crc in rows:
        what = f"the journal of invocation number {n} at entry {position}"
        _verify(position == len(entries) and crc == _chunk_crc(n, position, raw), what)
        entries += _decode(decode_entries, raw, what)
    return entries


def read_state(instance: tuple[str, str], rows: Iterable[Row]) -> dict[str, bytes]:
    return dict(_read_named("state", instance, rows))


def read_promises(instance: tuple[str, str], rows: Iterable[Row]) -> dict[str, Outcome]:
    return {
        name: _decode(_outcome, raw, f"promise {name!r} of {'/'.join(instance)}")
        for name, raw in _read_named("promise", instance, rows)
    }


def _read_named(noun: str, instance: tuple[str, str], rows: Iterable[Row]) -> Iterator[tuple[str, bytes]]:
    for name, value, crc in rows:
        _verify(crc == _named_crc((*instance, name), value), f"{noun} {name!r} of {'/'.join(instance)}")
        yield name, value


def read_callers(rows: Iterable[Row]) -> list[Caller]:
    return [Caller(InvocationId(id), completion) for id, completion in rows]


def read_listeners(rows: Iterable[Row]) -> dict[str, list[Caller]]:
    listeners: dict[str, list[Caller]] = {}
    for name, id, completion in rows:
        listeners.setdefault(name, []).append(Caller(InvocationId(id), completion))
    return listeners


def _verify(intact: bool, what: str) -> None:
    if not intact:
        raise DamagedError(f"{what} is not what was written; restore the database from a backup")


def _decode(decoder: Callable[[bytes], T], raw: bytes, what: str) -> T:
    try:
        return decoder(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedError(f"{what} cannot be read: {error}") from error
