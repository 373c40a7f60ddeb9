"""What users test with: an engine in memory, time that only the test moves, crashes everywhere, and old journals."""

from durable.testing.clock import TestClock
from durable.testing.crash import Crash
from durable.testing.engine import TestEngine
from durable.testing.faults import Faults
from durable.testing.model import Interleaving, ModelError, Operation, check_model, crashes, interleavings
from durable.testing.replay import Recording, ReplayDivergedError, recordings, replay_check
from durable.testing.scenario import CrashError, Effect, Scene, crash_everywhere

__all__ = [
    "Crash",
    "CrashError",
    "Effect",
    "Faults",
    "Interleaving",
    "ModelError",
    "Operation",
    "Recording",
    "ReplayDivergedError",
    "Scene",
    "TestClock",
    "TestEngine",
    "check_model",
    "crash_everywhere",
    "crashes",
    "interleavings",
    "recordings",
    "replay_check",
]
