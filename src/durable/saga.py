"""Undo what was done, last first, when it ends in failure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from types import TracebackType
from typing import Self

from durable.errors import InvocationCancelledError, TerminalError
from durable.flaw import refused
from durable.futures import DurableFuture


class Saga:
    """Steps to undo, last first, when a :class:`TerminalError` leaves the block; then the error goes on.

    That includes cancellation and a timeout. Any other exception undoes nothing: the attempt is repeated, and finds
    itself in the same block.
    """

    def __init__(self) -> None:
        self._steps: list[Callable[[], Awaitable[object]]] = []

    def undo(self, step: Callable[[], Awaitable[object]], /) -> None:
        """Register an undo step, before the step that it undoes: one that failed may still have had its effect.

        What it undoes may not have happened, so it must be right in both cases. Like all code of a handler, it does its
        work in ``ctx.run`` or ``ctx.call``.
        """
        if not callable(step):
            raise TypeError(
                f"saga.undo was given {refused(step)}, which is no function to call later; "
                "write saga.undo(lambda: ctx.run(name, function, *arguments))"
            )
        self._steps.append(step)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, TerminalError):
            return
        failures = [failure for step in reversed(self._steps) if (failure := await _undo(step))]
        if failures:
            # Not the error itself: whoever catches a timeout to go on must not take this for an undone one.
            raise TerminalError(
                f"{error.message}; and {len(failures)} of {len(self._steps)} undo steps failed: "
                + "; ".join(failure.message for failure in failures),
                status=error.status,
                metadata=error.metadata,
            ) from ExceptionGroup("what ended the saga, and what failed to undo it", [error, *failures])


async def _undo(step: Callable[[], Awaitable[object]]) -> TerminalError | None:
    try:
        undoing = step()
        # A cancellation interrupts the wait, not the step; what is undone already is not left half-way.
        while isinstance(undoing, DurableFuture):
            try:
                await undoing
                return None
            except InvocationCancelledError:
                continue
        if not isawaitable(undoing):
            raise TypeError(
                f"an undo step returned {undoing!r}, which cannot be awaited; let it be an `async def`, "
                "or return what ctx.run or ctx.call gives"
            )
        await undoing
    except TerminalError as failure:
        return failure
    return None
