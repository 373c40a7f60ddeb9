"""Under any interleaving: one holds a key, first come first served, and nobody waits for nothing."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import settings
from hypothesis.stateful import invariant

from durable.core.entries import Attach, Call, Completed, GetPromise
from durable.core.ids import InvocationId
from durable.core.invocation import Caller, InstanceId, Kind, Loaded, Status, instance_id
from durable.core.lifecycle import NOT_FOUND
from tests.examples import examples
from tests.properties.histories import Histories
from tests.properties.world import World, answers, callers, now, unanswered, wanted_timers

Everything = Mapping[InvocationId, Loaded]


class Keys(Histories):
    @invariant()
    def all_that_must_hold_holds(self) -> None:
        everything = self.world.everything()
        for check in CHECKS:
            check(self.world, everything)


def one_holds_a_key_and_the_others_wait(world: World, everything: Everything) -> None:
    lines: dict[InstanceId, list[tuple[int, Status]]] = {}
    for loaded in everything.values():
        row = loaded.invocation
        if row.place is not None and row.status is not Status.COMPLETED:
            assert row.request.kind is Kind.EXCLUSIVE
            lines.setdefault(instance_id(row.request.target), []).append((row.place, row.status))
    for line in lines.values():
        holder, *waiting = (status for _, status in sorted(line))
        assert holder not in (Status.PENDING, Status.SCHEDULED)
        assert set(waiting) <= {Status.PENDING}


def only_who_stands_in_line_is_pending(world: World, everything: Everything) -> None:
    for loaded in everything.values():
        if loaded.invocation.status is Status.PENDING:
            assert loaded.invocation.place is not None
        elif loaded.invocation.status is Status.SCHEDULED:
            assert loaded.invocation.place is None


def a_queue_in_memory_is_the_live_exclusive_invocations_in_order(world: World, everything: Everything) -> None:
    for id in world.ledger.instances:
        rows = [loaded.invocation for loaded in everything.values()]
        live = [row for row in rows if row.place is not None and row.status is not Status.COMPLETED]
        queue = sorted((row.place or 0, row.id) for row in live if instance_id(row.request.target) == id)
        assert world.instance(id).queue == queue


def a_key_is_held_in_order_of_place(world: World, everything: Everything) -> None:
    for places in world.memory.served.values():
        assert places == sorted(places)


def what_runs_was_started(world: World, everything: Everything) -> None:
    running = {id for id, loaded in everything.items() if loaded.invocation.status is Status.RUNNING}
    assert running == world.attempts


def what_is_suspended_waits_for_something_that_has_not_come(world: World, everything: Everything) -> None:
    for id, loaded in everything.items():
        if loaded.invocation.status is Status.SUSPENDED:
            assert world.memory.awaiting[id] not in answers(loaded.entries)


def what_waits_for_its_time_has_a_timer(world: World, everything: Everything) -> None:
    armed, horizon = world.armed(), world.ledger.timers.horizon
    for loaded in everything.values():
        timed = loaded.invocation.status in (Status.SCHEDULED, Status.BACKING_OFF)
        assert (loaded.invocation.due_ms is not None) == timed
        for timer in wanted_timers(loaded.invocation, unanswered(loaded)):
            assert timer in armed or (horizon is not None and timer > horizon)


def every_wait_has_somebody_who_will_answer_it(world: World, everything: Everything) -> None:
    for id, loaded in everything.items():
        for wait in unanswered(loaded):
            caller = Caller(id, wait.completion)
            if isinstance(wait, Call | Attach):
                awaited = everything[wait.invocation_id]
                assert awaited.invocation.status is not Status.COMPLETED
                assert caller in (awaited.invocation.request.caller, *awaited.waiters)
            elif isinstance(wait, GetPromise):
                instance = world.instance(instance_id(loaded.invocation.request.target))
                assert wait.name not in instance.promises
                assert caller in instance.listeners[wait.name]


def whoever_waits_is_alive(world: World, everything: Everything) -> None:
    waits = {id: unanswered(loaded) for id, loaded in everything.items()}
    for loaded in everything.values():
        for caller in loaded.waiters:
            assert caller in callers(caller.id, waits[caller.id], Attach | Call)
    for id in world.ledger.instances:
        for listeners in world.instance(id).listeners.values():
            for caller in listeners:
                assert caller in callers(caller.id, waits[caller.id], GetPromise)


def what_exists_is_found(world: World, everything: Everything) -> None:
    for loaded in everything.values():
        for entry in loaded.entries:
            there = entry.invocation_id in everything if isinstance(entry, Attach) else False
            if isinstance(entry, Attach) and there and entry.invocation_id not in world.memory.removed:
                assert Completed(entry.completion, NOT_FOUND) not in loaded.entries


def an_outcome_never_changes(world: World, everything: Everything) -> None:
    for id, outcome in world.memory.outcomes.items():
        assert everything[id].invocation.outcome == outcome


def what_was_purged_is_not_found(world: World, everything: Everything) -> None:
    for id in world.memory.removed - set(everything):
        assert world.ledger.find(id) is None
        assert id in world.ledger.invocations or now(world.store.load(id)) is None


CHECKS = (
    one_holds_a_key_and_the_others_wait,
    only_who_stands_in_line_is_pending,
    a_queue_in_memory_is_the_live_exclusive_invocations_in_order,
    a_key_is_held_in_order_of_place,
    what_runs_was_started,
    what_is_suspended_waits_for_something_that_has_not_come,
    what_waits_for_its_time_has_a_timer,
    every_wait_has_somebody_who_will_answer_it,
    whoever_waits_is_alive,
    what_exists_is_found,
    an_outcome_never_changes,
    what_was_purged_is_not_found,
)

TestKeys = Keys.TestCase
TestKeys.settings = settings(max_examples=examples(100), stateful_step_count=50, deadline=None)
