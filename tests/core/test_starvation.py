"""That everybody who waits is let in at last, whatever others do, and that little stands idle for it."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from itertools import count
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable.core import control, lifecycle
from durable.core.entries import Target
from durable.core.invocation import Kind, Request, Status
from durable.core.lanes import Lane, LaneKey, Mode
from durable.core.ledger import Ledger, Resident, Start
from durable.core.outcome import Success
from durable.core.turns import PATIENCE
from durable.core.waits import why
from durable.flow import Limit, LimitSet, Rate
from tests.core.bench import NOW, id_of
from tests.examples import examples

SECOND = timedelta(seconds=1)


class Flood(NamedTuple):
    """Calls of which more wait than are let in, however many are."""

    service: str
    handler: str
    limit: str | None = None
    takes_ms: int = 0
    """How long each of them runs."""
    priority: int = 0
    begins_ms: int = 0


class Floods:
    """An engine of nothing but the core, in which time passes from one event to the next."""

    def __init__(self, limits: Iterable[Limit], floods: Iterable[Flood]) -> None:
        self.ledger = Ledger({}, last_n=0, last_place=0)
        self.ledger.admission.replace(LimitSet(limits), (), NOW)
        self.now = NOW
        self.served = Counter[Flood]()
        self.owners: dict[bytes, Flood] = {}
        self._numbers = count()
        self._events: list[tuple[int, int, Flood | Resident]] = [
            (NOW + flood.begins_ms, next(self._numbers), flood) for flood in floods
        ]
        heapq.heapify(self._events)

    def send(self, flood: Flood) -> Resident:
        target = Target(flood.service, flood.handler)
        request = Request(target=target, kind=Kind.SERVICE, payload=b"", limit=flood.limit, priority=flood.priority)
        id = id_of(self.ledger.last_n + 1)
        self.owners[id] = flood
        return lifecycle.accept(self.ledger, request, id, self.now, None)

    def lane(self, flood: Flood) -> Lane:
        key = LaneKey(Mode.START, flood.priority, flood.service, flood.handler, flood.limit, None)
        return self.ledger.admission.lanes[key]

    @property
    def running(self) -> list[Resident]:
        return [each for each in self.ledger.invocations.values() if each.invocation.status is Status.RUNNING]

    def run(self, ms: int, *, most: int = 10_000) -> None:
        end_ms, turns = self.now + ms, self.ledger.admission.turns
        for _ in range(most):
            self._let_in()
            nexts = [*(event[0] for event in self._events[:1]), *(bell for bell in [turns.next_ms] if bell is not None)]
            self.now = max(self.now, min(nexts, default=end_ms + 1))
            if self.now > end_ms:
                self.now = end_ms
                break
            while self._events and self._events[0][0] <= self.now:
                self._happen(heapq.heappop(self._events)[-1])

    def _happen(self, event: Flood | Resident) -> None:
        if isinstance(event, Flood):
            self.send(event)
            self.send(event)
            return
        lifecycle.complete(self.ledger, event, Success(b""), self.now)
        del self.ledger.invocations[event.invocation.id]
        self._begin()

    def _let_in(self) -> None:
        admission = self.ledger.admission
        self._begin()
        while admission.turns.changed or admission.turns.due(self.now):
            admission.turns.look()
            while (lane := admission.pick(self.now)) is not None:
                lifecycle.let_in(self.ledger, self.ledger.invocations[lane.line.pop()[1]], lane, self.now)
                self._begin()

    def _begin(self) -> None:
        effects, self.ledger.effects = self.ledger.effects, []
        for effect in effects:
            if isinstance(effect, Start):
                flood = self.owners.pop(effect.resident.invocation.id)
                self.served[flood] += 1
                heapq.heappush(self._events, (self.now + flood.takes_ms, next(self._numbers), effect.resident))
                self.send(flood)


def test_a_call_of_two_rates_that_others_use_up_at_other_moments_starts() -> None:
    limits = [Limit("handler/Geo/locate", rate=Rate(1, SECOND)), Limit("limit/account/acme", rate=Rate(1, SECOND))]
    both = Flood("Geo", "locate", "account/acme", begins_ms=700)
    others, acme = Flood("Geo", "locate", "account/others"), Flood("Geo", "suggest", "account/acme", begins_ms=500)
    floods = Floods(limits, [others, acme, both])

    floods.run(100_000)

    assert floods.served[both] >= 5
    assert floods.served[acme] + floods.served[both] >= 90  # what is reserved delays others by little
    assert floods.served[others] + floods.served[both] >= 90


def test_a_call_of_a_rate_and_a_slot_that_others_use_at_other_moments_starts() -> None:
    limits = [Limit("limit/api", rate=Rate(1, SECOND)), Limit("service/Reports", concurrency=1)]
    rated, slow = Flood("Api", "f", "api"), Flood("Reports", "g", takes_ms=97)
    both = Flood("Reports", "both", "api", begins_ms=50)
    floods = Floods(limits, [rated, slow, both])

    floods.run(100_000)

    assert floods.served[both] >= 5
    assert floods.served[slow] >= 700  # of a thousand: the slot is idle for a second at a time


@pytest.mark.parametrize("lanes", [3, 50])
def test_who_waits_for_its_rate_alone_sets_no_slot_aside(lanes: int) -> None:
    """Many lanes share a rate, in turn: each is sent from there to the slots and back, and overtaken by nobody."""
    limits = [Limit("service/Api", rate=Rate(1, SECOND)), Limit("engine", concurrency=1)]
    rated = [Flood("Api", f"f{number}", takes_ms=1) for number in range(lanes)]
    other = Flood("Reports", "g", takes_ms=100)
    floods = Floods(limits, [other, *rated])

    floods.run(100_000)

    assert sum(floods.served[flood] for flood in rated) >= 90
    assert floods.served[other] >= 980


def a_reserved_start() -> tuple[Floods, Resident]:
    """The start of a minute is kept for one that waits for that of a second, too."""
    limits = [Limit("service/Geo", rate=Rate(1, 60 * SECOND)), Limit("limit/acme", rate=Rate(1, SECOND))]
    floods = Floods(limits, [Flood("Geo", "suggest"), Flood("Note", "add", "acme", begins_ms=59_500)])
    floods.run(1000)
    both = Flood("Geo", "locate", "acme")
    waits = floods.send(both)
    floods.lane(both).bounced = PATIENCE + 1  # so often was it sent from one to the other
    floods.run(59_200)
    assert [(meter.name, meter.picked) for meter in floods.lane(both).rated] == [("service/Geo", 1), ("limit/acme", 0)]
    return floods, waits


def test_who_reserves_a_start_goes_when_the_other_rate_lets_it() -> None:
    floods, waits = a_reserved_start()

    floods.run(400)

    assert waits.invocation.status is Status.COMPLETED
    assert floods.served[Flood("Geo", "suggest")] == 1
    floods.run(60_000)
    assert floods.served[Flood("Geo", "suggest")] == 2


def test_who_reserves_a_start_and_leaves_gives_it_back() -> None:
    floods, waits = a_reserved_start()

    control.kill(floods.ledger, waits, floods.now)
    floods.run(1)

    assert floods.served[Flood("Geo", "suggest")] == 2
    floods.run(1000)
    assert floods.served[Flood("Note", "add", "acme", begins_ms=59_500)] == 2


def test_a_start_that_is_reserved_is_nobodys_under_other_limits() -> None:
    floods, _ = a_reserved_start()

    floods.ledger.admission.replace(floods.ledger.admission.limits, (), floods.now)
    assert [meter.picked for meter in floods.ledger.admission.meters.values()] == [0, 0]

    floods.run(1000)
    assert floods.ledger.admission.imbalance([each.invocation for each in floods.running]) == []


def test_of_those_that_wait_for_one_rate_only_the_first_keeps_a_slot() -> None:
    floods = Floods([Limit("engine", concurrency=3), Limit("service/Api", rate=Rate(1, SECOND))], [])
    floods.send(Flood("Api", "e"))
    engine = floods.ledger.admission.meters["engine",]
    calm, urgent, last = (Flood("Api", "f", priority=priority) for priority in (1, 9, 0))
    sent = list[Resident]()
    for flood in (calm, urgent, last):
        sent.append(floods.send(flood))
        floods.lane(flood).bounced = PATIENCE + 1
        floods.run(1)
        assert (engine.used, engine.claimed) == (1, 1)

    assert [floods.lane(flood).claims for flood in (calm, urgent, last)] == [0, 2, 0]
    floods.run(1000)
    assert [each.invocation.status for each in sent] == [Status.READY, Status.COMPLETED, Status.READY]


def test_no_slot_is_set_aside_while_a_person_has_stopped_the_other_limit() -> None:
    stopped, tenant = Limit("handler/S/h", concurrency=0), Limit("limit/acme", concurrency=1)
    both, other = Flood("S", "h", "acme", takes_ms=130), Flood("S", "g", "acme", takes_ms=100)
    floods = Floods([tenant, Limit("handler/S/h", concurrency=1)], [other, Flood("S", "h", takes_ms=130), both])
    floods.run(450)
    floods.lane(both).bounced = PATIENCE + 1
    while not floods.lane(both).claims:
        floods.run(10)
    assert "handler/S/h lets 1 run at once, and 1 do" in why_of(floods, both)
    assert "limit/acme" not in why_of(floods, both)
    aside = "limit/acme lets 1 run at once, and 0 do, 1 set aside for who waits for another limit, too"
    assert aside in why_of(floods, other)

    floods.ledger.admission.replace(
        LimitSet([tenant, stopped]), [each.invocation for each in floods.running], floods.now
    )
    before = floods.served[other]
    floods.lane(both).bounced = PATIENCE + 1
    floods.run(10_000)

    assert floods.served[other] - before > 90


def why_of(floods: Floods, flood: Flood) -> str:
    lane = floods.lane(flood).text
    first = next(each.invocation.id for each in floods.ledger.invocations.values() if each.invocation.lane == lane)
    return str(why(floods.ledger, first, floods.now))


SERVICES, HANDLERS = st.sampled_from("AB"), st.sampled_from("xy")
LIMITS = st.dictionaries(
    st.sampled_from(
        ["engine", "service/*", "service/A", "handler/A/x", "handler/*/*", "limit/t", "limit/t/*", "limit/t/a"]
    ),
    st.tuples(
        st.sampled_from([None, 1, 1, 2, 3]),
        st.none() | st.builds(Rate, st.sampled_from([5, 10, 20]), st.just(SECOND), st.sampled_from([1, 3])),
    ),
    min_size=2,
    max_size=5,
).map(lambda drawn: [Limit(name, most, rate) for name, (most, rate) in drawn.items()])
FLOODS = st.lists(
    st.builds(
        Flood,
        SERVICES,
        HANDLERS,
        st.sampled_from([None, "t/a", "t/b"]),
        st.sampled_from([20, 50, 90, 130, 300]),
        st.sampled_from([0, 0, 2]),
        st.sampled_from([0, 30, 100, 500]),
    ),
    min_size=2,
    max_size=7,
    unique_by=lambda flood: (flood.service, flood.handler, flood.limit, flood.priority),
)


@given(LIMITS, FLOODS)
@settings(max_examples=examples(40), deadline=None)
def test_nobody_waits_for_ever_however_much_others_send(limits: list[Limit], floods: list[Flood]) -> None:
    paths = {
        flood: [*LaneKey(Mode.START, 0, flood.service, flood.handler, flood.limit, None).paths()] for flood in floods
    }
    bounds = LimitSet([limit for limit in limits if not limit.empty])
    limited = [flood for flood in floods if any(bounds.of(path) for path in paths[flood])]
    world = Floods(limits, limited)

    world.run(60_000, most=1500)

    assert [flood for flood in limited if not world.served[flood]] == []
    assert world.ledger.admission.imbalance([each.invocation for each in world.running]) == []
