"""What happens in one simulation, before anything has happened: clients with their operations, and faults. Pure."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from tests.simulation.bells import Bells, bells
from tests.simulation.limits import Limits, limits

Program = list[list[Any]]
"""What a handler does, command by command."""

KEYS = 2
"""Objects of each layer: few, so that there are queues."""
MAPPED = 3
"""Inputs of a map: more than a part holds."""
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
    entries: int = 0
    """Of its journal that a restart keeps."""
    times: int = 1
    """How often a workflow is run and purged."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    at: int
    """The number of a commit or a read, counted through all engines; of a process; or a time in milliseconds."""
    by: int = 0
    """How often, for how many milliseconds, or at which call of the store."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    seed: int
    inactivity_ms: int
    resident: int
    operations: tuple[Operation, ...]
    faults: tuple[Fault, ...]
    limits: Limits = Limits()
    bells: Bells = Bells()
    sqlite: bool = False
    """Otherwise the store is the one in memory."""


COMMIT_FAULTS = ("crash before", "crash after", "error before", "error after", "disk full")
READ_FAULTS = ("read error", "slow read")
REPEATED_FAULTS = ("disk full", "read error")
DEATH_IN_OPEN = "crash in open"
TIMED_FAULTS = ("kill", "restart", "jump")

SECOND, HOUR, DAY = 1_000, 3_600_000, 86_400_000
YEARS = 3_652 * DAY


def scenario(seed: int, *, sqlite: bool | None = None) -> Scenario:
    random = Random(f"scenario {seed}")
    operations = [each for client in range(random.randint(2, 4)) for each in _client(random, client)]
    if random.random() < 0.5:
        operations += [each for client in (7, 8, 9) for each in _rival(random, client)]
    return Scenario(
        seed=seed,
        inactivity_ms=random.choice((0, 0, 20, 60_000)),
        resident=random.choice((1, 5, 10_000)),
        operations=tuple(operations),
        faults=(*(_fault(random) for _ in range(random.randint(2, 9))), *_jumps(random)),
        limits=limits(seed),
        bells=bells(seed),
        sqlite=random.random() < 0.2 if sqlite is None else sqlite,
    )


def _fault(random: Random) -> Fault:
    chance = random.random()
    if chance < 0.5:
        return Fault(
            kind=random.choice((*COMMIT_FAULTS, "disk full")), at=random.randint(1, 60), by=random.randint(1, 7)
        )
    if chance < 0.6:
        return Fault(kind="read error", at=random.randint(1, 90), by=random.choice((1, 1, 2, 5)))
    if chance < 0.65:
        return Fault(kind="slow read", at=random.randint(1, 90), by=random.choice((200, 5_000, 90_000)))
    if chance < 0.75:
        return Fault(kind=DEATH_IN_OPEN, at=random.randint(1, 6), by=random.randint(1, 8))
    by = random.choice((-60_000, -500, 2_000, HOUR))
    return Fault(kind=random.choice(TIMED_FAULTS), at=random.randint(1, 8000), by=by)


def _jumps(random: Random) -> list[Fault]:
    """Of some seeds the clock is all but still: it is set to and fro, also while nothing runs."""
    if random.random() > 0.15:
        return []
    choices = (SECOND, -SECOND, HOUR, -HOUR, DAY, -DAY)
    jumps = [_jump(random.randint(1, 20_000), random.choice(choices)) for _ in range(random.randint(5, 30))]
    if random.random() < 0.3:
        there = random.randint(1, 10_000)
        jumps += [_jump(there, YEARS), _jump(there + random.choice((1, 300, 5_000)), -YEARS)]
    return jumps


def _jump(at: int, by: int) -> Fault:
    return Fault(kind="jump", at=at, by=by)


def _client(random: Random, client: int) -> list[Operation]:
    operations: list[Operation] = []
    for n in range(random.randint(3, 7)):
        operations.append(_operation(random, client, f"{client}-{n}", operations))
    return operations


def _rival(random: Random, client: int) -> list[Operation]:
    """A client that has nothing in mind but one register, like the others of its kind."""
    return [
        Operation(
            client=client,
            kind="register",
            tag=f"{client}-{n}",
            key="0.0",
            pause_ms=random.choice((0, 0, 1, 4, 60)),
            timeout_ms=random.choice((None, None, None, 20)),
            asked=_register(random),
        )
        for n in range(random.randint(3, 6))
    ]


KINDS = ("call", "call", "call", "send", "send", "later", "plain", "plain", "run", "register", "read")
ABOUT = (
    "again",
    "again",
    "again",
    "cancel",
    "kill",
    "pause",
    "resume",
    "attach",
    "purge",
    "forget",
    "restart",
    "restart",
)
"""Operations on what the same client did before; to forget is to purge the journal."""


def _operation(random: Random, client: int, tag: str, before: list[Operation]) -> Operation:
    pause_ms = random.choice((0, 0, 5, 300, 2000))
    asked = [each for each in before if each.kind in ("call", "send", "later", "plain")]
    if asked and random.random() < 0.4:
        about = _about(random, asked)
        return msgspec.structs.replace(about, pause_ms=pause_ms, timeout_ms=None)
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
        times=random.choice((1, 1, 2)),
    )


def _about(random: Random, asked: list[Operation]) -> Operation:
    kind = random.choice(ABOUT)
    repeatable = [each for each in asked if _is_repeatable(each)]
    if kind == "restart" and repeatable:
        about, kept = random.choice(repeatable), random.choice((0, 1, 2, 3, 4, 6))
        return msgspec.structs.replace(about, kind=f"{kind} {about.kind}", entries=kept)
    about = random.choice(asked)
    return msgspec.structs.replace(about, kind=f"{kind} {about.kind}")


def _is_repeatable(operation: Operation) -> bool:
    """Whether a part of its journal can be kept: nobody will answer the old id, no old state is written again."""
    return operation.kind == "plain" and not any(kind in ("awake", "signal") for kind, *_ in operation.program)


def _register(random: Random) -> tuple[Any, ...]:
    number = random.randint(0, 3)
    change, added = ("cas", random.randint(0, 3), number), ("add", number)
    return random.choice((("get",), ("set", number), added, added, change, ("replace", number), ("swap", number)))


def _program(random: Random, layer: int, size: int) -> Program:
    return [_command(random, layer) for _ in range(size)]


def _command(random: Random, layer: int) -> list[Any]:
    kinds = ["step", "step", "step", "sleep", "awake", "both", "saga", "slow", "signal"]
    if layer < LAYERS:
        kinds += ["call", "call", "send", "twice"]
    kind = random.choice(kinds)
    if kind in ("sleep", "both", "slow", "signal"):
        return [kind, random.choice((0, 1, 30, 400, 5000))]
    if kind in ("call", "send", "twice"):
        program = _program(random, layer + 1, random.randint(0, 2))
        key, delay_ms = f"{layer}.{random.randrange(KEYS)}", random.choice((0, 0, 20, 1500))
        # A call has no delay: the number decides something else, so that the seeds stay what they were.
        return ["map" if (kind, delay_ms) == ("call", 1500) else kind, key, program, delay_ms]
    return [kind]
