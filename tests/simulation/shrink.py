"""Makes a scenario that fails smaller: what can be left out without its passing is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from durable.flow import Limit
from tests.simulation.scenario import Scenario

T = TypeVar("T")


def shrink(scenario: Scenario, fails: Callable[[Scenario], bool]) -> Scenario:
    """Halves first, then single operations and faults."""
    orders = _fewer(scenario.bells.orders, lambda left: fails(_with_bells(scenario, orders=left)))
    scenario = _with_bells(scenario, orders=orders)
    declared = _fewer(scenario.bells.declared, lambda left: fails(_with_bells(scenario, declared=left)))
    scenario = _with_bells(scenario, declared=declared)
    changes = _fewer(scenario.limits.changes, lambda left: fails(_with_limits(scenario, changes=left)))
    scenario = _with_limits(scenario, changes=changes)
    for n in range(len(scenario.limits.deployments)):
        scenario = _fewer_declared(scenario, n, fails)
    faults = _fewer(scenario.faults, lambda left: fails(msgspec.structs.replace(scenario, faults=left)))
    scenario = msgspec.structs.replace(scenario, faults=faults)
    operations = _fewer(scenario.operations, lambda left: fails(msgspec.structs.replace(scenario, operations=left)))
    return msgspec.structs.replace(scenario, operations=operations)


def _with_bells(scenario: Scenario, **fields: Any) -> Scenario:
    return msgspec.structs.replace(scenario, bells=msgspec.structs.replace(scenario.bells, **fields))


def _with_limits(scenario: Scenario, **fields: Any) -> Scenario:
    return msgspec.structs.replace(scenario, limits=msgspec.structs.replace(scenario.limits, **fields))


def _fewer_declared(scenario: Scenario, n: int, fails: Callable[[Scenario], bool]) -> Scenario:
    left = _fewer(scenario.limits.deployments[n], lambda left: fails(_deployed(scenario, n, left)))
    return _deployed(scenario, n, left)


def _deployed(scenario: Scenario, n: int, declared: tuple[Limit, ...]) -> Scenario:
    before = scenario.limits.deployments
    return _with_limits(scenario, deployments=(*before[:n], declared, *before[n + 1 :]))


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
