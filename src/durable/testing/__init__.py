"""What users test with: an engine in memory, time that only the test moves, crashes everywhere, and old journals."""

from durable.testing.clock import TestClock
from durable.testing.engine import TestEngine
from durable.testing.faults import Faults
from durable.testing.replay import Recording, ReplayDivergedError, recordings, replay_check
from durable.testing.scenario import CrashError, Effect, Scene, crash_everywhere

__all__ = [
    "CrashError",
    "Effect",
    "Faults",
    "Recording",
    "ReplayDivergedError",
    "Scene",
    "TestClock",
    "TestEngine",
    "crash_everywhere",
    "recordings",
    "replay_check",
]
