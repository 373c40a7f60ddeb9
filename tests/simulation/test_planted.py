"""The simulation finds what is wrong: each of these bugs, planted in the engine, within so many seeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import msgspec
import pytest

from durable import engine
from durable.core import control, lifecycle
from durable.core.admission import Admission
from durable.core.awaits import One, Timeout
from durable.core.entries import Completed, Signalled
from durable.core.ids import InvocationId, derived
from durable.core.invocation import Flow, Kind
from durable.core.keylock import KeyLock
from durable.core.lanes import Lane, Mode
from durable.core.ledger import Ledger, Resident, Rule
from durable.core.outcome import Failure
from durable.core.schedule import Schedule
from durable.core.timers import Timers
from durable.core.turns import Turns
from durable.errors import StoreError
from durable.machine import Machine
from durable.replacement import REPLACE_STATE, Replacement, StateReplacer
from durable.runtime import outside
from durable.runtime.attempt import Attempt
from durable.runtime.clock import _SystemAlarm
from durable.runtime.gatekeeper import Gatekeeper
from durable.runtime.invoker import Invoker
from durable.runtime.residency import Residency
from durable.runtime.scheduler import Plan, Scheduler
from durable.runtime.writer import Writer
from durable.store.memory import MemoryStore
from durable.store.queries import QUERIES
from tests.simulation.__main__ import story
from tests.simulation.scenario import HOUR, scenario
from tests.simulation.simulation import simulate

SEEDS = 100

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


def look_at_the_clock_when_an_alarm_rings_only(patch: pytest.MonkeyPatch) -> None:
    def arm(self: _SystemAlarm) -> asyncio.TimerHandle:
        delay = max(self._due_ms - self._clock.now_ms(), 0) / 1000
        return asyncio.get_running_loop().call_later(delay, self._ring)

    patch.setattr(_SystemAlarm, "_arm", arm)


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
    admit = lifecycle._admit

    def enter(ledger: Ledger, resident: Resident, now_ms: int) -> None:
        if resident.invocation.request.kind is Kind.EXCLUSIVE and resident.invocation.place is None:
            lifecycle._take_place(ledger, resident)
        admit(ledger, resident, Mode.START, now_ms)

    patch.setattr(lifecycle, "_enter", enter)


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


def forget_nothing_that_is_purged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(control, "purge", lambda ledger, resident: None)


def keep_the_journal_that_is_purged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(control, "purge_journal", lambda ledger, resident: None)


def lose_the_outcome_with_the_journal(patch: pytest.MonkeyPatch) -> None:
    purge_journal = control.purge_journal

    def too_much(ledger: Ledger, resident: Resident) -> None:
        purge_journal(ledger, resident)
        ledger.change(resident, outcome=Failure(500, "gone"))

    patch.setattr(control, "purge_journal", too_much)


def restart_without_the_answers(patch: pytest.MonkeyPatch) -> None:
    kept = control._kept

    def forget(journal: Any, from_entry: int, name: str) -> list[Any]:
        return [entry for entry in kept(journal, from_entry, name) if not isinstance(entry, Completed)]

    patch.setattr(control, "_kept", forget)


def restart_twice(patch: pytest.MonkeyPatch) -> None:
    restart = control.restart

    def twice(ledger: Ledger, plan: control.Restart, now_ms: int) -> Resident:
        restart(ledger, plan, now_ms)
        return restart(ledger, plan._replace(id=InvocationId(bytes(reversed(plan.id)))), now_ms)

    patch.setattr(control, "restart", twice)


def lose_signals_that_come_early(patch: pytest.MonkeyPatch) -> None:
    notify = lifecycle.notify

    def deaf(ledger: Ledger, resident: Resident, entry: Any, now_ms: int) -> None:
        early = isinstance(entry, Signalled) and isinstance(entry.signal, str)
        if not early or resident.invocation.awaiting:
            notify(ledger, resident, entry, now_ms)

    patch.setattr(lifecycle, "notify", deaf)


def replace_state_out_of_turn(patch: pytest.MonkeyPatch) -> None:
    directory = engine.directory

    def rules(bound: Any) -> dict[tuple[str, str], Rule]:
        shared = Rule(Kind.SHARED, retention_ms=0)
        return {names: shared if names[1] == REPLACE_STATE else rule for names, rule in directory(bound).items()}

    patch.setattr(engine, "directory", rules)


def replace_state_of_any_version(patch: pytest.MonkeyPatch) -> None:
    invoke = StateReplacer.invoke

    def careless(self: StateReplacer, machine: Machine, payload: bytes) -> Any:
        wanted = msgspec.msgpack.decode(payload, type=Replacement)
        return invoke(self, machine, Replacement(wanted.state).encode())

    patch.setattr(StateReplacer, "invoke", careless)


def wake_sleepers_early(patch: pytest.MonkeyPatch) -> None:
    due, fire = Timers.due, lifecycle.fire
    patch.setattr(Timers, "due", lambda self, now_ms: due(self, now_ms + 200))
    patch.setattr(lifecycle, "fire", lambda *what: fire(*what[:-1], what[-1] + 200))


def let_time_run_backwards(patch: pytest.MonkeyPatch) -> None:
    """What is overwritten here keeps a clock that stepped back between two engines from being believed."""
    change = Ledger.change

    def believe(self: Ledger, resident: Resident, *, modified_ms: int = 0, **fields: object) -> None:
        change(self, resident, **(fields | {"modified_ms": modified_ms} if modified_ms else fields))
        if modified_ms:
            resident.invocation = msgspec.structs.replace(resident.invocation, modified_ms=modified_ms)
            self.commit.change(resident.invocation)

    patch.setattr(Ledger, "change", believe)


def stop_timers_while_the_disk_is_full(patch: pytest.MonkeyPatch) -> None:
    until = Writer.until

    async def impatient(self: Writer, number: int, *, patient: bool = False) -> None:
        await until(self, number)

    patch.setattr(Writer, "until", impatient)


def take_for_absent_what_was_not_read(patch: pytest.MonkeyPatch) -> None:
    read = Residency._read

    async def shrug(self: Residency, needed: Any) -> None:
        with suppress(StoreError):
            await read(self, needed)

    patch.setattr(Residency, "_read", shrug)


def recover_only_what_a_finished_recovery_left(patch: pytest.MonkeyPatch) -> None:
    running = MemoryStore.running
    seen = WeakKeyDictionary[object, set[bytes]]()

    async def once(self: MemoryStore, *, after: int, limit: int) -> list[Any]:
        """Whoever died in the first engine that saw them is taken for one of the second's."""
        known, page = seen.setdefault(self.disk, set()), await running(self, after=after, limit=limit)
        new = [each for each in page if each[1] not in known]
        known |= {id for _, id in new}
        return new

    patch.setattr(MemoryStore, "running", once)


