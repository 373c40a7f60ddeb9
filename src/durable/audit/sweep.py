"""Row after row, in pages: checksums, and what only the contents of a row tell."""

from __future__ import annotations

from collections.abc import Iterator

from durable.audit.finding import Found, found
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
    after = -(1 << 63)
    while True:
        with reader.snapshot():
            page = reader.rows("page", after, PAGE)
            result = [each for row in page for each in _invocation(reader, row)]
        yield result
        if len(page) < PAGE:
            return
        after = page[-1][3]


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


def named(reader: Reader, table: str) -> Iterator[Page]:
    """State or promises."""
    after: tuple[object, ...] = ("", "", "")
    read = rows.read_state if table == "state" else rows.read_promises
    while True:
        page = reader.rows(f"{table}_page", *after, PAGE)
        damaged: Page = []
        for service, key, name, *rest in page:
            try:
                read((service, key), [(name, *rest)])
            except (DamagedError, TypeError) as error:
                damaged.append(found("checksum", f"{table} {name!r} of {service}/{key}", str(error)))
        yield damaged
        if len(page) < PAGE:
            return
        after = tuple(page[-1][:3])


def limits(reader: Reader) -> Iterator[Found]:
    for row in reader.rows("limits"):
        try:
            rows.read_limit(row)
        except DamagedError as error:
            yield found("checksum", f"limit {row[0]}", str(error))


def rates(reader: Reader) -> Iterator[Found]:
    for path, next_start_us, crc in reader.rows("rates"):
        if not rows.read_rates([(path, next_start_us, crc)]):
            yield found("checksum", f"rate {path}", "it is not what was written: the next start is let in at once")
