"""A cold start: from the first import to the first reply, in a new interpreter over a new file."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.rounds import Spread
from benchmarks.scale import Scale
from benchmarks.table import Row, at_most

_CODE = """
import time
began = time.perf_counter()
import asyncio, sys
from benchmarks.growth.first_reply import main
asyncio.run(main(sys.argv[1]))
print(time.perf_counter() - began)
"""


class Start(msgspec.Struct, frozen=True):
    seconds: list[float]


def measure(scale: Scale) -> Start:
    return Start([_start() for _ in range(scale.starts)])


def rows(found: Start) -> list[Row]:
    return [at_most("cold start: import to first reply, s", 0.5, Spread.of(found.seconds))]


def _start() -> float:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        command = [sys.executable, "-c", _CODE, str(Path(directory, "engine.db"))]
        return float(subprocess.run(command, check=True, capture_output=True).stdout)
