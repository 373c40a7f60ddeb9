"""Whether a history of concurrent operations has an order in which one register could have done them. Pure.

Wing and Gong's search with Lowe's memory: the operations done so far and the value they left are visited once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class Done(msgspec.Struct, frozen=True):
    """One operation of a client, by the order of events."""

    called: int
    returned: int | None
    """``None``: the client never heard. It may have happened at any time since, or never."""
    asked: tuple[Any, ...]
    result: Any = None


def apply(value: int, asked: tuple[Any, ...]) -> tuple[Any, int]:
    """The result and the next value."""
    match asked:
        case ("set" | "replace", number):
            return None, number
        case ("add", number):
            return value + number, value + number
        case ("cas" | "swap", expected, number):
            return value == expected, number if value == expected else value
        case _:
            return value, value


def is_linearizable(history: Sequence[Done], initial: int = 0) -> bool:
    known = frozenset(n for n, done in enumerate(history) if done.returned is not None)
    seen: set[tuple[frozenset[int], int]] = set()
    stack = [(frozenset[int](), initial)]
    while stack:
        state = stack.pop()
        if state in seen:
            continue
        seen.add(state)
        done, value = state
        if known <= done:
            return True
        for n in _next(history, done):
            result, left = apply(value, history[n].asked)
            if history[n].returned is None or result == history[n].result:
                stack.append((done | {n}, left))
    return False


def _next(history: Sequence[Done], done: frozenset[int]) -> list[int]:
    """Who may come next: called before anybody else that is left had returned."""
    left = [n for n in range(len(history)) if n not in done]
    first = min((each.returned for n in left if (each := history[n]).returned is not None), default=None)
    return [n for n in left if first is None or history[n].called < first]
