"""Draws docs/benchmarks/results.json: ``python -m benchmarks.charts``. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import matplotlib as mpl
import msgspec
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from benchmarks.in_process import CEILING, THREE_STEPS
from benchmarks.page import CHARTS, FOLDER
from benchmarks.peers.contest import MANY, OURS
from benchmarks.results import Results
from benchmarks.rounds import Measured, Spread

mpl.rcParams.update(
    {
        # Text stays text, and two runs over one file make one picture.
        "svg.fonttype": "none",
        "svg.hashsalt": "durable",
        "font.size": 9,
        "axes.grid": True,
        "grid.alpha": 0.3,
    }
)


def throughput(found: Results, axes: Axes) -> None:
    if found.in_process is not None:
        for name, label in ((CEILING, CEILING), (THREE_STEPS, OURS)):
            _rates(axes, {at: load[name] for at, load in found.in_process.loads.items()}, label, "-")
    if found.peers is not None:
        for name in (name for name in found.peers.in_process[MANY] if name != OURS):
            _rates(axes, {at: load[name] for at, load in found.peers.in_process.items()}, name, "--")
    axes.set(xlabel="at a time", ylabel="invocations per second")
    _logarithmic(axes.xaxis, axes.yaxis)
    axes.legend()


def latency(found: Results, axes: Axes) -> None:
    if found.peers is None:
        return
    load = found.peers.over_http[MANY]
    for place, (name, each) in enumerate(load.items()):
        quantiles = [each.spread(lambda run: run.p50_ms), each.spread(lambda run: run.p90_ms), each.p99_ms]
        where = [at + 0.25 * place for at in range(3)]
        axes.bar(where, [one.median for one in quantiles], 0.25, yerr=_errors(quantiles), capsize=3, label=name)
    axes.set(xticks=[0.25, 1.25, 2.25], xticklabels=["p50", "p90", "p99"], ylim=(0, None), ylabel="ms")
    axes.legend()


def memory(found: Results, axes: Axes) -> None:
    if found.sleepers is None:
        return
    counts = [point.sleepers for point in found.sleepers.points]
    axes.plot(counts, [point.opened.resident_bytes / 1e6 for point in found.sleepers.points], "o-", label="resident")
    axes.plot(counts, [point.file_bytes / 1e6 for point in found.sleepers.points], "s--", label="file")
    axes.set(xlabel="suspended invocations", ylabel="MB")
    _logarithmic(axes.xaxis, axes.yaxis)
    axes.legend()


def journal(found: Results, axes: Axes) -> None:
    if found.journal is None:
        return
    parts = [Spread.of(list(part)) for part in zip(*found.journal.steps_ms, strict=True)]
    each = found.journal.entries / len(parts)
    where = [each * (place + 0.5) for place in range(len(parts))]
    axes.errorbar(where, [part.median for part in parts], _errors(parts), marker="o", capsize=3)
    axes.set(ylim=(0, None), xlabel="entries in the journal", ylabel="ms per step, one commit each")


def _rates(axes: Axes, loads: Mapping[int, Measured], name: str, style: str) -> None:
    rates = [each.rate for each in loads.values()]
    medians = [rate.median for rate in rates]
    axes.errorbar(list(loads), medians, _errors(rates), marker="o", linestyle=style, capsize=3, label=name)


def _logarithmic(*both: Axis) -> None:
    for axis in both:
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))


def _errors(spreads: list[Spread]) -> list[list[float]]:
    """How far the rounds reach below and above their medians."""
    return [[one.median - one.least for one in spreads], [one.most - one.median for one in spreads]]


DRAWN: dict[str, Callable[[Results, Axes], None]] = {
    "throughput": throughput,
    "latency": latency,
    "memory": memory,
    "journal": journal,
}


def main() -> None:
    found = msgspec.json.decode((FOLDER / "results.json").read_bytes(), type=Results)
    for name, title in CHARTS.items():
        figure = Figure(figsize=(6.4, 4), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title)
        DRAWN[name](found, axes)
        figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
