"""A ledger to decide on: the shop's handlers, and invocations of them."""

from typing import Any

from durable.core import lifecycle
from durable.core.entries import Target
from durable.core.ids import InvocationId, plain
from durable.core.invocation import Commit, Invocation, Kind, LoadedInstance, Request, Status, instance_id
from durable.core.ledger import Effect, Instance, Ledger, Resident, Rule

NOW = 1_700_000_000_000
RETENTION = 86_400_000

MAIL = Target("Mail", "send")
ADD = Target("Cart", "add", "mary")
SHOW = Target("Cart", "show", "mary")
ORDER = Target("Order", "run", "7")
APPROVE = Target("Order", "approve", "7")

DIRECTORY = {
    ("Mail", "send"): Rule(Kind.SERVICE, RETENTION),
    ("Cart", "add"): Rule(Kind.EXCLUSIVE, RETENTION),
    ("Cart", "show"): Rule(Kind.SHARED, RETENTION),
    ("Order", "run"): Rule(Kind.WORKFLOW, RETENTION),
    ("Order", "approve"): Rule(Kind.SHARED, RETENTION),
}


def id_of(n: int) -> InvocationId:
    return plain(NOW, n.to_bytes(10, "big"))


def request(target: Target = MAIL, **fields: Any) -> Request:
    kind = DIRECTORY[target.service, target.handler].kind
    defaults: dict[str, Any] = {"payload": b"{}"}
    return Request(target=target, kind=kind, **(defaults | fields))


def invocation(n: int = 1, target: Target = MAIL, **fields: Any) -> Invocation:
    defaults: dict[str, Any] = {"status": Status.RUNNING, "created_ms": NOW, "modified_ms": NOW}
    return Invocation(n=n, id=id_of(n), request=request(target), **(defaults | fields))


def a_ledger() -> Ledger:
    return Ledger(DIRECTORY, last_n=0, last_place=0)


def instance_of(ledger: Ledger, target: Target = ADD) -> Instance:
    return ledger.admit_instance(instance_id(target), LoadedInstance([], {}, {}, {}))


def accept(ledger: Ledger, target: Target = MAIL, *, due_ms: int | None = None, **fields: Any) -> Resident:
    """A new invocation, whose id is :func:`id_of` its number."""
    instance_of(ledger, target)
    return lifecycle.accept(ledger, request(target, **fields), id_of(ledger.last_n + 1), NOW, due_ms)


def with_status(ledger: Ledger, status: Status, target: Target = MAIL) -> Resident:
    resident = accept(ledger, target)
    ledger.change(resident, status=status)
    settled(ledger)
    return resident


def settled(ledger: Ledger) -> Ledger:
    """As if all that was decided had been committed and carried out."""
    ledger.commit, ledger.effects = Commit(), []
    return ledger


def effects(ledger: Ledger) -> list[Effect]:
    """Take out what is to be done."""
    taken, ledger.effects = ledger.effects, []
    return taken
