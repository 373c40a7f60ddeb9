"""What every group of verbs on a context stands on: the machine, and that no step uses it."""

from __future__ import annotations

from durable.action import outside_steps
from durable.machine import Machine


class Verbs:
    def __init__(self, machine: Machine, /) -> None:
        self._attempt = machine

    @property
    def _machine(self) -> Machine:
        return outside_steps(self._attempt)
