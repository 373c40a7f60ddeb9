"""The page of results, as Markdown."""

from __future__ import annotations

from benchmarks.process import ROOT
from benchmarks.results import Results, details, rows
from benchmarks.table import targets

FOLDER = ROOT / "docs/benchmarks"

CHARTS = {
    "throughput": "Throughput against concurrency, three steps, in process",
    "latency": "Latency over HTTP, three steps, 64 at a time",
    "memory": "Memory and file against suspended invocations",
    "journal": "Cost per step against the length of the journal",
}

_HEAD = """# Benchmarks

Made by `make bench`, which measures all of this again. What is measured, why it costs what it costs, and what to make
of it is in [performance](../performance.md).

Last measured on {machine.when}, some parts earlier that day: {machine.processors} processors, {machine.system}, Python
{machine.python}, SQLite {machine.sqlite}. Every commit is synced to the disk, ours and theirs. Contestants take turns,
and every figure is the median of the rounds with the least and the most: on a shared machine the ratios say more than
the figures.

## Targets

"""


def page(found: Results) -> str:
    charts = [f"![{title}]({name}.svg)\n" for name, title in CHARTS.items()]
    return "\n".join(
        [_HEAD.format(machine=found.machine) + targets(rows(found)), "## In detail\n", *details(found), *charts]
    )
