"""What happens in one simulation, before anything has happened: clients with their operations, and faults. Pure."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

Program = list[list[Any]]
"""What a handler does, command by command."""

KEYS = 2
"""Objects of each layer: few, so that there are queues."""
LAYERS = 3
"""A handler calls only objects of a higher layer: no circle."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What a client does next."""

    client: int
    kind: str
    tag: str
    """Its own, or whose invocation it is about."""
    key: str = ""
    program: Program = []
    pause_ms: int = 0
    """Before it."""
    delay_ms: int = 0
    timeout_ms: int | None = None
    """After which the client hangs up, once."""
    asked: tuple[Any, ...] = ()
    """Of a register."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    at: int
    """A commit's number, counted through all engines, or a time in milliseconds."""
    by: int = 0


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    seed: int
    inactivity_ms: int
    resident: int
    operations: tuple[Operation, ...]
    faults: tuple[Fault, ...]


COMMIT_FAULTS = ("crash before", "crash after", "error before", "error after", "disk full")
TIMED_FAULTS = ("kill", "restart", "jump")


def scenario(seed: int) -> Scenario:
    random = Random(f"scenario {seed}")
    operations = [each for client in range(random.randint(2, 4)) for each in _client(random, client)]
    return Scenario(
        seed=seed,
        inactivity_ms=random.choice((0, 0, 20, 60_000)),
        resident=random.choice((1, 5, 10_000)),
        operations=tuple(operations),
        faults=tuple(_fault(random) for _ in range(random.randint(2, 9))),
    )


def _fault(random: Random) -> Fault:
    if random.random() < 0.65:
        return Fault(kind=random.choice(COMMIT_FAULTS), at=random.randint(1, 60), by=random.randint(1, 4))
    kind = random.choice(TIMED_FAULTS)
    return Fault(kind=kind, at=random.randint(1, 8000), by=random.choice((-60_000, -500, 2_000, 3_600_000)))


def _client(random: Random, client: int) -> list[Operation]:
    operations: list[Operation] = []
    for n in range(random.randint(3, 7)):
        operations.append(_operation(random, client, f"{client}-{n}", operations))
    return operations


KINDS = ("call", "call", "call", "send", "send", "later", "plain", "run", "register", "register", "read")
ABOUT = ("again", "again", "cancel", "kill", "pause", "attach")
"""Operations on what the same client did before."""


def _operation(random: Random, client: int, tag: str, before: list[Operation]) -> Operation:
    pause_ms = random.choice((0, 0, 5, 300, 2000))
    asked = [each for each in before if each.kind in ("call", "send", "later", "plain")]
    if asked and random.random() < 0.3:
        kind, about = random.choice(ABOUT), random.choice(asked)
        return msgspec.structs.replace(about, kind=f"{kind} {about.kind}", pause_ms=pause_ms, timeout_ms=None)
    kind = random.choice(KINDS)
    return Operation(
        client=client,
        kind=kind,
        tag=tag,
        key=f"0.{random.randrange(KEYS)}" if kind not in ("plain", "run") else tag,
        program=_program(random, 1, random.randint(1, 4)),
        pause_ms=pause_ms,
        delay_ms=random.choice((0, 10, 700, 3000)),
        timeout_ms=random.choice((None, None, None, 10, 200, 1000)),
        asked=_register(random),
    )


def _register(random: Random) -> tuple[Any, ...]:
    number = random.randint(0, 3)
    return random.choice((("get",), ("set", number), ("add", number), ("cas", random.randint(0, 3), number)))


def _program(random: Random, layer: int, size: int) -> Program:
    return [_command(random, layer) for _ in range(size)]


def _command(random: Random, layer: int) -> list[Any]:
    kinds = ["step", "step", "step", "sleep", "awake", "both", "saga", "slow"]
    if layer < LAYERS:
        kinds += ["call", "call", "send"]
    kind = random.choice(kinds)
    if kind in ("sleep", "both", "slow"):
        return [kind, random.choice((0, 1, 30, 400, 5000))]
    if kind in ("call", "send"):
        program = _program(random, layer + 1, random.randint(0, 2))
        return [kind, f"{layer}.{random.randrange(KEYS)}", program, random.choice((0, 0, 20, 1500))]
    return [kind]
