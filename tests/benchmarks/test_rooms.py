"""Samples are counted where they were taken."""

from benchmarks.rooms import by_room

STACKS = [
    "run (asyncio/runners.py:1);call (durable/engine.py:9) 3",
    "run (asyncio/runners.py:1);append (/a/src/durable/core/ledger.py:9) 4",
    "run (asyncio/runners.py:1);create_task (asyncio/base_events.py:9) 2",
    "_find_and_load (<frozen importlib._bootstrap>:1);append (/a/src/durable/core/ledger.py:1) 100",
    "run (asyncio/runners.py:1);<lambda> (<string>) 1",
]


def test_a_sample_belongs_to_the_room_of_its_innermost_frame() -> None:
    assert by_room(STACKS) == [
        ("durable/core", 0.4),
        ("durable, the author's face", 0.3),
        ("asyncio", 0.2),
        ("other", 0.1),
    ]
