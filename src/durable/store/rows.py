"""Rows of the database from and to the structs of core, with their checksums. No SQL, no disk."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from durable.core.entries import Entry, decode_entries, encode_entries
from durable.core.ids import InvocationId, write_invocation
from durable.core.invocation import Caller, Commit, Invocation, Request, Status
from durable.core.outcome import Failure, Outcome
from durable.core.schedule import Schedule
from durable.core.suspects import Suspect
from durable.errors import DamagedError
from durable.flow import Limit
from durable.sizes import LARGEST

logger = logging.getLogger("durable.store")

Row = Sequence[Any]
"""What sqlite3 takes and gives: its types are those of the columns."""

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_request = msgspec.msgpack.Decoder(Request).decode
_failure = msgspec.msgpack.Decoder(Failure).decode
_slots = msgspec.msgpack.Decoder(list[int | str]).decode
_limit = msgspec.msgpack.Decoder(Limit).decode
_schedule = msgspec.msgpack.Decoder(Schedule).decode
_outcome: Callable[[bytes], Outcome] = msgspec.msgpack.Decoder[Outcome](Outcome).decode


def batch(commit: Commit) -> list[tuple[str, list[Row]]]:
    """The statements of a commit by name, with their parameters, in the order in which they must run."""
    purged: list[Row] = [(n,) for n in commit.purged]
    statements: list[tuple[str, list[Row]]] = [
        ("purge_journal", [(n,) for n in commit.forgotten]),
        *((f"purge_{table}", purged) for table in ("journal", "timers", "waiters", "suspect", "invocation")),
        ("accept", [_accepted(row) for row in commit.accepted.values()]),
        ("change", [(*_changing(row), row.n) for row in commit.changed.values()]),
        ("append", [row for n, (held, entries) in commit.entries.items() for row in _chunks(n, held, entries)]),
        ("set_state", [_named(key, value) for key, value in commit.state.items() if value is not None]),
        ("clear_state", [key for key, value in commit.state.items() if value is None]),
        ("complete_promise", [_named(key, _encode(out)) for key, out in commit.promises.items() if out is not None]),
        ("remove_promise", [key for key, outcome in commit.promises.items() if outcome is None]),
        ("set_limit", [_limited(pattern, limit) for pattern, limit in commit.limits.items() if limit is not None]),
        ("remove_limit", [(pattern,) for pattern, limit in commit.limits.items() if limit is None]),
        ("set_rate", [_rated(path, ms) for path, ms in commit.rates.items() if ms is not None]),
        ("remove_rate", [(path,) for path, ms in commit.rates.items() if ms is None]),
        ("set_schedule", [_scheduled(id, row) for id, row in commit.schedules.items() if row is not None]),
        ("remove_schedule", [(id,) for id, row in commit.schedules.items() if row is None]),
        *_switched("timer", commit.timers.items()),
        *_switched("waiter", (((id, *caller), on) for (id, caller), on in commit.waiters.items())),
        *_switched("listener", (((*key, *caller), on) for (*key, caller), on in commit.listeners.items())),
        ("set_suspect", [msgspec.structs.astuple(each) for each in commit.suspects.values() if each is not None]),
        ("purge_suspect", [(n,) for n, each in commit.suspects.items() if each is None]),
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
    fixed = (row.n, row.id, target.service, target.key, target.handler, row.request.kind, row.created_ms)
    return (*fixed, request, _crc(request, *fixed), *_changing(row))


def _changing(row: Invocation) -> Row:
    values = (
        row.status,
        row.place,
        row.due_ms,
        row.attempts,
        row.failing_since_ms,
        None if row.failure is None else _encode(row.failure),
        None if row.awaiting is None else _encode(row.awaiting),
        None if row.outcome is None else _encode(row.outcome),
        row.modified_ms,
        row.expires_ms,
        row.journal_expires_ms,
        int(row.journal_kept),
        int(row.detached),
        row.entries,
    )
    added = (row.lane, int(row.holds))
    return (*values, *added, _crc(b"", row.n, *_summed(*values, *added)))


def _summed(*values: object) -> Row:
    """What the checksum covers: rows that were written before version 4 have neither lane nor holds in it."""
    *first, lane, holds = values
    return first if (lane, holds) == (None, 0) else values


def _limited(pattern: str, limit: Limit) -> Row:
    body = _encode(limit)
    return (pattern, body, _crc(body, pattern))


def _rated(path: str, next_start_ms: float) -> Row:
    next_start_us = round(next_start_ms * 1000)
    return (path, next_start_us, _crc(b"", path, next_start_us))


def _chunks(n: int, position: int, entries: list[Entry]) -> Iterator[Row]:
    """One row, unless that would be too large for SQLite's limit: each payload fits, many together may not."""
    raw = encode_entries(entries)
    if len(raw) > LARGEST and len(entries) > 1:
        half = len(entries) // 2
        yield from _chunks(n, position, entries[:half])
        yield from _chunks(n, position + half, entries[half:])
    else:
        yield (n, position, raw, _crc(raw, n, position))


def _named(key: tuple[str, str, str], value: bytes) -> Row:
    return (*key, value, _crc(value, *key))


def _scheduled(id: str, row: Schedule) -> Row:
    raw = _encode(row)
    return (id, raw, _crc(raw, id))


def _crc(payload: bytes, *columns: object) -> int:
    return zlib.crc32(payload, zlib.crc32(_encode(columns)))


def seal(secret: bytes) -> bytes:
    return secret + _crc(secret).to_bytes(4, "big")


