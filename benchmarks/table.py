"""The table of targets, with what was measured beside each."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from benchmarks.rounds import Spread


class Row(msgspec.Struct, frozen=True):
    what: str
    target: str
    measured: str
    reached: bool | None
    """``None``: there is nothing to reach."""


def at_least(what: str, target: float, figure: Spread | float, shown: str = "{:.2f}") -> Row:
    found = _spread(figure)
    return Row(what, f">= {shown.format(target)}", cell(found, shown), found.median >= target)


def at_most(what: str, target: float, figure: Spread | float, shown: str = "{:.2f}") -> Row:
    found = _spread(figure)
    return Row(what, f"<= {shown.format(target)}", cell(found, shown), found.median <= target)


def missing(what: str, target: str) -> Row:
    """One that this run leaves out."""
    return Row(what, target, "not measured here", None)


def _spread(figure: Spread | float) -> Spread:
    return figure if isinstance(figure, Spread) else Spread.of([figure])


def reported(what: str, measured: str) -> Row:
    return Row(what, "reported", measured, None)


def cell(figure: Spread, shown: str = "{:.2f}") -> str:
    """The median, and how far the rounds were apart."""
    least, most = shown.format(figure.least), shown.format(figure.most)
    spread = "" if least == most else f" ({least} to {most})"
    return shown.format(figure.median) + spread


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines)) + "\n"


def targets(rows: Sequence[Row]) -> str:
    verdicts = {True: "yes", False: "**no**", None: ""}
    lines = [[row.what, row.target, row.measured, verdicts[row.reached]] for row in rows]
    return markdown(["what", "target", "measured: median (least to most)", "reached"], lines)
