"""A backup: a verified copy of a database that an engine may be running on."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from durable.audit import Audit
from durable.audit.auditor import Rest
from durable.backup.copy import copy, verify
from durable.errors import StoreError
from durable.store.copy import partial


def backup(file: str | os.PathLike[str], target: str | os.PathLike[str], *, rest: Rest = lambda _: None) -> Audit:
    """Copy the database as it is at one moment, verify the copy, and give it its name once it is on the disk.

    The copy is one file. What is returned is its audit: what is wrong with the database is wrong with its copy.
    ``target`` must not exist; :class:`StoreError` if it does, or if no sound copy could be made.
    """
    source, path = Path(file).absolute(), Path(target).absolute()
    if path.exists():
        raise StoreError(f"{path} is there; remove it, or name another file")
    if not path.parent.is_dir():
        raise StoreError(f"there is no directory {path.parent}; make it first")
    try:
        with partial(path) as unfinished:
            copy(source, unfinished, rest)
            return verify(unfinished, source, rest)
    except (sqlite3.Error, OSError, UnicodeError) as error:
        raise StoreError(f"{source} could not be copied to {path}: {error}") from error
