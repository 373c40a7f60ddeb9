"""Which invocations and keys are in memory: loaded when a decision needs them, dropped when nobody does."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Container, Iterable
from functools import partial
from typing import TypeVar

from durable.core.ids import InvocationId
from durable.core.invocation import InstanceId, LoadedInstance, Status
from durable.core.ledger import Instance, Ledger, Resident
from durable.core.lifecycle import Needed
from durable.errors import DamagedError, StoreError
from durable.runtime.writer import Writer
from durable.store import Store

log = logging.getLogger("durable.residency")

K = TypeVar("K", InvocationId, InstanceId)
V = TypeVar("V", Resident, Instance)


class Residency:
    def __init__(self, ledger: Ledger, store: Store, writer: Writer, capacity: int) -> None:
        self._ledger, self._store, self._writer = ledger, store, writer
        self._capacity = self._threshold = capacity
        self._pins: dict[Needed, int] = {}
        self._retired = deque[Resident]()
        self._loading: dict[Needed, asyncio.Task[None]] = {}
        self._arriving: dict[Needed, asyncio.Future[None]] = {}
        """Of each that somebody waits for: who came last."""

    @property
    def loading(self) -> bool:
        return bool(self._loading or self._arriving)

    def has(self, needed: Iterable[Needed]) -> bool:
        """Whether a decision that needs these can be taken now, without waiting, and without passing who waits."""
        return all(self._resident(each) and each not in self._arriving for each in needed)

    def hold(self, needs: Callable[[], Iterable[Needed]]) -> Hold:
        """Have what ``needs`` names in memory, and keep it there, for as long as an ``async with`` block lasts.

        What is not in memory then does not exist. ``needs`` is asked again after each load: one may reveal another.
        """
        return Hold(self, needs)

    def hold_one(self, needed: Needed) -> Hold:
        return self.hold(lambda: (needed,))

    async def load_missing(self, wanted: Iterable[Needed]) -> None:
        loads = [self._load(each) for each in wanted if not self._resident(each)]
        if loads:
            await asyncio.gather(*loads)
            self.sweep()

    def arrive(self, wanted: Iterable[Needed]) -> tuple[asyncio.Future[None], list[asyncio.Future[None]]]:
        """First come first served: who waits for these from now on, and who did before."""
        arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        before = [self._arriving[each] for each in wanted if each in self._arriving]
        self._arriving.update(dict.fromkeys(wanted, arrival))
        return arrival, before

    def arrived(self, arrival: asyncio.Future[None], held: Iterable[Needed]) -> None:
        for each in held:
            if self._arriving.get(each) is arrival:
                del self._arriving[each]
        arrival.set_result(None)

    def pin(self, needed: Needed) -> None:
        self._pins[needed] = self._pins.get(needed, 0) + 1

    def unpin(self, needed: Needed) -> None:
        if self._pins[needed] == 1:
            del self._pins[needed]
        else:
            self._pins[needed] -= 1

    def retire(self, resident: Resident) -> None:
        """It is completed: hardly anybody will want it once that is on the disk."""
        self._retired.append(resident)

    def sweep(self) -> None:
        """Drop what is completed, and if there is much else what nobody needs; all of it is on the disk."""
        retired, durable = self._retired, self._writer.durable
        while retired and retired[0].number <= durable:
            resident = retired.popleft()
            id = resident.invocation.id
            if id not in self._pins and self._ledger.invocations.get(id) is resident:
                del self._ledger.invocations[id]
        size = len(self._ledger.invocations) + len(self._ledger.instances)
        if size <= self._threshold:
            return
        _drop(self._ledger.invocations, self._writer.durable, self._pins)
        _drop(self._ledger.instances, self._writer.durable, self._pins)
        left = len(self._ledger.invocations) + len(self._ledger.instances)
        self._threshold = max(self._capacity, 2 * left)  # what is pinned must not be searched again and again

    def _resident(self, needed: Needed) -> bool:
        if isinstance(needed, tuple):
            return needed in self._ledger.instances
        return needed in self._ledger.invocations or needed in self._ledger.damaged

    async def _load(self, needed: Needed) -> None:
        task = self._loading.get(needed)
        if task is None:
            task = self._loading[needed] = asyncio.get_running_loop().create_task(self._read(needed))
            task.add_done_callback(partial(self._loaded, needed))
        try:
            await asyncio.shield(task)
        except DamagedError:
            raise
        except StoreError:
            self._writer.check()  # if the engine has stopped, that is what callers are told
            raise

    def _loaded(self, needed: Needed, task: asyncio.Task[None]) -> None:
        self._loading.pop(needed, None)
        if not task.cancelled():
            task.exception()  # nobody may be left who asked, and asyncio would complain of that

    async def _read(self, needed: Needed) -> None:
        if isinstance(needed, tuple):
            await self._read_key(needed, await self._store.load_instance(needed))
            return
        try:
            loaded = await self._store.load(needed)
        except DamagedError as error:
            # Whoever waits for it, or it for them, must not be stopped by this: it is as good as gone.
            log.critical("an invocation cannot be read, and is left alone: %s", error)
            self._ledger.damaged[needed] = str(error)
            return
        if loaded is not None:
            self._ledger.admit(needed, loaded)

    async def _read_key(self, id: InstanceId, loaded: LoadedInstance) -> None:
        """Whoever wants a key must know if it will never be free: who holds it cannot be read, or not be found."""
        holder = loaded.queue[0][1] if loaded.queue else None
        if holder is not None and not self._resident(holder):
            await self._load(holder)
        resident = None if holder is None else self._ledger.find(holder)
        if resident is not None and resident.invocation.status is Status.PENDING:
            raise DamagedError(f"the key {'/'.join(id)} is not free: who holds it cannot be found")
        self._ledger.admit_instance(id, loaded)


def _drop(residents: dict[K, V], durable: int, pins: Container[object]) -> None:
    unneeded = [
        key for key, held in residents.items() if held.number <= durable and key not in pins and not _runs(held)
    ]
    for each in unneeded:
        del residents[each]


def _runs(held: Resident | Instance) -> bool:
    """Its attempt pins it, or is about to."""
    return isinstance(held, Resident) and held.invocation.status is Status.RUNNING


class Hold:
    def __init__(self, residency: Residency, needs: Callable[[], Iterable[Needed]]) -> None:
        self._residency, self._needs = residency, needs
        self._held: dict[Needed, None] = {}

    async def __aenter__(self) -> None:
        arrival: asyncio.Future[None] | None = None
        try:
            while wanted := self._pin():
                if arrival is None and not self._residency.has(wanted):
                    # In line once only, and behind those who came before: no circle can come of it.
                    arrival, before = self._residency.arrive(wanted)
                    await self._residency.load_missing(wanted)
                    for earlier in before:
                        await asyncio.shield(earlier)
                else:
                    await self._residency.load_missing(wanted)
        except BaseException:
            self._arrived(arrival)
            self._release()
            raise
        self._arrived(arrival)

    def _arrived(self, arrival: asyncio.Future[None] | None) -> None:
        if arrival is not None:
            self._residency.arrived(arrival, self._held)

    def _pin(self) -> list[Needed]:
        """What is needed, and was not before."""
        wanted = [each for each in dict.fromkeys(self._needs()) if each not in self._held]
        for each in wanted:
            self._residency.pin(each)
            self._held[each] = None
        return wanted

    async def __aexit__(self, *exc: object) -> None:
        self._release()

    def _release(self) -> None:
        for each in self._held:
            self._residency.unpin(each)
        self._held.clear()
