"""Group commit: one transaction for all that was decided, when somebody waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from durable.core.invocation import Commit
from durable.core.ledger import Ledger
from durable.errors import EngineStoppedError
from durable.runtime.clock import Alarm, Clock
from durable.store import Store

log = logging.getLogger("durable.writer")

LINGER_MS = 50
"""How long a decision that nobody waits for stays in memory only: a lone handler's next one may share its commit."""


class Writer:
    """Writes the ledger's commit whenever an effect waits for it, and else after a moment."""

    def __init__(self, ledger: Ledger, store: Store, clock: Clock, stopped: Callable[[BaseException], None]) -> None:
        self._ledger, self._store, self._clock, self._stopped = ledger, store, clock, stopped
        self.durable = 0
        """Every decision up to this number is on the disk."""
        self.on_commit: Callable[[], None] = lambda: None
        self._wanted = asyncio.Event()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._callbacks: list[tuple[int, Callable[[], None]]] = []
        self._linger: Alarm | None = None
        self._closing = False
        self._error: BaseException | None = None
        self._task = asyncio.get_running_loop().create_task(self._write(), name="durable.writer")

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._callbacks and not self._wanted.is_set()

    def decided(self) -> int:
        """A decision was taken: its number. It will be written soon, also if nobody asks."""
        number = self._ledger.number
        self._ledger.number += 1
        if self._linger is None and self._error is None:
            self._linger = self._clock.call_at(self._clock.now_ms() + LINGER_MS, self._wanted.set)
        return number

    def when(self, number: int, callback: Callable[[], None]) -> None:
        """Call back once the decision is on the disk: now, if it is there; never, if that will never be known."""
        if number <= self.durable:
            callback()
        elif self._error is None:
            self._callbacks.append((number, callback))
            self._wanted.set()

    async def until(self, number: int) -> None:
        """Return once the decision is on the disk; raise ``EngineStoppedError`` if that will never be known."""
        if number <= self.durable:
            return
        if self._error is not None:
            raise self._unknown()
        if self._task.done():
            raise self._unknown()
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((number, future))
        self._wanted.set()
        await future

    async def close(self) -> None:
        """Write what is left."""
        self._closing = True
        self._wanted.set()
        await asyncio.wait([self._task])

    async def _write(self) -> None:
        while not self._closing or self._ledger.commit or not self.idle:
            if not self._closing:
                await self._wanted.wait()
            await asyncio.sleep(0)  # whoever is ready to run may still join this commit
            self._wanted.clear()
            if self._error is not None:
                return
            commit, number = self._take()
            try:
                if commit:
                    await self._store.commit(commit)
                self.durable = number
                self._release()
                self.on_commit()
            except BaseException as error:
                self.fail(error)
                return

    def _take(self) -> tuple[Commit, int]:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        commit, self._ledger.commit = self._ledger.commit, Commit()
        return commit, self._ledger.number - 1

    def _release(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for number, callback in callbacks:
            self.when(number, callback)
        waiting, self._waiting = self._waiting, []
        for number, future in waiting:
            if number > self.durable:
                self._waiting.append((number, future))
                self._wanted.set()
            elif not future.done():
                future.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Memory can no longer be trusted, or the disk is not known: nothing may be acknowledged any more."""
        if self._error is not None:
            return
        log.critical("the engine stops, and must be opened again to go on: %s", error, exc_info=error)
        self._error = error
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(self._unknown())
        self._waiting, self._callbacks = [], []
        self._stopped(error)

    def _unknown(self) -> EngineStoppedError:
        stopped = EngineStoppedError(
            f"the engine stopped before it knew the outcome: {self._error or 'it was closed'}; "
            "open it again, and send the request again with the same idempotency key"
        )
        stopped.__cause__ = self._error
        return stopped
