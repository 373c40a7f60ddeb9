"""Kills under load: ``python -m tests.crash.storm --kills 3000``.

A server under 32 HTTP clients is killed, or stopped and killed, at instants that nobody chose, and begins again. Every
request has one answer in the end, and what the answers say together is what a server that never died would say.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sqlite3
import statistics
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random

from durable.audit import audit
from tests.crash.customers import Book, Customer, WrongError
from tests.crash.nursery import Nursery
from tests.crash.served import STEPS
from tests.shop.processes import accepts, free_port
from tests.simulation.linear import is_linearizable

CUSTOMERS = 32
MEAN = 0.15
"""Seconds between a start and its kill."""
AUDITED = 5
"""One kill in so many is audited: an audit reads everything, while all wait."""
SAID = (
    "kills", "stops", "continued", "audits", "requests", "acknowledged", "lost", "asked again", "steps",
    "steps run again", "histories", "operations", "unknown",
)  # fmt: skip


class Storm:
    gently = False
    """Whether servers are asked to close, and not killed."""

    def __init__(self, directory: Path, nursery: Nursery, seed: int, longest_stop: float) -> None:
        self.directory, self.nursery, self.random, self.longest_stop = directory, nursery, Random(seed), longest_stop
        self.book = Book(directory / "diary")
        self.port = free_port()
        self.counts = self.book.counts
        self.pid = 0

    @property
    def database(self) -> Path:
        return self.directory / "db"

    async def rage(self, kills: int) -> None:
        self._begin()
        await self._listens()
        customers = [Customer(n, self.book, self.port, Random(self.random.random())) for n in range(CUSTOMERS)]
        async with asyncio.TaskGroup() as tasks:
            for customer in customers:
                tasks.create_task(customer.work())
            for _ in range(kills):
                await self._live()
                await self._kill()
            await self._listens()
            await asyncio.sleep(MEAN)
            self.book.over = True
        with closing(Customer(0, self.book, self.port, self.random)) as customer:
            await check(self.book, customer, self.random)
        await asyncio.to_thread(self._close)

    async def _live(self) -> None:
        """One in ten dies on its way up; one in five is stopped for a while, as a virtual machine may be."""
        lot = self.random.random()
        if lot > 0.1 or self.gently:
            await self._listens()
        await asyncio.sleep(self.random.expovariate(1 / MEAN))
        if lot > 0.8:
            os.kill(self.pid, signal.SIGSTOP)
            self.counts["stops"] += 1
            await asyncio.sleep(self.random.uniform(0, self.longest_stop))
            if lot > 0.9 or self.gently:
                os.kill(self.pid, signal.SIGCONT)
                self.counts["continued"] += 1
                await asyncio.sleep(self.random.expovariate(1 / MEAN))

    async def _kill(self) -> None:
        await asyncio.to_thread(self._end)
        self.counts["kills"] += 1
        self.book.down_since = self.book.down_since or time.monotonic()
        if self.counts["kills"] % AUDITED == 0:
            await asyncio.to_thread(self._audit)
        self._begin()

    def _end(self) -> None:
        if self.gently:
            self._terminate()
        else:
            self.nursery.kill(self.pid)

    def _terminate(self) -> None:
        """SIGTERM: all that is under way is left in order, without a log."""
        began = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        code = self.nursery.end(self.pid)
        self.book.closings.append(time.monotonic() - began)
        # uvicorn closes everything, and then ends by the signal that it was sent.
        _same(code, -signal.SIGTERM, f"how a server ended that was to close: {self.nursery.said()}")
        if Path(f"{self.database}-wal").exists():
            raise WrongError(f"a log was left behind by a server that was closed:\n{self.nursery.said()}")
        with closing(sqlite3.connect(self.database)) as connection:
            _same(connection.execute("SELECT clean FROM meta").fetchall(), [(1,)], "whether it was closed")

    def _audit(self) -> None:
        self.counts["audits"] += 1
        if findings := audit(self.database).findings:
            raise WrongError(f"the audit after kill {self.counts['kills']} found {findings}")

    def _begin(self) -> None:
        self.pid = self.nursery.begin(self.directory, self.port)

    async def _listens(self) -> None:
        began = time.monotonic()
        while not await accepts(self.port):
            if time.monotonic() - began > 30:
                raise WrongError(f"the server did not come up:\n{self.nursery.said()}")
            await asyncio.sleep(0.005)

    def _close(self) -> None:
        self._terminate()
        self._audit()
        _count_invocations(self.database, self.book)


async def check(book: Book, customer: Customer, random: Random) -> None:
    """All that the answers say together."""
    book.read_diary()
    check_steps(book)
    check_bumps(book)
    _check_registers(book)
    orders, numbers = book.answers["order"], Counter[str]()
    for order, _, number, _ in orders.values():
        numbers[f"called-{len(order) % 4} {number}"] += 1
    wanted = {f"called-{n}": sum(len(order) % 4 == n for order in orders) for n in range(4)}
    distinct = {f"{key} {number}" for key, many in wanted.items() for number in range(1, many + 1)}
    _same(set(numbers), distinct, "the numbers that orders were given")
    for key, many in {**wanted, "sent": len(orders), "long": len(book.bumps)}.items():
        await _settles(customer, key, many)
    asked = [(kind, tag) for kind, answers in book.answers.items() for tag in answers]
    for kind, tag in random.sample(asked, min(len(asked), 500)):
        await customer.confirm(kind, tag)


def check_steps(book: Book) -> None:
    """What is recorded did run, and never again once the next step stood on it."""
    began, over, bodies = set[tuple[str, str, str]](), set[tuple[str, str]](), Counter[tuple[str, str]]()
    for tag, name, number in book.steps:
        if name in STEPS:
            if (tag, STEPS[name]) in over:
                raise WrongError(f"the step {name!r} of {tag} was recorded, and ran again")
        else:
            over.add((tag, name))
        began.add((tag, name, number))
        bodies[tag, name] += 1
    for kind, (first, second) in {
        "order": ("pay", "ship"), "parcel": ("tell", "file"), "signup": ("invite", "welcome"),
    }.items():  # fmt: skip
        for tag, answer in book.answers[kind].items():
            told, paid, _, shipped = answer
            _same(told, tag, f"whose answer {kind} {tag} had")
            if not {(tag, first, paid), (tag, second, shipped)} <= began:
                raise WrongError(f"{kind} {tag} was answered with results of steps that never ran: {answer}")
            if kind != "order":
                _same(answer[2], "first", f"what {kind} {tag} was completed with")
    book.counts["steps"] = len(bodies)
    book.counts["steps run again"] = bodies.total() - len(bodies)


def check_bumps(book: Book) -> None:
    """Each has a number of its own, none is left out, and who was told before another asked has the smaller one."""
    bumps = sorted(book.bumps, key=lambda bump: bump[2])
    _same([number for _, _, number in bumps], [*range(1, len(bumps) + 1)], "the numbers of the longest history")
    # The latest call so far must have been before every later number returned.
    latest = 0
    for called, returned, number in bumps:
        if returned < latest:
            raise WrongError(f"number {number} was given before a smaller one was asked for")
        latest = max(latest, called)


def _check_registers(book: Book) -> None:
    for register, history in book.registers.items():
        if not is_linearizable(history):
            raise WrongError(f"no order explains the history of register {register}: {history}")
        book.counts["histories"] += 1
        book.counts["operations"] += len(history)
        book.counts["unknown"] += sum(done.returned is None for done in history)


async def _settles(customer: Customer, key: str, many: int) -> None:
    for _ in range(500):
        found = await customer.read(f"/Tally/{key}/get")
        if found >= many:
            break
        await asyncio.sleep(0.02)
    _same(found, many, f"how many came to {key}")


def _count_invocations(database: Path, book: Book) -> None:
    with closing(sqlite3.connect(database)) as connection:
        unfinished = connection.execute("SELECT id, status FROM invocation WHERE status <> 'completed'").fetchall()
        _same(unfinished, [], "what was left undone")
        found = dict(connection.execute("SELECT service, count(*) FROM invocation GROUP BY service").fetchall())
    for service, kind in (("Orders", "order"), ("Parcels", "parcel")):
        _same(found.get(service, 0), len(book.answers[kind]), f"invocations of {service}")


def _same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise WrongError(f"{what}: {found!r} instead of {expected!r}")


def report(book: Book, seed: int) -> str:
    counts = book.counts
    told = "; ".join(f"{counts[what]:,} {what}" for what in SAID)
    outages = sorted(book.outages)
    slow = f"from a kill to the next answer {statistics.median(outages):.2f} s, at most {outages[-1]:.2f} s"
    closed = f"closed in at most {max(book.closings):.2f} s"
    return f"seed {seed}: {told}; {slow}; {closed}; {book.seconds:.0f} s; nothing was lost or doubled"


def storm(
    kills: int,
    seed: int = 0,
    *,
    longest_stop: float = 1.0,
    gently: bool = False,
    serve: str = "tests.crash.served:serve",
) -> Book:
    """Raise :class:`WrongError` unless nothing was lost or doubled; what was done."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, Nursery(serve, Path(directory) / "log") as nursery:
        raging = Storm(Path(directory), nursery, seed, longest_stop)
        raging.gently = gently
        try:
            asyncio.run(raging.rage(kills))
        except BaseException:
            print(nursery.said())
            raise
        raging.book.seconds = time.monotonic() - began
        raging.book.said = nursery.said()
        return raging.book


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.storm", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest-stop", type=float, default=3.0, metavar="SECONDS")
    parser.add_argument("--gently", action="store_true", help="SIGTERM instead of SIGKILL")
    asked = parser.parse_args()
    print(report(storm(asked.kills, asked.seed, longest_stop=asked.longest_stop, gently=asked.gently), asked.seed))


if __name__ == "__main__":
    main()
