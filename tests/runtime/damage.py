"""Two equal halves of a database, one of which is damaged: what becomes of each."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from durable import (
    Context,
    DurableError,
    Engine,
    Limit,
    ObjectContext,
    ObjectSharedContext,
    Options,
    Promise,
    Rate,
    RetryPolicy,
    Service,
    State,
    Timetable,
    VirtualObject,
    Workflow,
    WorkflowContext,
    WorkflowSharedContext,
    handler,
)
from durable.core.ids import read_invocation
from durable.core.outcome import Success
from durable.errors import InvocationNotFoundError
from durable.store import Store
from durable.store.schema import STEPS
from durable.store.sqlite import SQLiteStore
from durable.testing import TestEngine

HOUR = timedelta(hours=1)
VICTIM, BYSTANDER = "victim", "bystander"


class Cart(VirtualObject):
    items = State(int, default=int)

    @handler
    async def add(self, ctx: ObjectContext, n: int) -> int:
        total = await ctx.get(self.items) + n
        ctx.set(self.items, total)
        return total

    @handler
    async def check_out(self, ctx: ObjectContext) -> str:
        ctx.set(self.items, 0)
        order = await ctx.run("reserve", str.upper, ctx.key)
        return f"{order} {await ctx.signal('paid', str)}"

    @handler
    async def count(self, ctx: ObjectSharedContext) -> int:
        return await ctx.get(self.items)


class Approval(Workflow):
    answer = Promise(str)

    @handler
    async def run(self, ctx: WorkflowContext) -> str:
        answer = await ctx.promise(self.answer)
        return f"{answer} {await ctx.signal('read', str)}"

    @handler
    async def decide(self, ctx: WorkflowSharedContext, answer: str) -> None:
        await ctx.promise(self.answer).resolve(answer)

    @handler
    async def peek(self, ctx: WorkflowSharedContext) -> str | None:
        return await ctx.promise(self.answer).peek()


class Task(Service):
    @handler
    async def work(self, ctx: Context, who: str) -> str:
        first = await ctx.run("first", str.upper, who)
        await ctx.sleep(HOUR)
        return first + await ctx.run("second", str.title, who)

    @handler
    async def step(self, ctx: Context, who: str) -> str:
        return await ctx.run("only", str.upper, who)

    @handler(retry=RetryPolicy(first=HOUR, longest=HOUR, max_attempts=3))
    async def fail(self, ctx: Context) -> None:
        raise OSError("down")

    @handler
    async def watch(self, ctx: Context, id: str) -> str:
        return await ctx.attach(id, str)

    @handler
    async def call(self, ctx: Context, key: str) -> str:
        return await ctx.call(Approval.run, key)


class OnSQLite(TestEngine):
    """The store of production, and the clock of a test."""

    def __init__(self, path: Path, *, after: TestEngine | None = None) -> None:
        super().__init__(
            Cart(), Approval(), Task(), after=after, options=Options(inactivity=timedelta(0), audit=timedelta(0))
        )
        self._path = path

    def _open_store(self) -> Store:
        return SQLiteStore(self._path)


class Half:
    """Something of every kind, under keys that begin with one name."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self.name = engine, name
        self.ids: dict[str, str] = {}

    async def fill(self, settle: Callable[[], Awaitable[None]]) -> None:
        engine, name = self._engine, self.name
        await engine.limits.put(Limit(f"key/Cart/{name}", rate=Rate(1000, timedelta(seconds=1), burst=9)))
        await engine.schedules.create(name, Timetable("0 0 1 6 *"), Task.step, name)
        done = await engine.send(Task.step.options(idempotency_key=name), name)
        await done.result()
        await engine.call(Cart.add, name, 3)
        sent = {
            "done": done,
            "holder": await engine.send(Cart.check_out, name),
            "pending": await engine.send(Cart.add, name, 1),
            "work": await engine.send(Task.work, name),
            "later": await engine.send_later(2 * HOUR, Cart.add, f"{name}-later", 1),
            "fail": await engine.send(Task.fail),
            "waits": await engine.send(Approval.run, name),
            "read": await engine.send(Approval.run, f"{name}-read"),
            "call": await engine.send(Task.call, f"{name}-call"),
        }
        await engine.call(Approval.decide, f"{name}-read", "no")
        sent["watch"] = await engine.send(Task.watch, sent["waits"].id)
        self.ids = {what: each.id for what, each in sent.items()}
        self.ids["called"] = engine.door.workflow_id("Approval", f"{name}-call")
        await settle()

    async def go_on(self, engine: OnSQLite) -> dict[str, str]:
        """What everybody is told who asks for something, before and after all of it could have ended."""
        name, door, said = self.name, engine.door, dict[str, str]()

        async def ask(what: str, asked: Awaitable[object]) -> None:
            said[what] = re.sub(name, "NAME", await told(engine, asked), flags=re.IGNORECASE)

        await ask("again", engine.call(Task.step.options(idempotency_key=name), name))
        await ask("count", engine.call(Cart.count, name))
        await ask("peek", engine.call(Approval.peek, f"{name}-read"))
        await ask("decide", engine.call(Approval.decide, name, "yes"))
        await ask("decide call", engine.call(Approval.decide, f"{name}-call", "yes"))
        for what, signal in (("holder", "paid"), ("waits", "read"), ("read", "read"), ("called", "read")):
            await ask(f"signal {what}", door.signal(self.ids[what], signal, Success(b'"ok"')))
        await engine.skip(4 * HOUR)
        for what, id in self.ids.items():
            await ask(what, door.status(id))
            if said[what] == "completed":
                await ask(what, door.outcome(id))
        return said


