"""How a moment is written for people. It was read from a row, maybe, and is made of a policy: none may be refused."""

from __future__ import annotations

from datetime import UTC, datetime

LAST_MS = 253_402_300_799_000
"""The last second that a datetime can be."""


def write_moment(ms: int) -> str:
    moment = datetime.fromtimestamp(min(max(ms, 0), LAST_MS) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
