"""What every store promises."""

from datetime import timedelta
from typing import get_args

import msgspec
import pytest
from msgspec.structs import replace

from durable.core.entries import ClearAllState, Completed, Entry, Run
from durable.core.invocation import Caller, Commit, Kind, Status, Timer
from durable.core.outcome import Failure, Success
from durable.core.suspects import Left, Suspect
from durable.errors import StoreError
from durable.flow import Limit, Rate
from durable.store import Store
from tests.store.conftest import Bench
from tests.store.samples import CART, ENTRIES, FULL, accepting, caller, id_of, invocation, scheduled


async def test_an_accepted_invocation_is_read_as_it_was_written(store: Store) -> None:
    await store.commit(accepting(FULL))

    loaded = await store.load(FULL.id)

    assert loaded is not None
    assert loaded.invocation == FULL
    assert (loaded.entries, loaded.waiters) == ([], [])


async def test_an_unknown_invocation_is_none(store: Store) -> None:
    assert await store.load(id_of(1)) is None


async def test_a_change_replaces_all_but_the_request(store: Store) -> None:
    await store.commit(accepting(FULL))
    later = replace(
        FULL, status=Status.COMPLETED, place=None, due_ms=None, attempts=0, failing_since_ms=None, failure=None,
        outcome=Success(b"done"), modified_ms=3_000, expires_ms=4_000,
    )  # fmt: skip
    commit = Commit()
    commit.change(later)

    await store.commit(commit)

    loaded = await store.load(FULL.id)
    assert loaded is not None
    assert loaded.invocation == later


def test_the_samples_hold_every_type_of_entry() -> None:
    assert {type(entry) for entry in ENTRIES} == set(get_args(Entry))


async def test_every_entry_is_read_as_it_was_written(store: Store) -> None:
    commit = accepting(invocation(1))
    for position, entry in enumerate(ENTRIES):
        commit.append(1, position, entry)

    await store.commit(commit)

    loaded = await store.load(id_of(1))
    assert loaded is not None
    assert loaded.entries == ENTRIES


async def test_a_journal_grows_over_commits_in_its_order(store: Store) -> None:
    await store.commit(accepting(invocation(1), invocation(2)))
    for position, entry in enumerate(ENTRIES):
        commit = Commit()
        commit.append(1, position, entry)
        commit.append(2, position, ClearAllState())
        await store.commit(commit)

    loaded = await store.load(id_of(1))

    assert loaded is not None
    assert loaded.entries == ENTRIES


async def test_a_completed_invocation_comes_with_its_journal(store: Store) -> None:
    commit = accepting(invocation(1, status=Status.COMPLETED, outcome=Failure(500, "no")))
    commit.append(1, 0, Run(1, "charge"))
    await store.commit(commit)

    loaded = await store.load(id_of(1))

    assert loaded is not None
    assert loaded.entries == [Run(1, "charge")]


@pytest.mark.parametrize("outcome", [None, Success(None), Success(b""), Success(b"x"), Failure(400, "", {})])
async def test_nothing_and_an_empty_value_are_kept_apart(store: Store, outcome: Success | Failure | None) -> None:
    await store.commit(accepting(invocation(1, outcome=outcome)))

    loaded = await store.load(id_of(1))

    assert loaded is not None
    assert loaded.invocation.outcome == outcome


@pytest.mark.parametrize("fault", ["number", "id", "position", "change"])
async def test_a_commit_that_fails_changes_nothing_and_is_the_last(bench: Bench, fault: str) -> None:
    store = await bench.open()
    first = accepting(invocation(1))
    first.append(1, 0, Run(1, "charge"))
    await store.commit(first)
    bad = accepting(invocation(5), invocation(6))
    bad.append(5, 0, Run(1, "charge"))
    bad.state[*CART, "items"] = b"1"
    match fault:
        case "number":
            bad.accepted[1] = replace(invocation(1), id=id_of(8))
        case "id":
            bad.accepted[7] = replace(invocation(7), id=id_of(1))
        case "position":
            bad.append(1, 0, ClearAllState())
        case _:
            bad.change(invocation(9))

    with pytest.raises(StoreError):
        await store.commit(bad)
    with pytest.raises(StoreError, match="outcome is unknown"):
        await store.commit(accepting(invocation(10)))

    store = await bench.reopen()
    assert [n for n, _ in await store.running(after=0, limit=10)] == [1]
    assert (await store.load_instance(CART)).state == {}
    loaded = await store.load(id_of(1))
    assert loaded is not None
    assert loaded.entries == [Run(1, "charge")]


