"""Row after row, in pages: checksums, and what only the contents of a row tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

from durable.audit.finding import Finding, Found, found
from durable.audit.journals import journal
from durable.audit.reader import Reader, name_of
from durable.audit.reasons import Reasons
from durable.core.invocation import Status
from durable.core.ledger import Resident
from durable.errors import DamagedError
from durable.store import rows

PAGE = 100
"""Rows that are read in one go."""

Page = list[Found]


def invocations(reader: Reader) -> Iterator[Page]:
    """A page is of one moment: an invocation, its journal, and what stands for its waits."""

    def read(after: int, limit: int) -> list[_Looked[int]]:
        with reader.snapshot():
            return [_Looked(row[3], list(_invocation(reader, row))) for row in reader.rows("page", after, limit)]

    return _pages(read, -(1 << 63))


def _invocation(reader: Reader, row: rows.Row) -> Iterator[Found]:
    n, id = row[3], row[4]
    subject = name_of(id, f"invocation number {n}")
    try:
        invocation = rows.read_invocation(row)
        resident = Resident(invocation, reader.journal(invocation), [])
    except DamagedError as error:
        yield found("checksum", subject, str(error))
        return
    yield from journal(subject, resident.entries)
    if invocation.status is not Status.COMPLETED:
        yield from Reasons(reader, resident).check()


def schedules(reader: Reader) -> Iterator[Page]:
    """They are all in an engine's memory: one page."""
    damaged: Page = []
    if not reader.ask("SELECT 1 FROM sqlite_master WHERE name = 'schedule'"):
        return  # an older schema; if it is this one, another rule says what is missing
    for row in reader.rows("schedules"):
        try:
            rows.read_schedule(row)
        except DamagedError as error:
            damaged.append(found("checksum", f"schedule {row[0]!r}", str(error)))
    yield damaged


def named(reader: Reader, table: str) -> Iterator[Page]:
    """State or promises."""
    decode = rows.read_state if table == "state" else rows.read_promises

    def look(service: str, key: str, name: str, *rest: object) -> Iterator[Found]:
        try:
            decode((service, key), [(name, *rest)])
        except (DamagedError, TypeError) as error:
            yield found("checksum", f"{table} {name!r} of {service}/{key}", str(error))

    def read(after: tuple[str, str, str], limit: int) -> list[_Looked[tuple[str, str, str]]]:
        page = reader.rows(f"{table}_page", *after, limit)
        return [_Looked((row[0], row[1], row[2]), list(look(*row))) for row in page]

    return _pages(read, ("", "", ""))


K = TypeVar("K", int, tuple[str, str, str])


class _Looked(NamedTuple, Generic[K]):
    key: K
    findings: Page

    @property
    def intact(self) -> bool:
        return all(each.finding.invariant != "checksum" for each in self.findings)


def _pages(read: Callable[[K, int], list[_Looked[K]]], after: K) -> Iterator[Page]:
    """Each goes on behind a key that is intact: a damaged one may be no text, or stand where it does not belong."""
    told, limit = set[Finding](), PAGE
    while True:
        page = read(after, limit)
        damaged = [each for looked in page if not looked.intact for each in looked.findings]
        yield [each for looked in page for each in looked.findings if each.finding not in told]
        if len(page) < limit:
            return
        told |= {each.finding for each in damaged}  # they may be read again
        intact = [looked.key for looked in page if looked.intact and looked.key > after]
        after, limit = (max(intact), PAGE) if intact else (after, 2 * limit)


def limits(reader: Reader) -> Iterator[Found]:
    for row in reader.rows("limits"):
        try:
            rows.read_limit(row)
        except DamagedError as error:
            yield found("checksum", f"limit {row[0]!r}", str(error))


def rates(reader: Reader) -> Iterator[Found]:
    for path, next_start_us, crc in reader.rows("rates"):
        if not rows.read_rates([(path, next_start_us, crc)]):
            yield found("checksum", f"rate {path!r}", "it is not what was written: the next start is let in at once")
