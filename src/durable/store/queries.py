"""The named statements of queries.sql. It reads package files, never a database."""

from __future__ import annotations

import re
from importlib.resources import files

_HEADING = re.compile(r"^-- (\w+) --\n", re.MULTILINE)


def read(name: str, package: str = "durable.store") -> str:
    return files(package).joinpath(name).read_text("utf-8")


def parse(text: str) -> dict[str, str]:
    """Statements by name: ``-- name --``, a line that says why, and the SQL up to the next name."""
    parts = _HEADING.split(text)
    return {name: body.partition("\n")[2].strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


QUERIES = parse(read("queries.sql"))