async def test_what_a_caller_changes_after_the_commit_is_not_stored(store: Store) -> None:
    headers = {"a": "1"}
    row = invocation(1)
    await store.commit(accepting(replace(row, request=replace(row.request, headers=headers))))

    headers["a"] = "2"

    loaded = await store.load(id_of(1))
    assert loaded is not None
    assert loaded.invocation.request.headers == {"a": "1"}


async def test_a_queue_lists_the_live_invocations_of_one_key_by_place(store: Store) -> None:
    await store.commit(
        accepting(
            invocation(1, place=30, status=Status.PENDING),
            invocation(2, place=10),
            invocation(3, place=20, status=Status.PAUSED),
            invocation(4, place=5, status=Status.COMPLETED),
            invocation(5, kind=Kind.SHARED),
            invocation(6, place=1, key="john"),
        )
    )

    instance = await store.load_instance(CART)

    assert instance.queue == [(10, id_of(2)), (20, id_of(3)), (30, id_of(1))]


async def test_a_key_that_was_never_used_is_empty(store: Store) -> None:
    instance = await store.load_instance(CART)

    assert (instance.queue, instance.state, instance.promises, instance.listeners) == ([], {}, {}, {})


async def test_state_is_set_replaced_and_cleared_per_key(store: Store) -> None:
    for values in ({"a": b"1", "b": b"", "c": b"3"}, {"a": b"2", "c": None, "d": None}):
        commit = Commit()
        for name, value in values.items():
            commit.state[*CART, name] = value
        commit.state["Cart", "john", "a"] = b"other"
        await store.commit(commit)

    assert (await store.load_instance(CART)).state == {"a": b"2", "b": b""}


async def test_state_comes_in_the_order_of_names(store: Store) -> None:
    commit = Commit()
    for name in ("b", "ä", "", "a\0b", "a", "Z", "\U0001f6d2", "\uffff"):
        commit.state[*CART, name] = name.encode()
    await store.commit(commit)

    names = list((await store.load_instance(CART)).state)

    assert names == sorted(names)


async def test_promises_and_their_listeners_belong_to_a_key(store: Store) -> None:
    commit = Commit()
    commit.promises[*CART, "paid"] = Success(b"")
    commit.promises[*CART, "sent"] = Failure(409, "no", {"a": "b"})
    commit.promises[*CART, "gone"] = Success(None)
    commit.promises["Cart", "john", "paid"] = Success(b"other")
    commit.listeners = {(*CART, "late", caller(2)): True, (*CART, "late", caller(1)): True}
    await store.commit(commit)
    commit = Commit()
    commit.promises[*CART, "gone"] = None
    commit.listeners = {(*CART, "late", caller(2)): False, (*CART, "late", caller(3, 2)): True}
    await store.commit(commit)

    instance = await store.load_instance(CART)

    assert instance.promises == {"paid": Success(b""), "sent": Failure(409, "no", {"a": "b"})}
    assert instance.listeners == {"late": [caller(1), caller(3, 2)]}


async def test_waiters_are_set_and_removed(store: Store) -> None:
    commit = accepting(invocation(1))
    commit.waiters = {(id_of(1), caller(n)): True for n in (4, 2, 3)} | {(id_of(9), caller(2)): True}
    await store.commit(commit)
    commit = Commit()
    commit.waiters = {(id_of(1), caller(3)): False, (id_of(1), caller(2)): True}
    await store.commit(commit)

    loaded = await store.load(id_of(1))

    assert loaded is not None
    assert loaded.waiters == [caller(2), caller(4)]
    assert isinstance(loaded.waiters[0], Caller)