def lose_a_slot_on_suspension(patch: pytest.MonkeyPatch) -> None:
    release = Admission._release

    def lose(self: Admission, id: InvocationId, *, keep: bool) -> None:
        if keep:
            self.slots.pop(id, None)
        release(self, id, keep=keep)

    patch.setattr(Admission, "_release", lose)


def tell_nobody_that_a_slot_is_free(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Turns, "open_next", lambda self, meter: None)


def give_slots_again_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Admission, "count", lambda self, invocation: None)


def forget_at_a_restart(what: str) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        flow = MemoryStore.flow

        async def forget(self: MemoryStore) -> Flow:
            return msgspec.structs.replace(await flow(self), **{what: type(getattr(await flow(self), what))()})

        patch.setattr(MemoryStore, "flow", forget)

    plant.__name__ = f"forget_{what}_at_a_restart"
    return plant


def forget_holds_at_a_restart(patch: pytest.MonkeyPatch) -> None:
    async def nobody(self: MemoryStore, *, after: int, limit: int) -> list[Any]:
        return []

    patch.setattr(MemoryStore, "holders", nobody)


def let_in_who_waits_before_who_ran_is_counted(patch: pytest.MonkeyPatch) -> None:
    open = Gatekeeper.open

    async def hurry(self: Gatekeeper) -> None:
        await open(self)
        self._kernel.ledger.admission.opening = False
        self.arm()

    patch.setattr(Gatekeeper, "open", hurry)


def count_starts_when_they_are_picked(patch: pytest.MonkeyPatch) -> None:
    pick, admit = Admission.pick, Admission.admit
    picked_ms: dict[Lane, int] = {}

    def note(self: Admission, now_ms: int) -> Lane | None:
        lane = pick(self, now_ms)
        if lane is not None:
            picked_ms[lane] = now_ms
        return lane

    patch.setattr(Admission, "pick", note)
    patch.setattr(Admission, "admit", lambda self, lane, id, now_ms: admit(self, lane, id, picked_ms[lane]))


def load_nothing_that_the_next_run_needs(patch: pytest.MonkeyPatch) -> None:
    """Once there was a run, what the plan needs is not loaded."""
    needs = Scheduler._plan_needs

    def forget(self: Scheduler, plan: Plan) -> Iterator[Any]:
        return iter(()) if plan.schedule.last is not None else needs(self, plan)

    patch.setattr(Scheduler, "_plan_needs", forget)


def name_a_run_by_when_it_was_seen(patch: pytest.MonkeyPatch) -> None:
    plan = Scheduler._plan

    def misname(self: Scheduler, row: Schedule, now_ms: int) -> Plan:
        planned = plan(self, row, now_ms)
        run = planned.run
        if run is None:
            return planned
        return planned._replace(run=run._replace(id=derived("schedule", row.definition.id, str(row.seen_ms))))

    patch.setattr(Scheduler, "_plan", misname)


def record_commands_in_another_order(patch: pytest.MonkeyPatch) -> None:
    decide = Invoker._decide_staged

    def backwards(self: Invoker, attempt: Attempt) -> None:
        attempt.journal.staged.reverse()
        decide(self, attempt)

    patch.setattr(Invoker, "_decide_staged", backwards)


