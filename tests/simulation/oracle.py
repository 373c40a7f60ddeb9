"""What a whole simulation must have come to, by a model that knows nothing of journals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.simulation.linear import is_linearizable
from tests.simulation.scenario import MAPPED, Operation, Program
from tests.simulation.world import World


def judge(world: World) -> None:
    disk, operations = world.disk, world.scenario.operations
    for what, rows in (("timer", disk.timers), ("waiter", disk.waiters), ("listener", disk.listeners)):
        if rows:
            world.violated(f"at the end there is a {what} left: {rows}")
    disturbed = {each.tag for each in operations if each.kind.split()[0] in ("cancel", "kill")}
    calm = [each for each in operations if each.tag in world.acknowledged and each.tag not in disturbed]
    for operation in calm:
        for result in [result for (tag, _), result in world.results.items() if tag == operation.tag]:
            _check_result(world, operation, result)
    _check_logs(world, [each for each in calm if " " not in each.kind], disturbed)
    for key, history in world.registers.items():
        world.counts["histories"] += 1
        if not is_linearizable(history):
            world.violated(f"register {key} is not linearizable: {history}")


def _check_result(world: World, operation: Operation, result: Any) -> None:
    expected = answers(operation.tag, operation.program) + (["first"] if operation.kind == "run" else [])
    if not isinstance(result, list) or len(result) != len(expected):
        return world.violated(f"{operation.tag} was answered {result}, not {expected}")
    for told, wanted in zip(result, expected, strict=True):
        if not _same(told, wanted):
            world.violated(f"{operation.tag} was answered {told!r}, not {wanted!r}")
    return None


def _same(told: str, wanted: str) -> bool:
    return all(a in b.split("|") for a, b in zip(told.split(","), wanted.split(","), strict=True))


def answers(tag: str, program: Program) -> list[str]:
    return [_answer(f"{tag}.{n}", *command) for n, command in enumerate(program)]


def _answer(tag: str, kind: str, *rest: Any) -> str:
    match kind:
        case "step" | "both":
            return f"did {tag}"
        case "slow":
            return f"did {tag}|timeout"
        case "call" | "twice":
            return ",".join(answers(tag, rest[1]))
        case "map":
            return ",".join(",".join(answers(f"{tag}.{n}", rest[1])) for n in range(MAPPED))
        case other:
            return {"sleep": "slept", "awake": "first", "signal": "first", "saga": "undone", "send": "sent"}[other]


def _check_logs(world: World, calm: list[Operation], disturbed: set[str]) -> None:
    logs = {key: msgspec.json.decode(raw) for (_, key, name), raw in world.disk.state.items() if name == "log"}
    for key, log in logs.items():
        _check_brackets(world, key, log, disturbed)
    for operation in calm:
        for key, tag in visits(operation):
            times = Counter(logs.get(key, []))[f"+{tag}"]
            if not 1 <= times <= 1 + world.runs[operation.tag]:
                world.violated(f"{tag} was on key {key} {times} times")
    for before, after in _in_order(calm):
        log = logs.get(before.key, [])
        places = [log.index(f"+{each.tag}") for each in (before, after) if f"+{each.tag}" in log]
        if places != sorted(places):
            world.violated(f"{before.tag} was accepted before {after.tag} was sent, and came after it")


def visits(operation: Operation) -> Iterator[tuple[str, str]]:
    """Which keys it, and what it called and sent, must have been on."""
    if operation.kind in ("call", "send", "later"):
        yield operation.key, operation.tag
    if operation.kind in ("call", "send", "later", "plain", "run"):
        yield from _called(operation.tag, operation.program)


def _called(tag: str, program: Program) -> Iterator[tuple[str, str]]:
    for n, (kind, *rest) in enumerate(program):
        if kind in ("call", "send", "twice"):
            yield rest[0], f"{tag}.{n}"
            yield from _called(f"{tag}.{n}", rest[1])
        if kind == "map":
            for mapped in range(MAPPED):
                yield rest[0], f"{tag}.{n}.{mapped}"
                yield from _called(f"{tag}.{n}.{mapped}", rest[1])


def _check_brackets(world: World, key: str, log: list[str], disturbed: set[str]) -> None:
    once = [line for line in log if not world.runs[line[1:].split(".")[0]]]
    if len(set(once)) < len(once):
        world.violated(f"key {key}: somebody was there twice: {log}")
    for here, following in zip(log, [*log[1:], "+"], strict=True):
        closed = here[0] == "-" or following == f"-{here[1:]}"
        if not closed and here[1:].split(".")[0] not in disturbed:
            world.violated(f"key {key}: {here} was interrupted by {following}: {log}")


def _in_order(calm: list[Operation]) -> Iterator[tuple[Operation, Operation]]:
    prompt = [each for each in calm if each.kind in ("call", "send")]
    for n, before in enumerate(prompt):
        for after in prompt[n + 1 :]:
            if (before.client, before.key) == (after.client, after.key):
                yield before, after
