"""Group commit: one transaction for all that was decided, when somebody waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from durable.core.invocation import Commit
from durable.core.ledger import Ledger
from durable.errors import DiskFullError, EngineStoppedError
from durable.runtime.clock import Alarm, Clock
from durable.store import Store

log = logging.getLogger("durable.writer")

LINGER_MS = 50
"""How long a decision that nobody waits for stays in memory only: a lone handler's next one may share its commit."""

MOST_AHEAD = 4_000
"""Decisions by which memory may run ahead of the disk before handlers wait for it: each takes a few KB."""

FIRST_RETRY_MS, LONGEST_RETRY_MS = 100, 2_000
"""How long a commit waits before it looks for room again: twice as long each time."""


def unsure(full: DiskFullError) -> DiskFullError:
    """For those who wait for a commit that will be made once there is room, if the engine lives to see it."""
    error = DiskFullError(
        f"{full}: what was asked for may be done or not once there is room; make some, and send it again with the same "
        "idempotency key"
    )
    error.__cause__ = full
    return error


class _Waiter(NamedTuple):
    number: int
    future: asyncio.Future[None]
    patient: bool


class Writer:
    """Writes the ledger's commit whenever an effect waits for it, and else after a moment.

    A commit that finds no room on the disk is kept, and tried again until it does; the next one fills meanwhile.
    """

    def __init__(self, ledger: Ledger, store: Store, clock: Clock, stopped: Callable[[BaseException], None]) -> None:
        self._ledger, self._store, self._clock, self._stopped = ledger, store, clock, stopped
        self.durable = 0
        """Every decision up to this number is on the disk."""
        self.full: DiskFullError | None = None
        """While the disk is: nothing that comes from outside may be decided."""
        self.on_commit: Callable[[], None] = lambda: None
        self.on_full: Callable[[], None] = lambda: None
        self._wanted, self._retry = asyncio.Event(), asyncio.Event()
        self._pausing = False
        self._waiting: list[_Waiter] = []
        self._callbacks: list[tuple[int, Callable[[], None]]] = []
        self._linger: Alarm | None = None
        self._closing = False
        self._error: BaseException | None = None
        self._task = asyncio.get_running_loop().create_task(self._write(), name="durable.writer")

    @property
    def idle(self) -> bool:
        return self._pausing or not (self._waiting or self._callbacks or self._wanted.is_set())

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

    @property
    def is_behind(self) -> bool:
        return self._ledger.number - 1 - self.durable > MOST_AHEAD

    async def catch_up(self) -> None:
        """Return once memory is not far ahead of the disk, or never will be nearer."""
        if self.is_behind:
            with suppress(EngineStoppedError):
                await self.until(self._ledger.number - MOST_AHEAD // 2, patient=True)

    def check(self) -> None:
        """Raise ``EngineStoppedError`` if nothing will ever be on the disk any more."""
        if self._error is not None:
            raise self._unknown()

    async def until(self, number: int, *, patient: bool = False) -> None:
        """Return once the decision is on the disk; raise ``EngineStoppedError`` if that will never be known.

        Who is not ``patient`` gets ``DiskFullError`` while it is full, and does not know the outcome then.
        """
        if number <= self.durable:
            return
        if self._error is not None or self._task.done():
            raise self._unknown()
        if self.full is not None and not patient:
            raise unsure(self.full)
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiter(number, future, patient))
        self._wanted.set()
        await future

    async def close(self) -> None:
        """Write what is left."""
        self._closing = True
        self._wanted.set()
        self._retry.set()
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
                    await self._commit(commit)
                self.durable = number
                self._release()
                self.on_commit()
            except BaseException as error:
                self.fail(error)
                return

    async def _commit(self, commit: Commit) -> None:
        """Again and again while the disk is full; an engine that closes tries once more."""
        pause_ms = FIRST_RETRY_MS
        while True:
            try:
                await self._store.commit(commit)
            except DiskFullError as error:
                if self._closing:
                    raise
                self._refuse(error)
                await self._pause(pause_ms)
                if self._error is not None:
                    raise
                pause_ms = min(2 * pause_ms, LONGEST_RETRY_MS)
            else:
                self._accept_again()
                return

    def _refuse(self, error: DiskFullError) -> None:
        if self.full is not None:
            return
        log.error("nothing is accepted until there is room: %s", error)
        self.full = error
        for waiter in self._waiting:
            if not waiter.patient and not waiter.future.done():
                waiter.future.set_exception(unsure(error))
        self._waiting = [waiter for waiter in self._waiting if waiter.patient]
        self.on_full()

    async def _pause(self, pause_ms: int) -> None:
        alarm = self._clock.call_at(self._clock.now_ms() + pause_ms, self._retry.set)
        self._pausing = True
        await self._retry.wait()
        self._pausing = False
        self._retry.clear()
        alarm.cancel()

    def _accept_again(self) -> None:
        if self.full is not None:
            log.warning("there is room again on the disk: the engine goes on")
            self.full = None

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
        for waiter in waiting:
            if waiter.number > self.durable:
                self._waiting.append(waiter)
                self._wanted.set()
            elif not waiter.future.done():
                waiter.future.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Memory can no longer be trusted, or the disk is not known: nothing may be acknowledged any more."""
        if self._error is not None:
            return
        log.critical("the engine stops, and must be opened again to go on: %s", error, exc_info=error)
        self._error = error
        for waiter in self._waiting:
            if not waiter.future.done():
                waiter.future.set_exception(self._unknown())
        self._waiting, self._callbacks = [], []
        self._retry.set()
        self._stopped(error)

    def _unknown(self) -> EngineStoppedError:
        stopped = EngineStoppedError(
            f"the engine stopped before it knew the outcome: {self._error or 'it was closed'}; "
            "open it again, and send the request again with the same idempotency key"
        )
        stopped.__cause__ = self._error
        return stopped
