"""How much is measured: everything that takes time or memory is a number here."""

from __future__ import annotations

import msgspec


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    seconds: float
    """Of one run of one contestant."""
    warm_up: float
    """Before each run, not counted."""
    rounds: int
    concurrencies: tuple[int, ...] = (1, 16, 128, 1024)
    """In process, for the three steps; the other workloads run at 128."""

    plain_stack: bool
    """Over HTTP, also without httptools and uvloop."""
    peer_seconds: float = 5.0
    """Of one run of one contestant, the peers among them."""
    peer_warm_up: float = 2.0
    peer_rounds: int = 5
    journals: int
    """How often the long journal is walked."""
    entries: int
    """Of the long journal."""
    sleepers: tuple[int, ...]
    """Suspended at a time, one point of the chart each, growing."""
    wake_ups: int
    """Among the sleepers."""
    timers: int
    """Due at once."""
    quiet_seconds: float
    """For what others see before the timers fire."""
    backlog: int
    """Queued on one key."""
    callers: int
    """Over HTTP, at once."""
    callers_seconds: float
    """Until they can be answered; all must have asked by then."""
    starts: int
    stored: int
    """Invocations in the file that is weighed."""


FULL = Scale(
    seconds=4.0,
    warm_up=1.0,
    rounds=5,
    plain_stack=True,
    journals=5,
    entries=10_000,
    sleepers=(1_000, 10_000, 100_000, 1_000_000),
    wake_ups=50,
    timers=100_000,
    quiet_seconds=10.0,
    backlog=100_000,
    callers=10_000,
    callers_seconds=30.0,
    starts=11,
    stored=50_000,
)
QUICK = Scale(
    seconds=0.6,
    warm_up=0.25,
    rounds=3,
    plain_stack=False,
    journals=2,
    entries=2_000,
    sleepers=(10_000,),
    wake_ups=20,
    timers=5_000,
    quiet_seconds=2.0,
    backlog=5_000,
    callers=500,
    callers_seconds=3.0,
    starts=5,
    stored=5_000,
)
TINY = Scale(
    seconds=0.3,  # beside another process that is busy, something has to end in it
    warm_up=0.05,
    rounds=1,
    concurrencies=(1, 128),
    plain_stack=False,
    journals=1,
    entries=100,
    sleepers=(50,),
    wake_ups=3,
    timers=50,
    quiet_seconds=0.2,
    backlog=50,
    callers=20,
    callers_seconds=0.5,
    starts=1,
    stored=100,
)
"""For the test that it runs."""
