"""A database seen from outside: its files, an operator's shell, other processes."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from durable.core.invocation import Commit
from tests.store.samples import CART

# Blocking on purpose: these tests have nothing else to do, and ASYNC240 rightly suspects it of others.
read, write, unlink = Path.read_bytes, Path.write_bytes, Path.unlink


def cut(path: Path) -> None:
    # os.truncate opens nothing: to close the database in this process would drop SQLite's locks.
    os.truncate(path, 0)


def size(path: Path) -> int:
    return path.stat().st_size


HOLDER = """
import asyncio, sys
from durable.core.invocation import Commit
from durable.store.sqlite import SQLiteStore

async def main(path, commits):
    store = SQLiteStore(path)
    await store.open()
    for number in range(commits):
        commit = Commit()
        commit.state["Cart", "mary", "items"] = b"%d" % number
        await store.commit(commit)
    print("ready", flush=True)
    sys.stdin.read()
    await store.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


ORPHAN = """
import asyncio, os, sys
from durable.core.invocation import Commit
from durable.errors import StoreError
from durable.store.sqlite import SQLiteStore

async def main(path):
    store = SQLiteStore(path)
    await store.open()
    if os.fork():
        os.kill(os.getpid(), 9)
    try:
        await store.commit(Commit())
    except StoreError as error:
        print(error, flush=True)
    sys.stdin.read()
    os._exit(0)

asyncio.run(main(sys.argv[1]))
"""


@contextmanager
def holder(path: Path, commits: int = 1) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the database open, until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(path), str(commits)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


@contextmanager
def orphan(path: Path) -> Iterator[str]:
    """A child that outlives the engine it was forked from, and what it said when it tried to commit."""
    command = [sys.executable, "-c", ORPHAN, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.wait()
        assert process.stdout is not None
        yield process.stdout.readline()


def execute(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """Run statements as an operator would, and return the last one's rows."""
    rows: list[tuple[object, ...]] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
    return rows


def setting(name: str, value: bytes) -> Commit:
    commit = Commit()
    commit.state[*CART, name] = value
    return commit


def flip(path: Path, statement: str, column: str) -> None:
    """Run an UPDATE in which ``{flipped}`` is the column with one bit of its last byte turned over."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_function("flip", 1, lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]))
        connection.execute(statement.format(flipped=f"flip({column})"))
