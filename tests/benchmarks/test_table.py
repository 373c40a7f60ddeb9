"""The benchmarks run, at a scale that says nothing about speed, and their table has a row for every target."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ROWS = (
    "three steps in process",
    "three steps, alone",
    "`add` on one key",
    "`add` on 1,000 keys",
    "CPU per invocation",
    "over HTTP, 64 at a time, to Restate",
    "over HTTP, alone",
    "in process, 64 at a time, to DBOS",
    "entries: a step at its end",
    "entries: replay",
    "suspended: resident",
    "suspended: file",
    "after a close",
    "after a crash",
    "a wake-up",
    "timers due at once: all fired",
    "timers due at once: p99 of others",
    "queued on one key: memory",
    "queued on one key: time to admit",
    "HTTP callers: answered",
    "HTTP callers: resident",
    "cold start",
    "bytes on disk",
    "file after a purge",
)


@pytest.mark.slow
def test_every_target_has_a_row() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--scale", "tiny"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.count("|") == 5]
    assert [row for row in ROWS if not any(row in line for line in lines)] == [], done.stdout
