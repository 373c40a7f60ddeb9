"""``python -m tests.simulation SEED`` shows one seed; ``--seeds N --from S`` runs many."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.simulation.scenario import scenario
from tests.simulation.shrink import shrink
from tests.simulation.simulation import simulate

SHRINKING_S = 300
"""After that what is left to be made smaller stays as it is: a seed that hangs does so each time."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="show what happens with this seed")
    parser.add_argument("--seeds", type=int, default=100, metavar="N")
    parser.add_argument("--from", type=int, default=0, metavar="S", dest="first")
    parser.add_argument("--store", choices=("memory", "sqlite"), help="for every seed; otherwise each draws its own")
    asked = parser.parse_args()
    sqlite = None if asked.store is None else asked.store == "sqlite"
    return show(asked.seed, sqlite) if asked.seed is not None else soak(asked.first, asked.seeds, sqlite)


def show(seed: int, sqlite: bool | None) -> int:
    report = simulate(scenario(seed, sqlite=sqlite))
    if report.violations:
        print(story(seed, sqlite))
        return 1
    print("\n".join(report.lines))
    print(f"seed {seed}: nothing is wrong; trace {report.trace[:16]}; {dict(report.counts)}")
    return 0


def soak(first: int, seeds: int, sqlite: bool | None) -> int:
    """Tells the whole story of the first seed that fails, and of each one how to hear it."""
    counts, bad, began = Counter[str](), list[int](), time.perf_counter()
    for seed in range(first, first + seeds):
        report = simulate(scenario(seed, sqlite=sqlite))
        counts += report.counts
        if report.violations:
            bad.append(seed)
            print(f"seed {seed}: {report.violations[0]}\n{command(seed, sqlite)}", flush=True)
            if len(bad) == 1:
                print(story(seed, sqlite), flush=True)
    seconds = time.perf_counter() - began
    totals = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(f"{seeds} seeds from {first} in {seconds:.1f} s, {seeds / seconds:.1f} a second: {totals}; {len(bad)} failed")
    return bool(bad)


def story(seed: int, sqlite: bool | None = None) -> str:
    """The smallest scenario that fails too, what happened in it, and how to see it again."""
    until = time.monotonic() + SHRINKING_S
    small = shrink(
        scenario(seed, sqlite=sqlite), lambda each: time.monotonic() < until and bool(simulate(each).violations)
    )
    report = simulate(small)
    given = [f"  {each}" for each in (*small.operations, *small.faults, *small.limits.changes, *small.bells.orders)]
    given += [f"  declared: {each}" for each in small.limits.deployments if any(small.limits.deployments)]
    given += [f"  declared: {each}" for each in small.bells.declared]
    happened = ["what happened:", *report.lines, *report.violations]
    return "\n".join(["shrunk to:", *given, *happened, "again:", command(seed, sqlite)])


def command(seed: int, sqlite: bool | None) -> str:
    store = "" if sqlite is None else f" --store {'sqlite' if sqlite else 'memory'}"
    return f"  python -m tests.simulation {seed}{store}"


if __name__ == "__main__":
    sys.exit(main())
