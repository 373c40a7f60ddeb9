"""What must be true of a disk when nothing is under way."""

from __future__ import annotations

from durable.core.invocation import Status, instance_id
from durable.testing import TestEngine
from durable.testing.audit import audit_disk


def at_rest(engine: TestEngine) -> None:
    """Everything has its outcome, nothing waits, and no row is left without its owner."""
    disk = engine.disk
    assert audit_disk(disk).findings == ()
    assert {row.status for row in disk.invocations.values()} <= {Status.COMPLETED}
    assert all(row.outcome is not None and row.expires_ms is not None for row in disk.invocations.values())
    assert (disk.timers, disk.waiters, disk.listeners) == (set(), set(), set())
    assert disk.journals.keys() <= disk.invocations.keys()
    assert all(not disk.queue(instance_id(row.request.target)) for row in disk.invocations.values())
