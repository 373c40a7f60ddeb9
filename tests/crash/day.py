"""One day of a server: all that it can do, once. Whoever plays it again after a crash is told the same."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from durable import Engine, Limit, Options, Rate, TerminalError, Timetable
from durable.backup import restore
from durable.errors import InvocationNotFoundError
from durable.ingress import ingress
from tests.crash import served
from tests.crash.points import die_at, named
from tests.crash.served import Diary, Orders, Parcels, Signup, Tally
from tests.golden import finish, services

TOO_LONG = 30
"""Seconds, for a day of a few hundred milliseconds."""


OLDEST = 1
"""The schema version of the golden database that a day may begin with."""


class Asked(services.Outside):
    """Remembers who asked beyond a crash."""

    def __init__(self, diary: Diary) -> None:
        super().__init__(open=True)
        self._diary = diary

    async def hang(self, who: str) -> str:
        self._diary.note(who.replace(" ", "_"))
        return await super().hang(who)

    def say(self, who: str) -> str:
        self._diary.note(who.replace(" ", "_"))
        return super().say(who)


class Day:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._told = os.open(directory / "told", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def tell(self, kind: str, tag: str, answer: object) -> None:
        """Somebody outside knows it from now on."""
        os.write(self._told, json.dumps([kind, tag, answer]).encode() + b"\n")

    def engine(self, database: str) -> Engine:
        old = services.services(Asked(Diary(self._directory / "asked")))
        new = served.services(Diary(self._directory / "diary"))
        # Every wait suspends, and what may be forgotten soon is.
        often = Options(inactivity=timedelta(0), grace=timedelta(seconds=1), cleanup=timedelta(milliseconds=20))
        return Engine(self._directory / database, *old, *new, options=often)

    async def live(self) -> None:
        async with self.engine("db") as engine:
            if (awakeables := self._directory / "awakeables.json").exists():
                finished = await finish.finish(engine, OLDEST, json.loads(awakeables.read_text()))
                for name, result in finished.items():
                    self.tell("golden", name, result)
            transport = httpx.ASGITransport(app=ingress(engine))
            async with httpx.AsyncClient(transport=transport, base_url="http://engine") as http:
                await asyncio.gather(self._order(http), self._send(http), self._deliver(http), self._sign_up(http))
            await self._kill(engine)
            await self._forget(engine)
            await self._purge(engine)
            await self._limit(engine)
            await self._schedule(engine)
            if not (self._directory / "backup").exists():
                await engine.backup(self._directory / "backup")
        if not (self._directory / "restored").exists():
            restore(self._directory / "backup", self._directory / "restored")
        async with self.engine("restored") as engine:
            self.tell("order", "o-1", await engine.call(Orders.place.options(idempotency_key="o-1"), "o-1"))

    async def _order(self, http: httpx.AsyncClient) -> None:
        self.tell("order", "o-1", await _asked(http, "POST", "/Orders/place", "o-1", key="o-1"))

    async def _send(self, http: httpx.AsyncClient) -> None:
        id = (await _asked(http, "POST", "/Orders/place/send?delay=80ms", "o-2", key="o-2"))["invocationId"]
        self.tell("accepted", "o-2", id)
        self.tell("order", "o-2", await _asked(http, "POST", "/Orders/follow", id, key="follow"))
        self.tell("order", "o-2", await _asked(http, "GET", f"/restate/attach/{id}"))
        self.tell("completed", "o-2", id)

    async def _deliver(self, http: httpx.AsyncClient) -> None:
        id = (await _asked(http, "POST", "/Parcels/deliver/send", "p-1", key="p-1"))["invocationId"]
        self.tell("accepted", "p-1", id)
        awakeable = await self._awakeable("p-1")
        for signature in ("first", "second"):
            await _asked(http, "POST", f"/restate/awakeables/{awakeable}/resolve", signature)
        self.tell("parcel", "p-1", await _asked(http, "GET", f"/restate/attach/{id}"))
        self.tell("completed", "p-1", id)

    async def _sign_up(self, http: httpx.AsyncClient) -> None:
        id = (await _asked(http, "POST", "/Signup/ada/run/send", "ada"))["invocationId"]
        self.tell("accepted", "ada", id)
        for answer in ("first", "second"):
            told = await _asked(http, "POST", "/Signup/ada/confirm", answer, key=answer)
            self.tell("confirmed", answer, told)
        self.tell("signup", "ada", await _asked(http, "GET", "/restate/workflow/Signup/ada/attach"))
        self.tell("completed", "ada", id)

    async def _kill(self, engine: Engine) -> None:
        parcel = await engine.send(Parcels.deliver.options(idempotency_key="p-2"), "p-2")
        with suppress(TerminalError):  # it was killed before the crash
            await parcel.kill()
        self.tell("killed", "p-2", await finish.result(parcel))

    async def _forget(self, engine: Engine) -> None:
        """Its retention is nothing, and soon it is purged."""
        sent = await engine.send(services.Work.forget, "today")
        with suppress(InvocationNotFoundError):
            while True:
                await sent.status()
                await asyncio.sleep(0.003)

    async def _purge(self, engine: Engine) -> None:
        """A state, and a workflow of this life, with its promise."""
        await engine.call(Tally.bump, "reset", "today")
        await engine.call(Tally.reset, "reset")
        key = f"bob-{os.getpid()}"
        run = await engine.send(Signup.run, key, key)
        await engine.call(Signup.confirm, key, "yes")
        await run.result()
        await run.purge()

    async def _limit(self, engine: Engine) -> None:
        """A rate that is put, used by two starts, and taken back."""
        limit = Limit("key/Tally/limited", rate=Rate(1, timedelta(milliseconds=60)))
        await engine.limits.put(limit)
        for who in ("one", "two"):
            await engine.call(Tally.bump.options(idempotency_key=who), "limited", who)
        with suppress(TerminalError):  # another day took it back
            await engine.limits.remove(limit.pattern)

    async def _schedule(self, engine: Engine) -> None:
        """One that is put, and deleted."""
        await engine.schedules.put("yearly", Timetable("0 0 1 6 *"), Tally.bump, "scheduled", "now")
        with suppress(TerminalError):  # another day deleted it
            await engine.schedules.delete("yearly")

    async def _awakeable(self, parcel: str) -> str:
        diary = self._directory / "diary"
        while True:
            lines = [line.split() for line in (diary.read_text() if diary.exists() else "").splitlines()]
            for line in lines:
                if line[:2] == ["awakeable", parcel]:
                    return line[2]
            await asyncio.sleep(0.003)


async def _asked(http: httpx.AsyncClient, method: str, path: str, given: object = None, *, key: str = "") -> Any:
    headers: Mapping[str, str] = {"idempotency-key": key} if key else {}
    reply = await http.request(method, path, json=given, headers=headers) if given else await http.request(method, path)
    assert reply.status_code in (200, 202, 409), (method, path, reply.status_code, reply.text)
    return reply.json() if reply.content else None


def live(directory: str, point: str = "", hit: str = "1") -> None:
    """What a child does; it dies at the point, if it comes there."""
    signal.alarm(TOO_LONG)
    logging.disable(logging.ERROR)  # attempts that fail are part of it
    if point:
        die_at(named(point), int(hit))
    asyncio.run(Day(Path(directory)).live())
