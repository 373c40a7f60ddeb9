"""Who is blamed for the deaths of a process: always who did it, and nobody who gets on when left alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from durable.core.ids import plain
from durable.core.suspects import (
    ALONE,
    FEW,
    FREE,
    LONGEST_MS,
    MOST_DEATHS,
    SHORTEST_MS,
    TRIED_FROM,
    Left,
    Suspect,
    blame,
    blame_all,
    patience_ms,
)

EPOCH = 7


def left(n: int, position: int = 0) -> Left:
    return Left(n, plain(1, n.to_bytes(10, "big")), position)


def suspect(n: int = 1, **fields: int) -> Suspect:
    return Suspect(**{"n": n, "position": 0, "epoch": EPOCH - 1, **fields})


@dataclass
class World:
    """Processes one after the other, over one disk. An innocent ends when its trial, or its turn, lets it run."""

    killers: set[int]
    innocents: set[int]
    stuck: set[int] = field(default_factory=set)
    """Innocents that take their time: they neither end nor get on in the time of a process."""
    paused: set[int] = field(default_factory=set)
    suspects: dict[int, Suspect] = field(default_factory=dict)
    epoch: int = 1
    deaths: int = 0

    def live(self) -> bool:
        """One process, until it dies or everything has run; whether it died."""
        self.epoch += 1
        everybody = sorted((self.killers | self.innocents | self.stuck) - self.paused)
        plan = blame_all([left(n) for n in everybody], self.suspects, self.epoch)
        self.suspects = {each.n: each for each in plan.free}
        self.suspects |= {each.n: each for group in plan.trials for each in group}
        self.paused |= {each.n for each in plan.guilty}
        survivors = set[int]()
        for group in plan.trials:
            tried = {each.n for each in group}
            self.suspects |= {each.n: self.put(each, len(group) + len(survivors)) for each in group}
            if self.runs(tried):
                return True
            survivors |= tried & self.stuck
            self.suspects |= {n: self.put(self.suspects[n], FREE) for n in tried & self.stuck}
        return self.runs({each.n for each in plan.free})

    def runs(self, ns: set[int]) -> bool:
        if ns & self.killers:
            self.deaths += 1  # at once, so nobody else got on
            return True
        for n in ns & self.innocents:
            self.innocents.discard(n)
            self.suspects.pop(n, None)
        return False

    def put(self, suspect: Suspect, trial: int) -> Suspect:
        return Suspect(**{name: getattr(suspect, name) for name in suspect.__struct_fields__} | {"trial": trial})


@given(st.integers(0, 200), st.integers(0, 20), st.integers(0, 220))
def test_the_only_killer_is_paused_after_at_most_5_deaths(innocents: int, stuck: int, place: int) -> None:
    others = [n for n in range(innocents + stuck + 1) if n != place]
    world = World({place}, set(others[stuck:]), set(others[:stuck]))

    while world.live():
        assert world.deaths <= MOST_DEATHS

    assert world.paused == {place}
    assert world.innocents == set()


@given(st.sets(st.integers(0, 60), max_size=8), st.integers(0, 60))
def test_of_many_each_killer_is_paused_and_nobody_else(killers: set[int], count: int) -> None:
    world = World(set(killers), set(range(count)) - killers)

    while world.live():
        assert world.deaths <= MOST_DEATHS * len(killers)

    assert world.paused == killers
    assert world.innocents == set()


@given(st.data())
def test_whoever_gets_on_when_it_is_alone_is_never_paused(data: st.DataObject) -> None:
    """The process is killed from outside, as often as anybody likes, but nobody is unlucky alone twice."""
    suspects: dict[int, Suspect] = {}
    positions = dict.fromkeys(range(30), 0)
    for epoch in range(2, 40):
        plan = blame_all([left(n, position) for n, position in positions.items()], suspects, epoch)
        assert plan.guilty == []
        suspects = {each.n: each for each in (*plan.free, *(each for group in plan.trials for each in group))}
        if plan.trials:
            reached = data.draw(st.integers(0, len(plan.trials)))
            for group in plan.trials[:reached]:
                for each in group:
                    positions[each.n] += 1
                    del suspects[each.n]


def test_a_first_death_delays_nobody() -> None:
    plan = blame_all([left(1), left(2)], {}, EPOCH)

    assert (plan.guilty, plan.trials) == ([], [])
    assert plan.free == [suspect(1, epoch=EPOCH), suspect(2, epoch=EPOCH)]


def test_progress_begins_the_count_anew() -> None:
    assert blame(left(1, position=3), suspect(deaths=4, alone=1), EPOCH) == suspect(position=3, epoch=EPOCH)


def test_who_was_not_started_is_not_blamed() -> None:
    assert blame(left(1), suspect(deaths=2, trial=FREE), EPOCH).deaths == 2


def test_a_trial_of_an_older_engine_says_nothing_of_the_last() -> None:
    seen = blame(left(1), suspect(deaths=3, trial=1, epoch=EPOCH - 2), EPOCH)

    assert (seen.deaths, seen.alone) == (3, 0)


def test_who_ran_beside_all_others_is_not_blamed_beyond_suspicion() -> None:
    assert blame(left(1), suspect(deaths=TRIED_FROM), EPOCH).deaths == TRIED_FROM


def test_one_death_alone_is_not_enough_unless_there_were_many() -> None:
    assert not suspect(deaths=3, alone=1).guilty
    assert suspect(deaths=MOST_DEATHS, alone=1).guilty
    assert suspect(deaths=4, alone=ALONE).guilty
    assert not suspect(deaths=MOST_DEATHS + 1).guilty


def test_few_are_tried_one_by_one_and_many_in_groups() -> None:
    def sizes(count: int) -> list[int]:
        before = {n: suspect(n) for n in range(count)}
        return [len(group) for group in blame_all([left(n) for n in range(count)], before, EPOCH).trials]

    assert sizes(FEW) == [1] * FEW
    assert sizes(10_000) == [101] * 99 + [1]


def test_a_trial_lasts_longer_than_the_last_process_lived() -> None:
    assert patience_ms([suspect()]) == SHORTEST_MS
    assert patience_ms([suspect(), suspect(survived_ms=4_000)]) == SHORTEST_MS + 8_000
    assert patience_ms([suspect(survived_ms=LONGEST_MS)]) == LONGEST_MS


def test_the_reason_says_how_often_and_what_to_do() -> None:
    once, twice = suspect(deaths=5, alone=1).failure.message, suspect(deaths=4, alone=2).failure.message

    assert "died 5 times while this invocation ran and recorded nothing new, and at the last time nothing else" in once
    assert "at the last 2 times nothing else ran: make its handler leave the process alive" in twice


def test_a_row_that_cannot_be_is_not_believed() -> None:
    assert suspect(deaths=4, alone=2).credible
    assert not suspect(deaths=1, alone=2).credible
    assert not suspect(deaths=1 << 40).credible
    assert not suspect(survived_ms=-1).credible
