"""Makes a scenario that fails smaller: what can be left out without its passing is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from tests.simulation.scenario import Scenario

T = TypeVar("T")


def shrink(scenario: Scenario, fails: Callable[[Scenario], bool]) -> Scenario:
    """Halves first, then single operations and faults."""
    faults = _fewer(scenario.faults, lambda left: fails(msgspec.structs.replace(scenario, faults=left)))
    scenario = msgspec.structs.replace(scenario, faults=faults)
    operations = _fewer(scenario.operations, lambda left: fails(msgspec.structs.replace(scenario, operations=left)))
    return msgspec.structs.replace(scenario, operations=operations)


def _fewer(items: tuple[T, ...], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    size = max(len(items) // 2, 1)
    while True:
        start = 0
        while start < len(items):
            left = items[:start] + items[start + size :]
            if fails(left):
                items = left
            else:
                start += size
        if size == 1:
            return items
        size //= 2
