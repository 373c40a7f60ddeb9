"""What users test with: an engine in memory, and time that only the test moves."""

from durable.testing.clock import TestClock
from durable.testing.engine import TestEngine

__all__ = ["TestClock", "TestEngine"]
