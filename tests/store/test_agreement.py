"""The memory store is the oracle: after any history of commits, both stores read the same."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from durable.core.invocation import Commit, Flow, Invocation, Kind, Status, Timer
from durable.core.outcome import Failure, Outcome, Success
from durable.core.suspects import Suspect
from durable.flow import Limit
from durable.store import Store
from durable.store.memory import MemoryStore
from durable.store.sqlite import SQLiteStore
from tests.store.samples import ENTRIES, caller, id_of, invocation, scheduled

KEYS = ("mary", "john", "")
NAMES = ("a", "ä\0", "")
NUMBERS = range(1, 9)
LANES = ("s0 Cart/checkout - ", "r1 Cart/checkout tenant/acme =ä\0")
PATTERNS = ("engine", "key/Cart/ä\0")
SCHEDULES = ("nightly", "ä\0")

moments = st.integers(0, 5)
numbers = st.sampled_from(NUMBERS)
values = st.sampled_from([b"", b"x", b"\x00\xff"])
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Success, st.none() | values),
    st.builds(Failure, st.integers(400, 599), st.text(max_size=5), st.dictionaries(st.text(max_size=2), st.text())),
)
names = st.tuples(st.just("Cart"), st.sampled_from(KEYS), st.sampled_from(NAMES))
callers = st.builds(caller, numbers, st.integers(1, 2))
invocations = st.fixed_dictionaries(
    {
        "status": st.sampled_from(Status),
        "place": st.none() | st.integers(1, 1000),
        "due_ms": st.none() | moments,
        "attempts": st.integers(0, 3),
        "failing_since_ms": st.none() | moments,
        "failure": st.none() | st.builds(Failure, st.just(500), st.text(max_size=5)),
        "outcome": st.none() | outcomes,
        "expires_ms": st.none() | moments,
        "journal_expires_ms": st.none() | moments,
        "journal_kept": st.booleans(),
        "lane": st.none() | st.sampled_from(LANES),
        "holds": st.booleans(),
    }
)
counts = st.integers(0, 3)
suspects = st.builds(
    Suspect, n=numbers, deaths=st.just(3), alone=counts, position=counts, survived_ms=counts, epoch=counts, trial=counts
)
limits = st.builds(Limit, st.sampled_from(PATTERNS), concurrency=counts, hold=st.booleans()) | st.builds(
    Limit, st.sampled_from(PATTERNS), queue=st.none() | counts
)
starts = st.sampled_from([0.0, 0.5, 1_700_000_000_000.125])
schedules = st.builds(scheduled, st.sampled_from(SCHEDULES), st.booleans())
targets = st.fixed_dictionaries({"kind": st.sampled_from(Kind), "key": st.sampled_from(KEYS)})


class History:
    """Draws commits that an engine could have made: what it changes is there, what it appends comes next."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._rows: dict[int, Invocation] = {}
        self._lengths: dict[int, int] = {}
        self._places = 0

    def commit(self) -> Commit:
        draw, commit = self._draw, Commit()
        for n in draw(st.sets(numbers, max_size=3)):
            (commit.change if n in self._rows else commit.accept)(self._row(n))
        for n in draw(st.sets(numbers, max_size=2)) & self._rows.keys():
            for entry in draw(st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=3)):
                commit.append(n, self._lengths.get(n, 0), entry)
                self._lengths[n] = self._lengths.get(n, 0) + 1
        commit.state = draw(st.dictionaries(names, st.none() | values, max_size=2))
        commit.promises = draw(st.dictionaries(names, st.none() | outcomes, max_size=2))
        timers = st.builds(Timer, moments, numbers, st.integers(1, 2))
        commit.timers = draw(st.dictionaries(timers, st.booleans(), max_size=2))
        commit.waiters = draw(st.dictionaries(st.tuples(st.builds(id_of, numbers), callers), st.booleans(), max_size=2))
        listeners = st.builds(lambda name, caller: (*name, caller), names, callers)
        commit.listeners = draw(st.dictionaries(listeners, st.booleans(), max_size=2))
        commit.suspects = {each.n: each for each in draw(st.lists(suspects, max_size=2))}
        commit.suspects |= dict.fromkeys(draw(st.sets(numbers, max_size=1)))
        commit.schedules = draw(st.dictionaries(st.sampled_from(SCHEDULES), st.none() | schedules, max_size=2))
        put = {limit.pattern: limit for limit in draw(st.lists(limits, max_size=2))}
        commit.limits = put | dict.fromkeys(draw(st.sets(st.sampled_from(PATTERNS), max_size=1)))
        commit.rates = draw(st.dictionaries(st.sampled_from(PATTERNS), st.none() | starts, max_size=2))
        for n in draw(st.lists(numbers, max_size=1)):
            if n not in self._rows:
                continue
            commit.purge(n)
            del self._rows[n]
            self._lengths.pop(n, None)
        return commit

    def _row(self, n: int) -> Invocation:
        fields: dict[str, Any] = self._draw(invocations)
        if n in self._rows:
            fields["request"] = self._rows[n].request
        else:
            fields |= self._draw(targets)
        if fields["place"] is not None:
            # Two live ones of a key never share a place.
            self._places += 1
            fields["place"] = (fields["place"] << 10) + self._places
        self._rows[n] = invocation(n, **fields)
        return self._rows[n]


@st.composite
def histories(draw: st.DrawFn) -> list[Commit]:
    history = History(draw)
    return [history.commit() for _ in range(draw(st.integers(1, 6)))]


async def everything(store: Store) -> dict[str, Any]:
    """All that the port can tell, page by page."""
    pages: list[Timer] = []
    while found := await store.timers(after=pages[-1] if pages else None, limit=3):
        pages += [timer for timer, _ in found]
    return {
        "invocations": [await store.load(id_of(n)) for n in NUMBERS],
        "instances": [await store.load_instance(("Cart", key)) for key in KEYS],
        "order": [list((await store.load_instance(("Cart", key))).state) for key in KEYS],
        "running": [await store.running(after=after, limit=2) for after in NUMBERS],
        "ready": [await store.ready(lane, after=after, limit=2) for lane in LANES for after in NUMBERS],
        "holders": [await store.holders(after=after, limit=2) for after in NUMBERS],
        "flow": _in_order(await store.flow()),
        "left": await store.left(),
        "suspects": await store.suspects(),
        "schedules": await store.schedules(),
        "timers": pages,
        "expired": [await store.expired(now_ms, limit=3) for now_ms in range(7)],
    }


def _in_order(flow: Flow) -> tuple[object, ...]:
    return sorted(flow.limits, key=str), flow.rates, sorted(flow.lanes)


@settings(max_examples=40, deadline=None)
@given(histories())
async def test_both_stores_read_the_same_after_any_history(history: list[Commit]) -> None:
    with TemporaryDirectory() as directory:
        memory, sqlite = MemoryStore(), SQLiteStore(Path(directory) / "db")
        await memory.open()
        await sqlite.open()
        try:
            for commit in history:
                await memory.commit(commit)
                await sqlite.commit(commit)
            assert await everything(memory) == await everything(sqlite)
        finally:
            await sqlite.close()
            await memory.close()
        first, second = await memory.open(), await sqlite.open()
        try:
            assert (first.last_n, first.last_place) == (second.last_n, second.last_place)
            assert await everything(memory) == await everything(sqlite)
        finally:
            await sqlite.close()
