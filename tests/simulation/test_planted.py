"""The simulation finds what is wrong: each of these bugs, planted in the engine, within so many seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from durable.core import lifecycle
from durable.core.entries import Completed
from durable.core.keylock import KeyLock
from durable.core.ledger import Ledger, Resident
from durable.runtime import outside
from durable.runtime.invoker import Invoker
from durable.runtime.writer import Writer
from durable.store.memory import MemoryStore
from tests.simulation.__main__ import story
from tests.simulation.scenario import scenario
from tests.simulation.simulation import simulate

SEEDS = 40

Plant = Callable[[pytest.MonkeyPatch], None]


def acknowledge_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    async def until(self: Writer, number: int, *, patient: bool = False) -> None:
        """Nobody waits."""

    patch.setattr(Writer, "until", until)


def begin_a_step_before_its_commit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Writer, "when", lambda self, number, callback: callback())


def drop_timers(patch: pytest.MonkeyPatch) -> None:
    arm = Ledger.arm

    def forget(self: Ledger, resident: Resident, due_ms: int, completion: int) -> None:
        if not completion or due_ms % 3:
            arm(self, resident, due_ms, completion)

    patch.setattr(Ledger, "arm", forget)


def lose_the_key_on_suspension(patch: pytest.MonkeyPatch) -> None:
    suspend = Invoker.suspend

    def let_go(self: Invoker, id: Any) -> None:
        attempt = self.attempts.get(id)
        suspend(self, id)
        if attempt is not None and attempt.resident.invocation.place is not None:
            lock = self._kernel.ledger.instance_of(attempt.resident.invocation).lock
            lock.leave(id)
            lock.enter(id)

    patch.setattr(Invoker, "suspend", let_go)


def let_two_hold_a_key(patch: pytest.MonkeyPatch) -> None:
    enter = KeyLock.enter
    patch.setattr(KeyLock, "enter", lambda self, id: enter(self, id) or True)


def run_recorded_steps_again(patch: pytest.MonkeyPatch) -> None:
    load = MemoryStore.load

    async def forget(self: MemoryStore, id: Any, /) -> Any:
        loaded = await load(self, id)
        if loaded is not None:
            last = [entry for entry in loaded.entries if isinstance(entry, Completed)][-1:]
            loaded.entries = [entry for entry in loaded.entries if entry not in last]
        return loaded

    patch.setattr(MemoryStore, "load", forget)


def forget_idempotency_keys(patch: pytest.MonkeyPatch) -> None:
    derived_id = outside.derived_id
    patch.setattr(
        outside, "derived_id", lambda *names, workflow: derived_id(*names, workflow=True) if workflow else None
    )


def forget_to_start_the_next_in_line(patch: pytest.MonkeyPatch) -> None:
    leave = KeyLock.leave

    def silent(self: KeyLock, id: Any) -> None:
        leave(self, id)

    patch.setattr(KeyLock, "leave", silent)


def recover_nothing(patch: pytest.MonkeyPatch) -> None:
    async def running(self: MemoryStore, *, after: int, limit: int) -> list[Any]:
        return []

    patch.setattr(MemoryStore, "running", running)


def wake_nobody_after_a_suspension(patch: pytest.MonkeyPatch) -> None:
    start = lifecycle.start

    def sleep_on(ledger: Ledger, resident: Resident, now_ms: int) -> None:
        if not resident.invocation.awaiting:
            start(ledger, resident, now_ms)

    patch.setattr(lifecycle, "start", sleep_on)


PLANTS: list[Plant] = [
    acknowledge_before_the_commit,
    begin_a_step_before_its_commit,
    drop_timers,
    lose_the_key_on_suspension,
    let_two_hold_a_key,
    run_recorded_steps_again,
    forget_idempotency_keys,
    forget_to_start_the_next_in_line,
    recover_nothing,
    wake_nobody_after_a_suspension,
]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)

    assert next((seed for seed in range(SEEDS) if simulate(seed).violations), None) is not None


def test_what_failed_is_told_as_a_few_operations_and_how_to_see_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    let_two_hold_a_key(monkeypatch)
    seed = next(seed for seed in range(SEEDS) if simulate(seed).violations)

    told = story(scenario(seed))

    assert told.count("Operation(") < len(scenario(seed).operations)
    assert "VIOLATION" in told
    assert told.endswith(f"python -m tests.simulation {seed}")
