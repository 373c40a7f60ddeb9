"""Where the time goes, room by room, from what ``py-spy record --format raw`` has sampled.

``py-spy record --format raw --output stacks.txt -- python -m benchmarks.profile three_steps``, and then
``python -m benchmarks.rooms stacks.txt``.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.table import markdown

_ROOMS = ("core", "runtime", "store")
_FRAME = re.compile(r"(?P<function>.*) \((?P<file>.*?)(:\d+)?\)$")


def main() -> None:
    arguments = ArgumentParser(prog="python -m benchmarks.rooms", description=__doc__)
    arguments.add_argument("stacks", type=Path)
    shares = by_room(arguments.parse_args().stacks.read_text().splitlines())
    print(markdown(["where", "share"], [[room, f"{share:.0%}"] for room, share in shares]))


def by_room(stacks: Iterable[str]) -> list[tuple[str, float]]:
    """The share of the samples whose innermost frame of Python is there, the largest first."""
    samples = Counter[str]()
    for stack in stacks:
        frames, _, count = stack.rpartition(" ")
        if "importlib" not in frames:  # what it does before it begins
            samples[_room(frames.split(";")[-1])] += int(count)
    total = sum(samples.values())
    return [(room, count / total) for room, count in samples.most_common()]


def _room(frame: str) -> str:
    met = _FRAME.match(frame)
    file = met["file"] if met else frame
    if "asyncio/" in file or file.endswith("selectors.py"):
        return "asyncio"
    if "aiosqlite/" in file:
        return "aiosqlite"
    _, inside, rest = file.rpartition("durable/")
    if inside and file.endswith(".py"):
        room = rest.split("/")[0]
        return f"durable/{room}" if room in _ROOMS else "durable, the author's face"
    return "the benchmark" if "benchmarks/" in file else "other"


if __name__ == "__main__":
    main()