def read_meta(rows: Sequence[Row]) -> tuple[int, bool, bytes]:
    """The epoch, whether the last one ended well, and the secret, which is empty before the first."""
    with _reading("the table meta"):
        ((epoch, clean, sealed),) = rows
        _verify(isinstance(epoch, int) and 0 <= epoch < 1 << 62, "the epoch in the table meta")
        secret: bytes = sealed[:-4] if epoch else b""
        _verify(not epoch or sealed == seal(secret), "the secret in the table meta")
        return epoch, clean == 1, secret


def read_invocation(row: Row) -> Invocation:
    """The row of the query ``invocation``; :class:`DamagedError` if it is not what was written."""
    request_crc, crc, request, *columns = row
    fixed, changing = columns[:7], columns[7:]
    n, id, *_, created_ms = fixed
    with _reading(f"invocation number {n}"):
        what = f"invocation {write_invocation(id)} (number {n})"
        _verify(request_crc == _crc(request, *fixed), f"the request of {what}")
        _verify(crc == _crc(b"", n, *_summed(*changing)), f"the row of {what}")
        status, place, due, attempts, since, failure, awaiting, outcome, modified, *rest = changing
        end, journal_end, journal_kept, detached, entries, lane, holds = rest
        return Invocation(
            n=n,
            id=InvocationId(id),
            request=_request(request),
            status=Status(status),
            created_ms=created_ms,
            modified_ms=modified,
            place=place,
            due_ms=due,
            attempts=attempts,
            failing_since_ms=since,
            failure=None if failure is None else _failure(failure),
            awaiting=None if awaiting is None else _slots(awaiting),
            outcome=None if outcome is None else _outcome(outcome),
            expires_ms=end,
            journal_expires_ms=journal_end,
            journal_kept=bool(journal_kept),
            entries=entries,
            detached=bool(detached),
            lane=lane,
            holds=bool(holds),
        )


def read_journal(n: int, length: int, rows: Iterable[Row]) -> list[Entry]:
    """The chunks of a journal, joined; :class:`DamagedError` if one was altered or is missing."""
    entries: list[Entry] = []
    for position, raw, crc in rows:
        with _reading(what := f"the journal of invocation number {n} at entry {position}"):
            _verify(position == len(entries) and crc == _crc(raw, n, position), what)
            entries += decode_entries(raw)
    _verify(len(entries) >= length, f"the end of the journal of invocation number {n}, from entry {len(entries)} on,")
    return entries


def read_limits(rows: Iterable[Row]) -> list[Limit]:
    """Those that can be read: without the others more may run, but everything goes on."""
    limits: list[Limit] = []
    for row in rows:
        try:
            limits.append(read_limit(row))
        except DamagedError as error:
            logger.critical("a limit does not hold any more: %s", error)
    return limits


def read_limit(row: Row) -> Limit:
    pattern, body, crc = row
    with _reading(what := f"the limit {pattern!r}"):
        _verify(crc == _crc(body, pattern), what)
        return _limit(body)


def read_rates(rows: Iterable[Row]) -> dict[str, float]:
    """Those that can be read: what another says is let in too early once."""
    return {path: us / 1000 for path, us, crc in rows if crc == _checksum_of_rate(path, us)}


def _checksum_of_rate(path: object, next_start_us: object) -> int | None:
    try:
        return _crc(b"", path, next_start_us)
    except UnicodeEncodeError:
        return None


def read_state(instance: tuple[str, str], rows: Iterable[Row]) -> dict[str, bytes]:
    return _read_named("state", instance, rows, bytes)


def read_promises(instance: tuple[str, str], rows: Iterable[Row]) -> dict[str, Outcome]:
    return _read_named("promise", instance, rows, _outcome)


def _read_named(
    noun: str, instance: tuple[str, str], rows: Iterable[Row], decode: Callable[[bytes], T]
) -> dict[str, T]:
    values: dict[str, T] = {}
    for name, value, crc in rows:
        with _reading(what := f"{noun} {name!r} of {'/'.join(instance)}"):
            _verify(crc == _crc(value, *instance, name), what)
            values[name] = decode(value)
    return values


def read_callers(rows: Iterable[Row]) -> list[Caller]:
    return [Caller(InvocationId(id), completion) for id, completion in rows]


def read_suspects(rows: Iterable[Row]) -> dict[int, Suspect]:
    """Without those that make no sense: to count deaths anew does no harm."""
    sound = [row for row in rows if all(type(value) is int for value in row)]
    found = [Suspect(**dict(zip(Suspect.__struct_fields__, row, strict=True))) for row in sound]
    return {each.n: each for each in found if each.credible}


def read_listeners(rows: Iterable[Row]) -> dict[str, list[Caller]]:
    listeners: dict[str, list[Caller]] = {}
    for name, id, completion in rows:
        listeners.setdefault(name, []).append(Caller(InvocationId(id), completion))
    return listeners


def read_schedule(row: Row) -> Schedule:
    id, raw, crc = row
    with _reading(what := f"schedule {id!r}"):
        _verify(crc == _crc(raw, id), what)
        return _schedule(raw)


def _verify(intact: bool, what: str) -> None:
    if not intact:
        raise DamagedError(f"{what} is not what was written; restore the database from a backup")


@contextmanager
def _reading(what: str) -> Generator[None]:
    """Damage may give a column any type, and text any bytes."""
    try:
        yield
    except (TypeError, ValueError, msgspec.DecodeError) as error:
        raise DamagedError(f"{what} cannot be read: {error}; restore the database from a backup") from error
