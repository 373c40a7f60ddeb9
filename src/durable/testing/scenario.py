"""A scenario is rehearsed once, and then with a crash before and after each of its commits."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from itertools import dropwhile, takewhile
from textwrap import indent
from typing import TypeVar, cast

import msgspec

from durable.options import Options
from durable.runtime.line import is_ours, line_of, outward
from durable.service import AnyService
from durable.testing.engine import TestEngine
from durable.testing.running import running
from durable.testing.stuck import StuckError, unless_stuck

T = TypeVar("T")

_SHOWN = 3


class Effect(msgspec.Struct, frozen=True):
    name: str
    key: str | None
    where: str
    """The line of the handler that caused it, and the step if it was one."""


class Scene:
    """What a scenario is given: engines that may die, and an outside world that does not."""

    def __init__(self, crash_at: int | None = None, *, written: bool = False) -> None:
        self._crash_at, self._written = crash_at, written
        self._engines: list[TestEngine] = []
        self._outside: list[object] = []
        self._asked = 0
        self.effects: list[Effect] = []
        """In order, also those of an earlier life."""

    def engine(self, *services: AnyService, options: Options | None = None) -> TestEngine:
        """An engine on the disk that this scene's last one left."""
        at = None if self._crash_at is None else self._crash_at - self.commits
        last = self._engines[-1] if self._engines else None
        engine = TestEngine(*services, after=last, options=options, crash_at=at, written=self._written)
        self._engines.append(engine)
        return engine

    def outside(self, make: Callable[[], T], /) -> T:
        """What is not part of the process: made once, and the same after a crash."""
        if self._asked == len(self._outside):
            self._outside.append(make())
        self._asked += 1
        return cast(T, self._outside[self._asked - 1])

    def effect(self, name: str, /, key: str | None = None) -> None:
        """Say that something happened outside; a fake calls it. The outside takes the same ``key`` for the same."""
        self.effects.append(Effect(name, key, _where()))

    @property
    def commits(self) -> int:
        return sum(engine.commits for engine in self._engines)

    @property
    def crashed(self) -> bool:
        return self._crash_at is not None and self.commits >= self._crash_at

    async def play(self, scenario: Callable[[Scene], Awaitable[T]]) -> T:
        """From the beginning to the end; what a crash cut short is played once more, as clients that ask again do."""
        try:
            result = await self._once(scenario)
        except Exception:
            if not self.crashed:
                raise
        else:
            if not self.crashed:
                return result
        self._asked = 0
        return await self._once(scenario)

    async def _once(self, scenario: Callable[[Scene], Awaitable[T]]) -> T:
        return await unless_stuck(scenario(self), lambda: self._engines[-1] if self._engines else None)

    async def findings(self) -> list[str]:
        return [str(finding) for finding in (await self._engines[-1].audit()).findings] if self._engines else []


class CrashError(AssertionError):
    """A crash made a difference that somebody outside can see."""


async def crash_everywhere(scenario: Callable[[Scene], Awaitable[object]], /) -> int:
    """Play ``scenario``; then with a crash before, and after, each of its commits. How many crashes there were.

    :class:`CrashError` if one of them made an effect happen more often or not at all, or another result, or if a caller
    waits for an invocation that is paused or backs off. A scenario starts again after its crash, from its first line,
    so its calls need idempotency keys.
    """
    calm = Scene()
    try:
        expected = await calm.play(scenario)
    except StuckError as error:
        raise CrashError(f"without any crash the scenario waits for ever:\n{_indented(error)}") from error
    if not calm.commits:
        raise ValueError("the scenario made no commit to crash at; let it open scene.engine(...), and call something")
    differences: list[str] = []
    for number in range(1, calm.commits + 1):
        for written in (False, True):
            scene = Scene(number, written=written)
            title = f"crash {'after' if written else 'before'} commit {number} of {calm.commits}"
            differences += [f"{title}\n{line}" for line in await _played(scene, scenario, calm, expected)]
    if differences:
        raise CrashError(_report(differences, 2 * calm.commits))
    return 2 * calm.commits


async def _played(
    scene: Scene, scenario: Callable[[Scene], Awaitable[object]], calm: Scene, expected: object
) -> list[str]:
    try:
        result = await scene.play(scenario)
    except StuckError as error:
        return [f"  the scenario, played again after it, waits for ever:\n{_indented(error)}"]
    except Exception as error:
        return [f"  the scenario, played again after it, ended with {error!r}"]
    lines = list(_compared(calm.effects, scene.effects))
    if result != expected:
        lines.append(f"  the result was {result!r}, without a crash it is {expected!r}")
    return lines + [f"  the audit found {finding}" for finding in await scene.findings()]


def _compared(calm: list[Effect], crashed: list[Effect]) -> Iterator[str]:
    for name in dict.fromkeys(effect.name for effect in (*calm, *crashed)):
        should, did = _distinct(calm, name), _distinct(crashed, name)
        if len(did) == len(should):
            continue
        times = f"  {name!r} happened {_times(len(did))}, without a crash {_times(len(should))}"
        yield times + "".join(f"\n    at {effect.where}{_keyed(effect)}" for effect in did or should)


def _distinct(effects: list[Effect], name: str) -> list[Effect]:
    """As the outside counts: what it has seen the key of, it does not do again."""
    named = [effect for effect in effects if effect.name == name]
    first = {effect.key: effect for effect in reversed(named) if effect.key is not None}
    return [effect for effect in named if effect.key is None or first[effect.key] is effect]


def _report(differences: list[str], crashes: int) -> str:
    shown = "\n".join(differences[:_SHOWN])
    more = f"\n... and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
    return (
        f"{len(differences)} differences in {crashes} crashes\n{shown}{more}\n"
        "An effect belongs into ctx.run(), and needs a key that is the same each time: a step that a crash cut off "
        "runs again."
    )


def _indented(error: StuckError) -> str:
    return indent(str(error), "    ")


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _keyed(effect: Effect) -> str:
    return ", without a key" if effect.key is None else f", key {effect.key!r}"


def _where() -> str:
    """The step that runs; or, of an effect outside of one, the line of the handler."""
    step = running.get()
    if step is not None:
        return f"{step.where}, step {step.name!r} of {step.handler}"
    # Past this function, and the scene's: the handler, and what it called.
    theirs = list(takewhile(lambda frame: not is_ours(frame), dropwhile(is_ours, outward(inspect.currentframe()))))
    return f"{line_of(theirs[-1] if theirs else None)}, outside of any step"
