"""Every rule, with what it finds and what it leaves alone."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent

import pytest

from durable.lint import RULES, check

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python.*\n(?P<code>(?:.*\n)*?)```$", re.MULTILINE)

MODULE = """\
import asyncio, contextlib, datetime as dt, httpx, os, random, subprocess, threading, time, uuid
from asyncio import sleep as pause
from datetime import datetime
from functools import partial

from durable import Context, Service, State, VirtualObject, gather, handler

async def charge() -> int: ...
def receipt() -> int: ...

class Orders(VirtualObject):
    total = State(int)

    async def notify(self, ctx: Context) -> None: ...

    @handler
    async def place(self, ctx: Context, items: list[str]) -> None:
"""

WRONG = {
    "DUR001": ["time.time()", "dt.datetime.now()", "datetime.now(tz)", "x = dt.date.today()", "time.monotonic()"],
    "DUR002": [
        "random.choice(items)",
        "uuid.uuid4()",
        "os.urandom(4)",
        "random.Random()",
        "key = lambda: uuid.uuid4()",
    ],
    "DUR003": ["await asyncio.sleep(1)", "await pause(1)", "time.sleep(1)", "async with asyncio.timeout(3): ..."],
    "DUR004": [
        "await asyncio.gather(ctx.now())",
        "asyncio.create_task(self.notify(ctx))",
        "async with asyncio.TaskGroup() as group: ...",
        "threading.Thread(target=receipt).start()",
        "await asyncio.to_thread(receipt)",
    ],
    "DUR005": [
        "httpx.get(items[0])",
        "async with httpx.AsyncClient() as client: ...",
        "open('prices.json')",
        "os.environ['REGION']",
        "os.environ.get('REGION')",
        "os.getenv('REGION')",
        "subprocess.run(items)",
    ],
    "DUR006": [
        "ctx.run('charge', charge)",
        "ctx.sleep(dt.timedelta(days=1))",
        "ctx.map(Orders.place, [])",
        "ctx.wait_until('paid', charge, every=dt.timedelta(days=1))",
        "ctx.call(Orders.place, 'a', [])",
        "gather(ctx.now(), ctx.now())",
        "charge()",
        "self.notify(ctx)",
    ],
    "DUR007": [
        "try: await ctx.now()\nexcept: ...",
        "try: await ctx.now()\nexcept BaseException: ...",
        "try: await ctx.now()\nexcept (ValueError, BaseException) as error: print(error)",
        "with contextlib.suppress(BaseException): await ctx.now()",
    ],
    "DUR008": [
        "await ctx.run('charge', lambda: ctx.uuid())",
        "async def act() -> None: await ctx.now()\nawait ctx.run('act', act)",
    ],
    "DUR009": [
        "await ctx.run('charge', charge())",
        "await ctx.map_run('charge', charge(), items)",
        "await ctx.run('charge', self.gateway.charge(1))",
    ],
    "DUR010": ["self.count = 1", "self.count += 1", "self.count: int = 1"],
    "DUR011": ["for item in set(items): ...", "[item for item in {'a', 'b'}]"],
}

RIGHT = {
    "DUR001": [
        "await ctx.now()",
        "await ctx.run('now', time.time)",
        "await ctx.run('now', lambda: time.time())",
        "await ctx.map_run('now', lambda n: time.time() + n, items)",
    ],
    "DUR002": ["ctx.uuid()", "ctx.random.choice(items)", "random.Random(7)", "random = ctx.random\nrandom.random()"],
    "DUR003": ["await ctx.sleep(dt.timedelta(1))", "await ctx.run('pause', pause, 1)"],
    "DUR004": ["await gather(ctx.now(), ctx.now())"],
    "DUR005": [
        "await ctx.run('prices', httpx.get, items[0])",
        "def read() -> str: return open('prices.json').read()\nawait ctx.run('read', read)",
        "def done(process: subprocess.Popen[bytes]) -> None: ...",
    ],
    "DUR006": [
        "await ctx.run('charge', charge)",
        "receipt()",
        "done = ctx.run('charge', charge)\nawait done",
        "ctx.send(Orders.place, 'a', [])",
        "ctx.set(self.total, 1)",
    ],
    "DUR007": [
        "try: await ctx.now()\nexcept Exception: ...",
        "try: await ctx.now()\nexcept BaseException as error:\n    print(error)\n    raise",
        "with contextlib.suppress(ValueError): await ctx.now()",
    ],
    "DUR008": ["await ctx.run('charge', lambda: ctx.key)", "undo = lambda: ctx.run('charge', charge)"],
    "DUR009": [
        "await ctx.run('charge', charge)",
        "await ctx.run('charge', partial(charge))",
        "await ctx.run('a', make())",
    ],
    "DUR010": ["count = 1", "ctx.set(self.total, 1)", "items.count = 1"],
    "DUR011": ["for item in sorted(set(items)): ...", "for item in items: ...", "'a' in {'a', 'b'}"],
}


def codes(body: str) -> list[str]:
    return [diagnostic.code for diagnostic in check("orders.py", MODULE + indent(body, " " * 8))]


def test_every_rule_is_tested() -> None:
    assert WRONG.keys() == RIGHT.keys() == RULES.keys()


@pytest.mark.parametrize(("code", "body"), [(code, body) for code, bodies in WRONG.items() for body in bodies])
def test_a_rule_finds_what_is_wrong(code: str, body: str) -> None:
    assert codes(body) == [code]


@pytest.mark.parametrize("body", [body for bodies in RIGHT.values() for body in bodies])
def test_no_rule_minds_what_is_right(body: str) -> None:
    assert codes(body) == []


def test_a_finding_says_where_it_is_and_what_to_write() -> None:
    (diagnostic,) = check("orders.py", MODULE + "        é = time.time()\n")

    line = MODULE.count("\n") + 1
    says = "DUR001 time.time() is another time on every attempt; write `await ctx.now()`"
    assert str(diagnostic) == f"orders.py:{line}:13: {says}"


@pytest.mark.parametrize("comment", ["# noqa", "# noqa: DUR001", "# why not  # noqa: E501, DUR001", "#NOQA:dur001"])
def test_a_comment_silences_a_line(comment: str) -> None:
    assert codes(f"time.time()  {comment}") == []


@pytest.mark.parametrize("comment", ["# noqa: DUR002", "# noqa: E501", "# quite a noqa"])
def test_a_comment_for_another_rule_silences_nothing(comment: str) -> None:
    assert codes(f"time.time()  {comment}") == ["DUR001"]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.py")), ids=lambda path: path.name)
def test_the_shop_has_no_findings(path: Path) -> None:
    assert check(str(path), path.read_text()) == []


@pytest.mark.parametrize("page", sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")]), ids=lambda page: page.name)
def test_the_code_in_the_docs_has_no_findings(page: Path) -> None:
    code = "\n".join(block["code"] for block in BLOCK.finditer(page.read_text()))

    assert check(page.name, code) == []
