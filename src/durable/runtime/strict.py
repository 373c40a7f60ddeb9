"""An attempt that minds mistakes which others let pass. The first one is the outcome of its invocation."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from datetime import timedelta

from durable.core.awaits import Await, One
from durable.core.ids import InvocationId, read_invocation
from durable.core.ledger import Instance, Resident
from durable.errors import MisuseError, Suspended
from durable.machine import Action, Outgoing
from durable.mapper import MAP_ALL
from durable.retry import RetryPolicy
from durable.runtime.attempt import PATIENCE, Attempt, Host
from durable.runtime.drive import Driven
from durable.runtime.watch import Watched, author_line, caught_at, waiting_line

log = logging.getLogger("durable.strict")


class Strict:
    """Makes the attempts of one engine."""

    def __init__(self) -> None:
        self._swallowed: dict[InvocationId, MisuseError] = {}
        """Of attempts that were over when it was noticed: what their next one is to raise."""

    def __call__(self, host: Host, resident: Resident, instance: Instance | None) -> StrictAttempt:
        return StrictAttempt(host, resident, instance, self._swallowed)


class StrictAttempt(Attempt):
    def __init__(
        self, host: Host, resident: Resident, instance: Instance | None, swallowed: dict[InvocationId, MisuseError]
    ) -> None:
        super().__init__(host, resident, instance)
        self._all_swallowed = swallowed
        # Not raised by a verb: it would not take the path that the journal records.
        self._misuse = swallowed.pop(resident.invocation.id, None)
        self._due: MisuseError | None = None
        self._unawaited: dict[int | str, str] = {}
        self._coroutine: Coroutine[object, object, bytes] | None = None
        self._told: Suspended | None = None
        """That the attempt is over, as the handler was told."""

    def misused(self, says: str) -> MisuseError:
        error = MisuseError(f"{self.handler} {says}")
        self._misuse = self._misuse or error
        return error

    async def drive(self, handler: Coroutine[object, object, bytes]) -> bytes:
        self._coroutine = handler
        try:
            output = await Driven(Watched(handler, self.misused, self._raise_later), self)
        except BaseException as error:
            if isinstance(error, Exception) or self._swallowed > PATIENCE:
                self._ended(error)
            raise
        self._ended(None)
        if self._unawaited:
            raise self.misused(next(iter(self._unawaited.values())))
        return output

    def run(self, name: str, action: Action, retry: RetryPolicy | None, /) -> One:
        slot = super().run(name, action, retry)
        return self._to_be_awaited(slot, f"ctx.run({name!r})", "write `await ctx.run(...)`")

    def call(self, outgoing: Outgoing, /) -> tuple[str, One]:
        id, slot = super().call(outgoing)
        if outgoing.target == MAP_ALL:
            return id, self._to_be_awaited(slot, "a map", "write `await ctx.map(...)`")
        called = f"ctx.call({outgoing.target.service}.{outgoing.target.handler})"
        return id, self._to_be_awaited(slot, called, "write `await ctx.call(...)`, or `ctx.send(...)` not to wait")

    def sleep(self, duration: timedelta, /) -> One:
        slot = super().sleep(duration)
        return self._to_be_awaited(slot, "a sleep or a timeout", "write `await ctx.sleep(...)`")

    def cancel(self, invocation_id: str, /) -> None:
        super().cancel(invocation_id)
        id = read_invocation(invocation_id)
        for completion, child in self._children:
            if child == id:
                self._unawaited.pop(completion, None)

    async def wait(self, awaited: Await, /) -> None:
        self._check_place()
        for slot in awaited.slots():
            self._unawaited.pop(slot, None)
        try:
            await super().wait(awaited)
        except Suspended as error:
            self._told = self._told or error
            raise

    # -- how

    def _open(self) -> None:
        self._check_place()
        try:
            super()._open()
        except Suspended as error:
            self._told = self._told or error
            raise

    def _check_place(self) -> None:
        if not self.running:
            raise self.misused(
                f"has a ctx that was used outside its coroutine{self._where()}; use it there only, and not in a task, "
                "a thread or another handler: make futures with it, and combine them with durable.gather()"
            )
        due, self._due = self._due, None
        if due is not None:
            raise due

    def _where(self) -> str:
        if line := author_line():
            return f", at {line}"
        waiting = waiting_line(self._coroutine)
        return f", by a task that was begun before {waiting}" if waiting else ""

    def _raise_later(self, says: str) -> None:
        self._due = self.misused(says)

    def _to_be_awaited(self, slot: One, what: str, instead: str) -> One:
        self._unawaited[slot.slot] = f"returned without awaiting {what} of {author_line()}; {instead}"
        return slot

    def _ended(self, error: BaseException | None) -> None:
        if self.closed:
            if self._told is not None:
                self._note_swallowed(self._told)
        elif self._misuse is not None and error is not self._misuse:
            raise self._misuse from error

    def _note_swallowed(self, told: Suspended) -> None:
        id = self.resident.invocation.id
        if id not in self._all_swallowed:
            error = self._all_swallowed[id] = self.misused(
                f"went on after the end of its attempt, which it was told at {caught_at(told)}; "
                "write `except Exception` or `except TerminalError` there, not `except BaseException`"
            )
            log.error("%s", error, extra={"invocation": self.invocation_id})
