"""What users test with: an engine in memory, time that only the test moves, and crashes at every commit."""

from durable.testing.clock import TestClock
from durable.testing.engine import TestEngine
from durable.testing.faults import Faults
from durable.testing.scenario import CrashError, Effect, Scene, crash_everywhere

__all__ = ["CrashError", "Effect", "Faults", "Scene", "TestClock", "TestEngine", "crash_everywhere"]