async def test_timers_come_in_the_order_in_which_they_fire(store: Store) -> None:
    commit = accepting(
        invocation(1, status=Status.SUSPENDED),
        invocation(2, status=Status.SCHEDULED, due_ms=20),
        invocation(3, status=Status.BACKING_OFF, due_ms=10),
        invocation(4, status=Status.RUNNING, due_ms=5),
    )
    commit.timers = {Timer(20, 1, 2): True, Timer(20, 1, 1): True, Timer(15, 3, 1): True, Timer(1, 1, 9): False}
    await store.commit(commit)

    found = await store.timers(after=None, limit=9)

    expected = [Timer(10, 3, 0), Timer(15, 3, 1), Timer(20, 1, 1), Timer(20, 1, 2), Timer(20, 2, 0)]
    assert found == [(timer, id_of(timer.n)) for timer in expected]


async def test_pages_of_timers_meet_without_a_gap(store: Store) -> None:
    commit = accepting(*(invocation(n, status=Status.SCHEDULED, due_ms=n // 3) for n in range(1, 8)))
    commit.timers = {Timer(n // 2, n, completion): True for n in range(1, 8) for completion in (1, 2)}
    await store.commit(commit)

    pages: list[Timer] = []
    while found := await store.timers(after=pages[-1] if pages else None, limit=2):
        pages += [timer for timer, _ in found]

    assert len(pages) == 21
    assert pages == sorted(set(pages))


async def test_a_removed_timer_never_fires(store: Store) -> None:
    commit = accepting(invocation(1))
    commit.timers = {Timer(1, 1, 1): True, Timer(1, 1, 2): True}
    await store.commit(commit)
    commit = Commit()
    commit.timers = {Timer(1, 1, 1): False}
    await store.commit(commit)

    assert await store.timers(after=None, limit=9) == [(Timer(1, 1, 2), id_of(1))]


async def test_running_invocations_come_in_pages_by_number(store: Store) -> None:
    statuses = {1: Status.RUNNING, 2: Status.SUSPENDED, 5: Status.RUNNING, 3: Status.RUNNING, 9: Status.RUNNING}
    await store.commit(accepting(*(invocation(n, status=status) for n, status in statuses.items())))

    assert await store.running(after=0, limit=2) == [(1, id_of(1)), (3, id_of(3))]
    assert await store.running(after=3, limit=9) == [(5, id_of(5)), (9, id_of(9))]


LANE, OTHER = "s0 Cart/checkout - ", "r1 Cart/checkout tenant/acme =ä\0"


async def test_who_is_ready_comes_in_pages_by_number_and_lane(store: Store) -> None:
    ready, pending = {"status": Status.READY, "lane": LANE}, {"status": Status.PENDING, "lane": LANE}
    rows = {1: ready, 2: pending, 3: {"status": Status.READY, "lane": OTHER}, 5: ready, 9: ready, 7: {}}
    await store.commit(accepting(*(invocation(n, **fields) for n, fields in rows.items())))

    assert await store.ready(LANE, after=0, limit=2) == [(1, id_of(1)), (5, id_of(5))]
    assert await store.ready(LANE, after=5, limit=9) == [(9, id_of(9))]
    assert await store.ready(OTHER, after=0, limit=9) == [(3, id_of(3))]
    waiting = [(OTHER, Status.READY, 1), (LANE, Status.PENDING, 1), (LANE, Status.READY, 3)]
    assert sorted((await store.flow()).lanes) == sorted(waiting)


async def test_who_leaves_its_lane_is_found_there_no_more(store: Store) -> None:
    row = invocation(1, status=Status.READY, lane=LANE)
    await store.commit(accepting(row))
    commit = Commit()
    commit.change(replace(row, status=Status.RUNNING, lane=None, holds=True))

    await store.commit(commit)

    assert (await store.ready(LANE, after=0, limit=9), (await store.flow()).lanes) == ([], [])
    loaded = await store.load(id_of(1))
    assert loaded is not None
    assert (loaded.invocation.lane, loaded.invocation.holds) == (None, True)


async def test_who_holds_slots_without_running_comes_in_pages_by_number(store: Store) -> None:
    statuses = {1: Status.SUSPENDED, 2: Status.RUNNING, 3: Status.COMPLETED, 5: Status.PAUSED, 9: Status.READY}
    rows = [invocation(n, status=status, holds=True) for n, status in statuses.items()]
    await store.commit(accepting(*rows, invocation(4, status=Status.SUSPENDED)))

    assert await store.holders(after=0, limit=2) == [(1, id_of(1)), (5, id_of(5))]
    assert await store.holders(after=5, limit=9) == [(9, id_of(9))]


async def test_limits_and_rates_are_read_as_they_were_written_last(store: Store) -> None:
    rate = Rate(3, timedelta(minutes=1), burst=2)
    last = Limit("key/Cart/ä\0", 2, rate, queue=5, hold=True, description="of one")
    commit = Commit()
    commit.limits = {
        "key/Cart/ä\0": Limit("key/Cart/ä\0", 1),
        "engine": Limit("engine", 1),
        "service/*": Limit("service/*", 0),
    }
    commit.rates = {"engine": 1_700_000_000_000.125, "key/Cart/ä\0": 5.0, "service/Cart": 0.0}
    await store.commit(commit)
    commit = Commit()
    commit.limits = {"key/Cart/ä\0": last, "service/*": None, "limit/*": None}
    commit.rates = {"key/Cart/ä\0": 7.25, "service/Cart": None, "service/Till": None}

    await store.commit(commit)

    flow = await store.flow()
    assert sorted(flow.limits, key=str) == [Limit("engine", 1), last]
    assert flow.rates == {"engine": 1_700_000_000_000.125, "key/Cart/ä\0": 7.25}


async def test_the_longest_expired_come_first(store: Store) -> None:
    expiries = {1: 30, 2: 10, 3: 31, 4: None, 5: 20}
    done = Status.COMPLETED
    await store.commit(accepting(*(invocation(n, status=done, expires_ms=end) for n, end in expiries.items())))

    assert await store.expired(30, limit=2) == [id_of(2), id_of(5)]
    assert await store.expired(30, limit=9) == [id_of(2), id_of(5), id_of(1)]


async def test_a_journal_may_expire_before_its_outcome(store: Store) -> None:
    row = invocation(1, status=Status.COMPLETED, expires_ms=50, journal_expires_ms=10)
    commit = accepting(row)
    commit.append(1, 0, Completed(1, Success()))
    await store.commit(commit)
    assert await store.expired(20, limit=9) == [id_of(1)]
    commit = Commit()
    commit.forgotten.append(1)
    commit.change(invocation(1, status=Status.COMPLETED, expires_ms=50, journal_kept=False))

    await store.commit(commit)

    loaded = await store.load(id_of(1))
    assert loaded is not None
    assert (loaded.invocation.journal_kept, loaded.entries, await store.expired(20, limit=9)) == (False, [], [])


async def test_a_purge_leaves_nothing_of_a_number(bench: Bench) -> None:
    store = await bench.open()
    commit = accepting(invocation(1, place=1), invocation(2, place=2))
    for n in (1, 2):
        commit.append(n, 0, Completed(1, Success()))
        commit.timers[Timer(5, n, 1)] = True
        commit.waiters[id_of(n), caller(8)] = True
    await store.commit(commit)
    commit = Commit()
    commit.purged += [1, 77]

    await store.commit(commit)

    assert await store.load(id_of(1)) is None
    assert await store.timers(after=None, limit=9) == [(Timer(5, 2, 1), id_of(2))]
    assert (await store.load_instance(CART)).queue == [(2, id_of(2))]
    await store.commit(accepting(invocation(1)))
    again = await store.load(id_of(1))
    assert again is not None
    assert (again.entries, again.waiters) == ([], [])
    assert len(await store.timers(after=None, limit=9)) == 1


async def test_a_purged_id_may_be_accepted_again_in_the_same_commit(store: Store) -> None:
    old = accepting(invocation(1, status=Status.COMPLETED, expires_ms=1))
    old.append(1, 0, Completed(1, Success()))
    await store.commit(old)
    commit = Commit()
    commit.purge(1)
    commit.accept(msgspec.structs.replace(invocation(2), id=id_of(1)))

    await store.commit(commit)

    again = await store.load(id_of(1))
    assert again is not None
    assert (again.invocation.n, again.entries) == (2, [])


async def test_what_is_purged_before_it_was_written_is_not_written(store: Store) -> None:
    commit = accepting(invocation(1))
    commit.append(1, 0, Completed(1, Success()))
    commit.purge(1)

    await store.commit(commit)

    assert await store.load(id_of(1)) is None


async def test_a_new_disk_begins_at_nothing(bench: Bench) -> None:
    store = await bench.open()
    await store.close()

    opened = await store.open()

    assert (opened.epoch, opened.last_n, opened.last_place, len(opened.secret)) == (2, 0, 0, 32)


async def test_a_second_open_sees_everything_and_goes_on_counting(bench: Bench) -> None:
    store = await bench.open()
    await store.commit(accepting(invocation(3, place=8), invocation(4, place=9, status=Status.COMPLETED)))
    await store.close()
    first = await store.open()
    await store.close()

    second = await store.open()

    assert (second.epoch, second.last_n, second.last_place) == (first.epoch + 1, 4, 8)
    assert second.secret == first.secret
    loaded = await store.load(id_of(3))
    assert loaded is not None
    assert loaded.invocation == invocation(3, place=8)


async def test_an_engine_that_was_replaced_can_no_longer_commit(bench: Bench) -> None:
    old = await bench.open()
    await old.commit(accepting(invocation(1)))
    new = await bench.take_over()

    with pytest.raises(StoreError, match="another engine took"):
        await old.commit(accepting(invocation(2)))

    await new.commit(accepting(invocation(2)))
    assert [n for n, _ in await new.running(after=0, limit=9)] == [1, 2]


async def test_a_store_that_is_not_open_refuses(bench: Bench) -> None:
    store = await bench.open()
    await store.close()
    await store.close()

    with pytest.raises(StoreError, match="not open"):
        await store.commit(accepting(invocation(1)))
    with pytest.raises(StoreError, match="not open"):
        await store.load(id_of(1))


async def test_a_store_cannot_be_opened_twice(store: Store) -> None:
    with pytest.raises(StoreError, match="open already"):
        await store.open()

    await store.commit(accepting(invocation(1)))


SUSPECT = Suspect(n=1, deaths=3, alone=1, position=2, survived_ms=4_000, epoch=5, trial=1)


async def test_what_is_running_is_left_with_where_its_journal_ends(store: Store) -> None:
    commit = accepting(invocation(1), invocation(2), invocation(3, status=Status.SUSPENDED))
    commit.append(2, 0, Run(1, "a"))
    await store.commit(commit)
    commit = Commit()
    commit.append(2, 1, Run(2, "b"))
    await store.commit(commit)

    assert await store.left() == [Left(1, id_of(1), -1), Left(2, id_of(2), 1)]


async def test_a_suspect_is_read_as_it_was_written_last(store: Store) -> None:
    for deaths in (2, 3):
        commit = Commit()
        commit.suspects[1] = replace(SUSPECT, deaths=deaths)
        commit.suspects[2] = replace(SUSPECT, n=2)
        await store.commit(commit)
    commit = Commit()
    commit.suspects[2] = None

    await store.commit(commit)

    assert await store.suspects() == {1: SUSPECT}


async def test_a_purge_takes_the_suspect_along(store: Store) -> None:
    commit = accepting(invocation(1))
    commit.suspects[1] = SUSPECT
    await store.commit(commit)
    commit = Commit()
    commit.suspects[1] = SUSPECT
    commit.purge(1)

    await store.commit(commit)

    assert await store.suspects() == {}


async def test_a_disk_knows_whether_it_was_closed(bench: Bench) -> None:
    store = await bench.open()
    await store.close()

    assert (await store.open()).clean


async def test_schedules_are_read_as_they_were_written_last_in_order_of_id(store: Store) -> None:
    for id, row in {"b": scheduled("b"), "a": scheduled("a"), "c": scheduled("c")}.items():
        commit = Commit()
        commit.schedules[id] = row
        await store.commit(commit)
    commit = Commit()
    commit.schedules = {"b": scheduled("b", paused=True), "c": None}

    await store.commit(commit)

    loaded = await store.schedules()
    assert (loaded.schedules, loaded.damaged) == ([scheduled("a"), scheduled("b", paused=True)], {})
