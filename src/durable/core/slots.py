"""Where an invocation has slots, and whether all that are taken are somebody's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from durable.core.ids import InvocationId
from durable.core.invocation import Invocation
from durable.core.lanes import Lane, LaneKey, Meter
from durable.flow import Path


class Slots(NamedTuple):
    """Of one invocation that runs, or that keeps some while it does not: one slot at each meter."""

    key: LaneKey
    instance_key: str | None
    """Of its virtual object; the lane need not say."""
    meters: tuple[Meter, ...]
    """Empty, if the limit that it held one of is gone for now."""


def imbalance(
    meters: Mapping[Path, Meter],
    lanes: Iterable[Lane],
    slots: Mapping[InvocationId, Slots],
    running: Iterable[Invocation],
) -> list[str]:
    """Where the slots that are taken are not those of who runs, holds, or was picked."""
    owners = {invocation.id for invocation in running}
    wrong = [f"invocation {id.hex()} runs, and has no slots" for id in owners - slots.keys()]
    taken = _taken(lanes, slots.values())
    wrong += [
        f"{meter.name} counts {meter.used} slots, and {taken[path]} are taken"
        for path, meter in meters.items()
        if meter.used != taken[path]
    ]
    idle = (id for id, slot in slots.items() if id not in owners and not all(meter.limit.hold for meter in slot.meters))
    return wrong + [f"invocation {id.hex()} does not run, and has slots" for id in idle]


def _taken(lanes: Iterable[Lane], slots: Iterable[Slots]) -> Counter[Path]:
    taken = Counter(meter.path for slot in slots for meter in slot.meters)
    for lane in lanes:
        taken.update(meter.path for meter in (*lane.meters * lane.picked, *lane.meters[: lane.claims]))
    return taken
