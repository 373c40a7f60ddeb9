"""In process: the engine's workloads, the ceiling and the disk, interleaved."""

from __future__ import annotations

import msgspec

from benchmarks.ceiling import COMMITS, ceiling
from benchmarks.disk import bare_commit, bare_fdatasync
from benchmarks.load import Load
from benchmarks.rounds import Contestant, Measured, Spread, rounds
from benchmarks.scale import Scale
from benchmarks.table import Row, at_least, at_most, cell, markdown, reported
from benchmarks.workloads import call, no_steps, on_engine, one_key, thousand_keys, three_steps

CEILING = "ceiling"
COMMIT = "bare commit"
NO_STEPS = "no steps"
THREE_STEPS = "three steps"
CALL = "call to another service"
ONE_KEY = "add, one key"
THOUSAND_KEYS = "add, 1,000 keys"
BUSY = 128
"""The concurrency of the targets."""

_EVERYWHERE: dict[str, Contestant] = {CEILING: ceiling, THREE_STEPS: on_engine(three_steps)}
_ALONE: dict[str, Contestant] = {"bare fdatasync": bare_fdatasync, COMMIT: bare_commit}
_BUSY = {
    NO_STEPS: on_engine(no_steps),
    CALL: on_engine(call),
    ONE_KEY: on_engine(one_key),
    THOUSAND_KEYS: on_engine(thousand_keys),
}
_MORE = {1: _ALONE, BUSY: _BUSY}


class InProcess(msgspec.Struct, frozen=True):
    loads: dict[int, dict[str, Measured]]
    """By concurrency and name."""

    def share(self, name: str, concurrency: int = BUSY) -> Spread:
        """Of the ceiling's rate."""
        return self.loads[concurrency][name].rates_to(self.loads[concurrency][CEILING])


def measure(scale: Scale) -> InProcess:
    return InProcess(
        {
            concurrency: rounds(_EVERYWHERE | _MORE.get(concurrency, {}), _load(concurrency, scale), scale.rounds)
            for concurrency in scale.concurrencies
        }
    )


def _load(concurrency: int, scale: Scale) -> Load:
    # Until SQLite begins to use its log again, a commit makes the file longer, and takes twice as long: alone,
    # that is more than a second.
    return Load(concurrency, scale.seconds, scale.warm_up * (4 if concurrency == 1 else 1))


def rows(found: InProcess) -> list[Row]:
    alone, busy = found.loads[1], found.loads[BUSY]
    waits = alone[THREE_STEPS].times_to(alone[COMMIT], COMMITS)
    bare = alone[CEILING].times_to(alone[COMMIT], COMMITS)
    cpu = ", ".join(f"{name} {busy[name].cpu_us.median:.0f}" for name in (NO_STEPS, THREE_STEPS, CALL))
    return [
        at_least(f"three steps in process, {BUSY} at a time, to the ceiling", 0.40, found.share(THREE_STEPS)),
        at_most(f"three steps, alone: time to {COMMITS} bare commits (the ceiling: {bare.median:.1f})", 1.6, waits),
        at_least("`add` on one key, to the ceiling", 0.25, found.share(ONE_KEY)),
        at_least("`add` on 1,000 keys, to the ceiling", 0.35, found.share(THOUSAND_KEYS)),
        reported("µs of CPU per invocation", cpu),
    ]


def details(found: InProcess) -> str:
    """One line per contestant and concurrency."""
    lines = [
        [
            name,
            str(concurrency),
            cell(each.rate, "{:,.0f}"),
            cell(found.share(name, concurrency)),
            cell(each.p50_ms),
            cell(each.p99_ms),
            cell(each.cpu_us, "{:,.0f}"),
        ]
        for concurrency, load in found.loads.items()
        for name, each in load.items()
    ]
    return markdown(["workload", "at a time", "per second", "to the ceiling", "p50 ms", "p99 ms", "CPU µs each"], lines)
