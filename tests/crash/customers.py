"""Clients that ask until they know, and a book of all they were told."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

from tests.crash.asker import Asker, LostError, Reply
from tests.simulation.linear import Done

GROUP = 8
"""Clients that share a register at one time."""
HISTORY = 96
"""Operations on one register: the search for an order takes the longer, the more there are."""
FORGOTTEN = 4
"""Operations on one register whose outcome nobody asks for again."""
STUCK = 60
"""Seconds after which a request that nobody answers is one too many."""


class WrongError(AssertionError):
    """An answer that must not be."""


class Book:
    """What all clients know together."""

    def __init__(self, diary: Path) -> None:
        self._diary, self._read, self._rest = diary, 0, b""
        self._event = 0
        self.over = False
        self.counts = Counter[str]()
        self.answers: dict[str, dict[str, Any]] = defaultdict(dict)
        """Of each kind of work, by its tag."""
        self.bumps: list[tuple[int, int, int]] = []
        """When each was called and returned, and its number."""
        self.registers: dict[str, list[Done]] = defaultdict(list)
        self.steps: list[tuple[str, str, str]] = []
        """Tag, name and number of each body that began, in order."""
        self.awakeables: dict[str, str] = {}
        self.down_since: float | None = None
        self.outages: list[float] = []
        """Seconds from each kill to the next answer."""
        self.closings: list[float] = []
        """Seconds from each SIGTERM to the end of the process."""
        self.seconds = 0.0
        self.said = ""
        """By the servers, at the end."""

    def event(self) -> int:
        self._event += 1
        return self._event

    def answered(self) -> None:
        self.counts["acknowledged"] += 1
        if self.down_since is not None:
            self.outages.append(time.monotonic() - self.down_since)
            self.down_since = None

    def read_diary(self) -> None:
        with self._diary.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        self._read += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            what, tag, name, number = line.decode().split()
            if what == "step":
                self.steps.append((tag, name, number))
            else:
                self.awakeables.setdefault(tag, name)
                if self.awakeables[tag] != name:
                    raise WrongError(f"{tag} has two awakeables: {name} and {self.awakeables[tag]}")

    def register_of(self, group: int) -> str:
        """The one that a group uses now."""
        used = self.counts[f"group {group}"]
        self.counts[f"group {group}"] += 1
        return f"{group}-{used // HISTORY}"


class Customer:
    def __init__(self, number: int, book: Book, port: int, random: Random) -> None:
        self.number, self.book, self._random = number, book, random
        self._asker = Asker(port)
        self._done = 0

    async def work(self) -> None:
        works: dict[Callable[[str], Coroutine[None, None, None]], int] = {
            self._order: 3,
            self._sent: 2,
            self._bump: 5,
            self._register: 16,
            self._parcel: 1,
            self._signup: 1,
        }
        try:
            while not self.book.over:
                self._done += 1
                (work,) = self._random.choices([*works], [*works.values()])
                await work(f"{self.number}.{self._done}")
        finally:
            self.close()

    def close(self) -> None:
        self._asker.close()

    # -- kinds of work

    async def _order(self, tag: str) -> None:
        reply = await self._insist("POST", "/Orders/place", tag, key=tag)
        await self._told("order", tag, reply)

    async def _sent(self, tag: str) -> None:
        """One in two by a timer."""
        delay = self._random.choice(("", "?delay=20ms"))
        reply = await self._insist("POST", f"/Orders/place/send{delay}", tag, key=tag, expected=202)
        id = json.loads(reply.body)["invocationId"]
        await self._told("order", tag, await self._insist("GET", f"/restate/attach/{id}"))

    async def _bump(self, tag: str) -> None:
        called = self.book.event()
        reply = await self._insist("POST", "/Tally/long/bump", tag, key=tag)
        self.book.bumps.append((called, self.book.event(), json.loads(reply.body)))

    async def _parcel(self, tag: str) -> None:
        """Signed twice; the first signature that is acknowledged counts."""
        reply = await self._insist("POST", "/Parcels/deliver/send", tag, key=tag, expected=202)
        id = json.loads(reply.body)["invocationId"]
        while tag not in self.book.awakeables:
            await asyncio.sleep(0.01)
            self.book.read_diary()
        for signature in ("first", "second"):
            path = f"/restate/awakeables/{self.book.awakeables[tag]}/resolve"
            await self._insist("POST", path, signature, expected=202)
        await self._told("parcel", tag, await self._insist("GET", f"/restate/attach/{id}"))

    async def _signup(self, tag: str) -> None:
        """Confirmed twice; the second is refused."""
        await self._insist("POST", f"/Signup/{tag}/run/send", tag, expected=202)
        for answer, expected in (("first", 200), ("second", 409)):
            await self._insist("POST", f"/Signup/{tag}/confirm", answer, key=f"{tag}.{answer}", expected=expected)
        await self._told("signup", tag, await self._insist("GET", f"/restate/workflow/Signup/{tag}/attach"))

    async def _register(self, tag: str) -> None:
        """Most ask again until they know; some never hear, and a read that is lost was none."""
        register = self.book.register_of(self.number // GROUP)
        asked = self._random.choice(
            [("get",)] * 3
            + [("set", self._random.randrange(5)), ("add", self._random.randrange(1, 4))]
            + [("cas", self._random.randrange(5), self._random.randrange(5))]
        )
        name, *arguments = asked
        given = None if name == "get" else arguments if name == "cas" else arguments[0]
        path, called = f"/Register/{register}/{name}", self.book.event()
        history = self.book.registers[register]
        forgetful = name != "get" and self._random.random() < 0.1
        try:
            if name == "get" or (forgetful and _unknown(history) < FORGOTTEN):
                reply = await self._ask("POST", path, given, patience=self._random.choice((0.02, 30)))
            else:
                reply = await self._insist("POST", path, given, key=tag)
        except LostError:
            if name != "get":
                history.append(Done(called, None, asked))
            return
        result = json.loads(reply.body) if reply.body else None
        history.append(Done(called, self.book.event(), asked, result))

    # -- how

    async def _told(self, kind: str, tag: str, reply: Reply) -> None:
        """One in five asks again at once, and must be told the same."""
        self.book.answers[kind][tag] = json.loads(reply.body)
        if self._random.random() < 0.2:
            await self.confirm(kind, tag)

    async def confirm(self, kind: str, tag: str) -> None:
        if kind == "signup":
            again = await self._insist("GET", f"/restate/workflow/Signup/{tag}/attach")
        else:
            path = "/Orders/place" if kind == "order" else "/Parcels/deliver"
            again = await self._insist("POST", path, tag, key=tag)
        self.book.counts["asked again"] += 1
        told, first = json.loads(again.body), self.book.answers[kind][tag]
        if told != first:
            raise WrongError(f"{kind} {tag} was answered with {first}, and again with {told}")

    async def read(self, path: str) -> Any:
        return json.loads((await self._insist("POST", path)).body)

    async def _insist(
        self, method: str, path: str, given: object = None, *, key: str | None = None, expected: int = 200
    ) -> Reply:
        """Ask until there is an answer; one in fifty hangs up soon at first."""
        patience, began = 0.01 if self._random.random() < 0.02 else 30, time.monotonic()
        while True:
            try:
                return await self._ask(method, path, given, key=key, patience=patience, expected=expected)
            except LostError:
                patience = 30
                if time.monotonic() - began > STUCK:
                    raise WrongError(f"nobody answers {method} {path} {given} for {STUCK} s") from None
                await asyncio.sleep(self._random.uniform(0.01, 0.06))

    async def _ask(
        self,
        method: str,
        path: str,
        given: object = None,
        *,
        key: str | None = None,
        patience: float = 30,
        expected: int = 200,
    ) -> Reply:
        body = b"" if given is None else json.dumps(given).encode()
        self.book.counts["requests"] += 1
        try:
            reply = await self._asker.ask(method, path, body, key=key, patience=patience)
        except LostError:
            self.book.counts["lost"] += 1
            raise
        if reply.status != expected:
            raise WrongError(f"{method} {path} {given} was answered with {reply.status} {reply.body!r}")
        self.book.answered()
        return reply


def _unknown(history: list[Done]) -> int:
    return sum(done.returned is None for done in history)
