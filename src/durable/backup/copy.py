"""One database file to another, as of one moment, beside whoever writes to it. It knows no table but ``meta``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from durable.audit import Audit, audit
from durable.audit.auditor import Rest
from durable.errors import DamagedError, StoreError
from durable.store.connection import connect_to_read
from durable.store.copy import copy_pages
from durable.store.schema import recognise


def copy(source: Path, target: Path, rest: Rest) -> None:
    """Every page of ``source``, into the empty file ``target``."""
    with closing(connect_to_read(source)) as reader:
        # Without a snapshot of ours, each commit of an engine would make the copy begin anew.
        reader.execute("BEGIN")
        if not recognise(reader):
            raise StoreError(f"{source} is empty: no engine has opened it yet")
        copy_pages(reader, target, rest)


def verify(path: Path, source: Path, rest: Rest) -> Audit:
    """An audit of a copy; :class:`DamagedError` if it is no sound database."""
    found = audit(path, rest=rest)
    for finding in found.findings:
        if finding.invariant == "structure":
            raise DamagedError(f"{source} is damaged, and so is a copy of it: {finding}; run durable doctor {source}")
    return found
