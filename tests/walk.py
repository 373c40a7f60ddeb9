"""A handler walks a journal, or the beginning of one, as far as that goes: nothing is written, and no step begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from durable.core import entries as e
from durable.core.awaits import Await
from durable.core.ids import InvocationId, plain
from durable.core.invocation import Invocation
from durable.core.journal import Divergence
from durable.core.ledger import Directory, Resident
from durable.core.outcome import Failure, Outcome, Success
from durable.errors import JournalMismatchError, Suspended, TerminalError
from durable.runtime.attempt import Attempt
from durable.runtime.invoker import Runnable
from durable.runtime.steps import Step

C = TypeVar("C", bound=e.AnyCommand)


class Ground:
    """Implements :class:`durable.runtime.attempt.Host`: it decides nothing."""

    def __init__(self, directory: Directory, secret: bytes, now_ms: int) -> None:
        self.directory, self.secret, self._now_ms = directory, secret, now_ms
        self.steps: list[str] = []
        """Whose results the journal does not hold."""
        self.mismatch: JournalMismatchError | None = None

    def now_ms(self) -> int:
        return self._now_ms

    def new_id(self) -> InvocationId:
        return plain(self._now_ms, bytes(10))

    def flush_now(self, attempt: Attempt, /) -> bool:
        return True

    def on_step(self, attempt: Attempt, step: Step, /) -> None:
        self.steps.append(step.name)

    def diverged(self, attempt: Attempt, error: JournalMismatchError, /) -> None:
        self.mismatch = error
        attempt.close()

    async def flush(self, attempt: Attempt, /) -> None: ...
    def flush_soon(self, attempt: Attempt, /) -> None: ...
    def begin(self, attempt: Attempt, command: e.Run, step: Step, /) -> None: ...
    def parked(self, attempt: Attempt, /) -> None: ...


class Walk(Attempt):
    """An attempt that is over when its handler asks for what the journal does not hold, or waits for it."""

    def __init__(self, ground: Ground, invocation: Invocation, entries: Sequence[e.Entry]) -> None:
        super().__init__(ground, Resident(invocation, list(entries), []), None)
        self._ground = ground
        self.issued: e.AnyCommand | None = None
        """The first command beyond the journal."""
        self.awaited: tuple[Await, ...] = ()
        self.ended: Outcome | None = None
        self.error: BaseException | None = None
        """What no handler may end with."""

    @property
    def diverged(self) -> str | None:
        return None if self._ground.mismatch is None else str(self._ground.mismatch)

    @property
    def begun_steps(self) -> list[str]:
        """Those that an engine would begin."""
        return self._ground.steps

    def go(self, handler: Runnable) -> None:
        """All that it can hear is in the journal: if it waits at all, it has come to its end."""
        coroutine = handler.invoke(self, self.resident.invocation.request.payload)
        self.running = True
        try:
            coroutine.send(None)
            self.awaited = tuple(self._awaits)
        except StopIteration as end:
            self._end(Success(end.value))
        except TerminalError as error:
            self._end(Failure.of(error))
        except BaseException as error:
            self.error = None if self.closed else error
        finally:
            coroutine.close()

    def _end(self, outcome: Outcome) -> None:
        try:
            self.journal.finish()
            self.ended = outcome
        except Divergence as error:
            self._ground.diverged(self, self.mismatch(error))

    def _issue(self, command: C) -> C:
        issued = super()._issue(command)
        if self.journal.staged:
            self.issued = self.journal.staged[0]
            self.close()
            raise Suspended
        return issued
