"""One workload and nothing else, for a profiler: ``py-spy record -- python -m benchmarks.profile three_steps``."""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser
from pathlib import Path

from benchmarks.ceiling import ceiling
from benchmarks.load import Load
from benchmarks.rounds import Contestant
from benchmarks.workloads import call, no_steps, on_engine, one_key, thousand_keys, three_steps

_WORKLOADS = {each.__name__: on_engine(each) for each in (three_steps, no_steps, call, one_key, thousand_keys)}


def main() -> None:
    contestants: dict[str, Contestant] = {"ceiling": ceiling, **_WORKLOADS}
    arguments = ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    arguments.add_argument("workload", choices=contestants)
    arguments.add_argument("--concurrency", type=int, default=128)
    arguments.add_argument("--seconds", type=float, default=5.0)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        run = contestants[chosen.workload](Path(directory), Load(chosen.concurrency, chosen.seconds, 0.5))
    print(f"{run.rate:,.0f} per second, {run.cpu_us:,.0f} µs of CPU each, p50 {run.p50_ms:.2f} ms")


if __name__ == "__main__":
    main()