async def told(engine: TestEngine, asked: Awaitable[object]) -> str:
    """An answer, an error, or nothing: whoever waits for what is paused, waits."""
    task = asyncio.ensure_future(asked)
    await engine.settle()
    if not task.done():
        task.cancel()
        return "nothing yet"
    try:
        return str(task.result())
    except InvocationNotFoundError:
        return "nothing there"
    except DurableError as error:
        return f"{type(error).__name__}: {error}"


class Database:
    """A filled one to copy, and the ids in it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.path = directory / "db"

    async def fill(self) -> None:
        async with OnSQLite(self.path) as engine:
            self.halves = [Half(engine, name) for name in (VICTIM, BYSTANDER)]
            for half in self.halves:
                await half.fill(engine.settle)
            self.clock = engine.clock.now_ms()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            work = read_invocation(self.halves[0].ids["work"])
            connection.execute("INSERT INTO suspect SELECT n, 1, 0, 0, 0, 1, 0 FROM invocation WHERE id = ?", (work,))

    def copy(self, directory: Path) -> Path:
        shutil.copy(self.path, directory / "db")
        return directory / "db"

    async def use(self, path: Path) -> tuple[dict[str, str], dict[str, str]]:
        """What the victim is told, and the bystander, by an engine that nothing stops."""
        engine = OnSQLite(path)
        engine.clock.move_to(self.clock)
        async with engine:
            assert await engine.call(Cart.add, "new", 1) == 1
            assert await engine.call(Task.step, "new") == "NEW"
            victim, bystander = [await half.go_on(engine) for half in self.halves]
            await engine.skip(timedelta(days=3))
            # All that had ended is forgotten.
            forgotten = {await told(engine, engine.door.status(id)) for id in self.halves[1].ids.values()}
            assert forgotten == {"nothing there", "paused"}
            assert await engine.call(Cart.add, "new", 1) == 2
            assert await engine.call(Task.step, "new") == "NEW"
            return victim, bystander


Column = tuple[str, str]


def columns() -> list[Column]:
    """Of every table, as the schema has them."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript("".join(STEPS))
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [(table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_info({table})")]


def flipped(value: object) -> object:
    """One bit turned over, for a value of the same type; a row's number must not become another row's."""
    match value:
        case int():
            return value ^ (1 << 40)
        case str():
            return value[:-1] + chr(ord(value[-1]) ^ 1)
        case bytes():
            return value[:-1] + bytes([value[-1] ^ 1])
        case _:
            return 5


def mistyped(value: object) -> object:
    """A flipped bit in the head of a row gives a column another type, whatever the schema says."""
    return b"\xff\xfe" if isinstance(value, str) else "junk"


ROWS = {
    "meta": "true",
    "invocation": "id = :holder",
    "journal": "n = (SELECT n FROM invocation WHERE id = :work) AND position = 0",
    "state": "key = 'victim'",
    "promise": "key = 'victim-read'",
    "listener": "key = 'victim'",
    "waiter": "id = :waits",
    "timer": "n = (SELECT n FROM invocation WHERE id = :work)",
    "schedule": "id = 'victim'",
    "flow_limit": "pattern = 'key/Cart/victim'",
    "rate": "path = 'key/Cart/victim'",
    "suspect": "n = (SELECT n FROM invocation WHERE id = :work)",
}
"""One of the victim's in each table."""


def damage(path: Path, half: Half, column: Column, change: Callable[[object], object], *, crashed: bool) -> None:
    table, name = column
    ids = {what: read_invocation(id) for what, id in half.ids.items()}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        schema = loosen(connection)
        ((value,),) = connection.execute(f"SELECT {name} FROM {table} WHERE {ROWS[table]}", ids).fetchall()
        text = "CAST(:value AS TEXT)" if isinstance(value, str) else ":value"
        connection.execute(f"UPDATE {table} SET {name} = {text} WHERE {ROWS[table]}", ids | {"value": change(value)})
        connection.execute("UPDATE meta SET clean = 0 WHERE clean = :crashed", {"crashed": crashed})
        write_schema(connection, schema)


def loosen(connection: sqlite3.Connection) -> dict[str, str]:
    """Have SQLite accept any value; the schema that says otherwise."""
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL")
    schema: dict[str, str] = dict(found.fetchall())
    strict = re.compile(r"STRICT, (?=WITHOUT)| STRICT$| NOT NULL| CHECK \(one = 1\)")
    write_schema(connection, {name: strict.sub("", sql) for name, sql in schema.items()})
    return schema


def write_schema(connection: sqlite3.Connection, schema: dict[str, str]) -> None:
    connection.execute("PRAGMA writable_schema = ON")
    for name, sql in schema.items():
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, name))
    connection.execute("PRAGMA writable_schema = RESET")
