"""A writer that writes each decision by itself, before anyone acts on it.

The engine's own writer lets decisions share a commit, and so hides what is wrong with a single one. Here it shows:
a decision whose commit makes sense only together with the next one's is refused by the store; and what a decision
changed in memory and forgot to write differs from what the disk gives back.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TypeVar

from durable.core.ledger import Instance, Ledger, Resident
from durable.runtime.writer import Writer
from durable.store import Store

T = TypeVar("T")


class EagerWriter(Writer):
    def decided(self) -> int:
        number = super().decided()
        commit, _ = self._take()
        try:
            if commit:
                _now(self._store.commit(commit))
            _compare(self._ledger, self._store, number)
        except BaseException as error:
            self.fail(error)
        else:
            self.durable = number
        return number


def _compare(ledger: Ledger, store: Store, number: int) -> None:
    """What the decision touched is on the disk as it is in memory."""
    for resident in ledger.invocations.values():
        if resident.number == number:
            _compare_resident(resident, store)
    for instance in ledger.instances.values():
        if instance.number == number:
            _compare_instance(instance, store)


def _compare_resident(resident: Resident, store: Store) -> None:
    loaded = _now(store.load(resident.invocation.id))
    if resident.purged:
        assert loaded is None or loaded.invocation.n != resident.invocation.n
        return
    assert loaded is not None
    assert loaded.invocation == resident.invocation
    assert loaded.entries == resident.entries
    assert sorted(loaded.waiters) == sorted(resident.waiters)


def _compare_instance(instance: Instance, store: Store) -> None:
    loaded = _now(store.load_instance(instance.id))
    assert [id for _, id in loaded.queue if id not in instance.lock] == []
    assert len(loaded.queue) == len(instance.lock)
    assert (loaded.queue[0][1] if loaded.queue else None) == instance.lock.holder
    assert loaded.state == instance.state
    assert loaded.promises == instance.promises
    assert {name: sorted(callers) for name, callers in instance.listeners.items()} == loaded.listeners


def _now(work: Coroutine[object, object, T]) -> T:
    """Run what never waits: a store in memory."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("the store in memory waited")
