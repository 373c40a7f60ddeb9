"""A handler that ends its process, again and again: it is paused, and all others get their results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from durable.audit import audit
from tests.crash.poison import OTHERS, Said

ROOT = Path(__file__).parents[2]
MOST = 5
"""Deaths that one handler may cost, while it records nothing new."""


def live(path: Path, where: str, kind: str) -> bytes:
    """What a process said, which is nothing if it died."""
    order = [sys.executable, "-m", "tests.crash.poison", str(path), where, kind]
    return subprocess.run(order, cwd=ROOT, capture_output=True, timeout=60, check=False).stdout


def lives(path: Path, where: str, kind: str, most: int) -> tuple[int, Said]:
    """Start it until it lives: how often it died, and what it said."""
    for deaths in range(most + 1):
        if said := live(path, where, kind):
            return deaths, msgspec.json.decode(said, type=Said)
    pytest.fail(f"it died {most + 1} times")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("handler", "exit"),
        ("handler", "kill"),
        ("handler", "segfault"),
        ("handler", "fork"),
        ("handler", "spin"),
        ("step", "kill"),
        ("step", "late"),
    ],
)
def test_whoever_ends_the_process_again_and_again_is_paused(tmp_path: Path, where: str, kind: str) -> None:
    deaths, said = lives(tmp_path / "db", where, kind, MOST)

    assert 1 <= deaths <= MOST
    assert (said.status, said.others) == ("paused", list(range(OTHERS)))
    assert "times while this invocation ran and recorded nothing new" in said.why
    assert audit(tmp_path / "db").clean


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "kind", "error"), [("step", "memory", "MemoryError"), ("handler", "recursion", "RecursionError")]
)
def test_what_python_notices_itself_is_an_error_like_any_other(
    tmp_path: Path, where: str, kind: str, error: str
) -> None:
    _, said = lives(tmp_path / "db", where, kind, 0)

    assert (said.status, said.others) == ("paused", list(range(OTHERS)))
    assert error in said.why
