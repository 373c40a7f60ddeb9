"""However a history is cut into commits, forgotten and crashed: the disk has what the memory had."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from durable.core.entries import Verb
from durable.core.ids import InvocationId
from durable.core.invocation import Status
from tests.examples import examples
from tests.properties.test_keys import Keys
from tests.properties.world import now, unanswered, wanted_timers


class Commits(Keys):
    """All that holds in memory holds as well for an engine that loads and forgets, and for its successors."""

    @rule(then_crash=st.integers(0, 5))
    def commit(self, then_crash: int) -> None:
        self.world.commit()
        self._compare()
        if then_crash == 5:
            self.world.crash()

    @rule()
    def forget(self) -> None:
        self.world.forget()

    def order(self, verb: Verb, id: InvocationId, from_entry: int = 0) -> None:
        """Every other one finds in memory only what is running."""
        if self.world.new_id()[-1] % 2:
            self.world.commit()
            self.world.forget()
        super().order(verb, id, from_entry)

    @precondition(lambda self: self.world.ledger.commit)
    @rule(at_all=st.integers(0, 3))
    def crash(self, at_all: int) -> None:
        """With something decided and not committed."""
        if at_all == 3:
            self.world.crash()

    def _compare(self) -> None:
        self._compare_invocations()
        self._compare_instances()
        self._compare_timers()

    def _compare_invocations(self) -> None:
        store = self.world.store
        for id, held in self.world.everything().items():
            loaded = now(store.load(id))
            assert loaded is not None
            assert loaded.invocation == held.invocation
            assert loaded.entries == held.entries
            assert loaded.waiters == sorted(held.waiters)
        running = [id for _, id in now(store.running(after=0, limit=10**6))]
        assert sorted(running) == sorted(self.world.having(Status.RUNNING))

    def _compare_instances(self) -> None:
        for id in self.world.ledger.instances:
            loaded, held = now(self.world.store.load_instance(id)), self.world.instance(id)
            assert (loaded.queue, loaded.state, loaded.promises) == (held.queue, held.state, held.promises)
            assert loaded.listeners == {name: sorted(callers) for name, callers in held.listeners.items()}

    def _compare_timers(self) -> None:
        wanted = {
            (timer, id)
            for id, loaded in self.world.everything().items()
            for timer in wanted_timers(loaded.invocation, unanswered(loaded))
        }
        assert now(self.world.store.timers(after=None, limit=10**6)) == sorted(wanted)


TestCommits = Commits.TestCase
TestCommits.settings = settings(max_examples=examples(200), stateful_step_count=50, deadline=None)