def let_an_answer_be_in_time_that_came_late(patch: pytest.MonkeyPatch) -> None:
    """Who asks before it came is told of the timeout, and who asks again is not."""
    settled = Timeout.settled
    patch.setattr(Timeout, "settled", lambda self, journal: self.part.settled(journal) or settled(self, journal))


def ask_for_the_time_where_a_replay_ends(patch: pytest.MonkeyPatch) -> None:
    sleep = Attempt.sleep

    def note(self: Attempt, duration: timedelta) -> One:
        if self in replayed and not self.journal.replaying:
            self.now()
        return sleep(self, duration)

    replayed, begin = WeakSet[Attempt](), Attempt.__init__

    def init(self: Attempt, host: Any, resident: Resident, instance: Any) -> None:
        begin(self, host, resident, instance)
        if resident.entries:
            replayed.add(self)

    patch.setattr(Attempt, "__init__", init)
    patch.setattr(Attempt, "sleep", note)


REPLAY_PLANTS: list[Plant] = [
    let_an_answer_be_in_time_that_came_late,
    ask_for_the_time_where_a_replay_ends,
]

PLANTS: list[Plant] = [
    *REPLAY_PLANTS,
    record_commands_in_another_order,
    acknowledge_before_the_commit,
    begin_a_step_before_its_commit,
    drop_timers,
    look_at_the_clock_when_an_alarm_rings_only,
    lose_the_key_on_suspension,
    let_two_hold_a_key,
    run_recorded_steps_again,
    forget_idempotency_keys,
    forget_to_start_the_next_in_line,
    recover_nothing,
    wake_nobody_after_a_suspension,
    forget_nothing_that_is_purged,
    keep_the_journal_that_is_purged,
    lose_the_outcome_with_the_journal,
    restart_without_the_answers,
    restart_twice,
    lose_signals_that_come_early,
    replace_state_out_of_turn,
    replace_state_of_any_version,
    wake_sleepers_early,
    let_time_run_backwards,
    stop_timers_while_the_disk_is_full,
    take_for_absent_what_was_not_read,
    recover_only_what_a_finished_recovery_left,
    lose_a_slot_on_suspension,
    tell_nobody_that_a_slot_is_free,
    give_slots_again_after_a_restart,
    forget_at_a_restart("limits"),
    forget_at_a_restart("rates"),
    forget_holds_at_a_restart,
    let_in_who_waits_before_who_ran_is_counted,
    count_starts_when_they_are_picked,
    load_nothing_that_the_next_run_needs,
    name_a_run_by_when_it_was_seen,
]


SQL_PLANTS = {
    "purge_journal": "DELETE FROM journal WHERE n = ? AND 0",
    "set_timer": "INSERT OR REPLACE INTO timer SELECT * FROM (SELECT ? AS due, ? AS n, ? AS completion) WHERE due % 3",
    "remove_waiter": "DELETE FROM waiter WHERE id = ? AND caller = ? AND completion = ? AND 0",
    "set_rate": "INSERT OR IGNORE INTO rate (path, next_start_us, crc) VALUES (?, ?, ?)",
    "remove_limit": "DELETE FROM flow_limit WHERE pattern = ? AND 0",
    "running": "SELECT n, id FROM invocation WHERE status = 'running' AND n > ? + 1 ORDER BY n LIMIT ?",
}


def assert_found(plant: Plant, *, sqlite: bool) -> None:
    """By a seed that finds nothing without it."""
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        seed = next((seed for seed in range(SEEDS) if simulate(scenario(seed, sqlite=sqlite)).violations), None)
    assert seed is not None
    assert simulate(scenario(seed, sqlite=sqlite)).violations == []


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Plant) -> None:
    assert_found(plant, sqlite=False)


@pytest.mark.parametrize("plant", REPLAY_PLANTS, ids=lambda plant: plant.__name__)
def test_a_replay_finds_what_no_engine_came_upon(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing dies and nothing is suspended, engines replay little, and all else is as it must be."""
    calm = (msgspec.structs.replace(scenario(seed), faults=(), inactivity_ms=HOUR) for seed in range(SEEDS))
    plant(monkeypatch)

    found = (simulate(each).violations for each in calm)

    assert any(violations and all("replay: " in each for each in violations) for violations in found)


@pytest.mark.parametrize("query", SQL_PLANTS)
def test_a_planted_bug_of_the_store_is_found(query: str) -> None:
    assert_found(lambda patch: patch.setitem(QUERIES, query, SQL_PLANTS[query]), sqlite=True)


def test_what_failed_is_told_as_a_few_operations_and_how_to_see_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    let_two_hold_a_key(monkeypatch)
    seed = next(seed for seed in range(SEEDS) if simulate(seed).violations)

    told = story(seed)

    assert told.count("Operation(") < len(scenario(seed).operations)
    assert "VIOLATION" in told
    assert told.endswith(f"python -m tests.simulation {seed}")
