"""Where a test takes place: the services behind a door, and how time passes. Here, or on a server somewhere else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Self

import httpx
import pytest

from durable import Options, TerminalError
from durable.audit import Audit
from durable.ingress import ingress
from durable.ingress.admin import admin
from durable.runtime.outside import Outside
from durable.runtime.writer import LINGER_MS
from durable.service import AnyService
from durable.testing import TestEngine
from tests.conformance import features, interpreter, troubles
from tests.conformance import services as s
from tests.conformance.doors import ApiDoor, Door, HttpDoor, Sent

INGRESS = os.environ.get("DURABLE_CONFORMANCE_INGRESS", "")
ADMIN = os.environ.get("DURABLE_CONFORMANCE_ADMIN", "")
REMOTE = bool(INGRESS and ADMIN)
"""Whether the tests go to a server somewhere else."""
REMOTE_SUSPENDS = os.environ.get("DURABLE_CONFORMANCE_MODE") == "suspending"
"""Whether that server suspends whatever waits."""

embedded = pytest.mark.skipif(REMOTE, reason="restarts the engine, or looks into it")

PATIENCE = timedelta(seconds=20)
"""For what a server somewhere else does in its own time."""

Probe = Callable[[], Awaitable[bool]]


def all_services() -> tuple[AnyService, ...]:
    return (
        s.Counter(),
        s.ListObject(),
        s.MapObject(),
        s.Proxy(),
        s.AwakeableHolder(),
        s.BlockAndWaitWorkflow(),
        troubles.CancelTestRunner(),
        troubles.CancelTestBlockingService(),
        troubles.KillTestRunner(),
        troubles.KillTestSingleton(),
        troubles.Failing(),
        troubles.NonDeterministic(),
        s.TestUtilsService(),
        interpreter.VirtualObjectCommandInterpreter(),
        features.ShortCounter(),
        features.PrivateService(),
        features.AwakeableGreeter(),
        features.Sleeper(),
        features.RetryableGreeter(),
        features.RestartGreeter(),
    )


class World:
    """An engine in memory."""

    door: Door

    def __init__(self, options: Options, *services: AnyService) -> None:
        self.instances = services or all_services()
        self.engine = TestEngine(*self.instances, options=options)
        self.door = ApiDoor(self)
        self._options = options

    async def __aenter__(self) -> Self:
        await self.engine.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.settle()
        await self.engine.__aexit__(kind, error, traceback)
        if error is None:
            self._check_disk()

    async def settle(self) -> None:
        """Let everything happen that can happen now."""
        await self.engine.settle()

    async def skip(self, duration: timedelta) -> None:
        await self.engine.skip(duration)

    async def until(self, probe: Probe) -> None:
        """Let everything happen that can happen now; then ``probe`` must be true."""
        await self.settle()
        assert await probe()

    async def result(self, sent: Sent, within: timedelta) -> object:
        """The outcome, which must be there after ``within``."""
        await self.skip(within)
        assert await self.door.status(sent) == "completed"
        return await self.door.result(sent)

    async def restart(self, *services: AnyService, kill: bool) -> None:
        """End the engine, and open another one on its disk: with the same services, unless others are given."""
        before, self.instances = self.engine, services or self.instances
        self.engine = TestEngine(*self.instances, options=self._options, after=before)
        if not kill:
            await before.__aexit__(None, None, None)
        await self.engine.__aenter__()
        if kill:  # it has lost the disk by now, so whatever it wants to write at its end is lost too
            await before.__aexit__(None, None, None)

    async def replay(self) -> None:
        """Have every handler that is under way walk its journal from the start, as far as it came."""
        await self.skip(timedelta(milliseconds=LINGER_MS))  # what nobody waits for is written by then
        await self.restart(kill=True)

    def _check_disk(self) -> None:
        """No timer, waiter or journal without its invocation."""
        disk = self.engine.disk
        live = {n for n, invocation in disk.invocations.items() if invocation.outcome is None}
        callers = {caller.id for _, caller in disk.waiters} | {caller.id for *_, caller in disk.listeners}

        assert {timer.n for timer in disk.timers} <= live
        assert disk.journals.keys() <= disk.invocations.keys()
        assert {disk.numbers[id] for id in callers} <= live


class HttpWorld(World):
    """The same engine, behind its HTTP apps."""

    door: HttpDoor

    def __init__(self, options: Options, *services: AnyService) -> None:
        super().__init__(options, *services)
        served = Served(self)
        clients = [
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
            for app in (ingress(served), admin(served))
        ]
        self.door = HttpDoor(*clients, sql=False)


class Served:
    """The engine that runs now."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def door(self) -> Outside:
        return self._world.engine.door

    @property
    def services(self) -> Mapping[str, type[AnyService]]:
        return self._world.engine.services

    @property
    def last_audit(self) -> Audit | None:
        return self._world.engine.last_audit


class RemoteWorld:
    """A server with equivalent services. Its time is everybody's."""

    door: HttpDoor

    def __init__(self) -> None:
        clients = [httpx.AsyncClient(base_url=url, timeout=60.0) for url in (INGRESS, ADMIN)]
        self.door = HttpDoor(*clients, sql=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.door.ingress.aclose()
        await self.door.admin.aclose()

    async def settle(self) -> None:
        await asyncio.sleep(0.3)

    async def skip(self, duration: timedelta) -> None:
        await asyncio.sleep(duration.total_seconds())

    async def until(self, probe: Probe) -> None:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            while not await _holds(probe):  # noqa: ASYNC110 - a server has no event to wait for
                await asyncio.sleep(0.05)

    async def result(self, sent: Sent, within: timedelta) -> object:
        async with asyncio.timeout((within + PATIENCE).total_seconds()):
            return await self.door.result(sent)

    async def replay(self) -> None:
        if not REMOTE_SUSPENDS:
            pytest.skip("the server keeps what waits in memory")


async def _holds(probe: Probe) -> bool:
    try:
        return await probe()
    except TerminalError:
        return False
