"""Measure, and print what was found beside the targets.

At full scale it is also written to docs/benchmarks/, from where ``python -m benchmarks.charts`` draws it.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path

import msgspec

from benchmarks.page import FOLDER, page
from benchmarks.results import PARTS, Results, details, measure, rows
from benchmarks.scale import FULL, QUICK, TINY
from benchmarks.table import targets

_SCALES = {"full": FULL, "quick": QUICK, "tiny": TINY}


def main() -> None:
    arguments = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    arguments.add_argument("--scale", choices=_SCALES, default="full", help="quick: two minutes, without the peers")
    arguments.add_argument("--only", choices=PARTS, nargs="+", help="measure these, and keep the others as they were")
    chosen = arguments.parse_args()
    full = chosen.scale == "full"
    parts = chosen.only or [part for part in PARTS if full or part != "peers"]
    kept = FOLDER / "results.json"
    before = _read(kept) if full and chosen.only else None
    found = measure(_SCALES[chosen.scale], parts, lambda line: print(line, file=sys.stderr, flush=True), before)
    print("\n".join([targets(rows(found)), *details(found)]))
    if full:
        FOLDER.mkdir(exist_ok=True)
        kept.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
        (FOLDER / "README.md").write_text(page(found))


def _read(path: Path) -> Results | None:
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else None


if __name__ == "__main__":
    main()
