"""Calls whose answer is another one on the next attempt, or that do something again: only a step may make them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase

from durable.lint.diagnostic import Mistake
from durable.lint.handlers import HandlerCode

_TIME = [f"time.{name}" for name in ("time", "time_ns", "monotonic", "monotonic_ns")]
_TODAY = [f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")] + ["datetime.date.today"]
_SECRETS = [f"secrets.{name}" for name in ("token_*", "randbelow", "randbits", "choice")]
_CHANCE = ["random.*", "os.urandom", "uuid.uuid1", "uuid.uuid4", "numpy.random.*", *_SECRETS]
_WAITING = [
    "asyncio.sleep",
    "anyio.sleep*",
    "trio.sleep*",
    "time.sleep",
    "asyncio.wait_for",
    "asyncio.timeout*",
    "anyio.fail_after",
    "anyio.move_on_after",
]
_TASKS = [f"asyncio.{name}" for name in ("gather", "wait", "as_completed", "create_task", "ensure_future", "TaskGroup")]
_THREADS = ["asyncio.to_thread", "anyio.to_thread.run_sync", "threading.Thread", "threading.Timer"]
_POOLS = ["anyio.create_task_group", "concurrent.futures.*Executor", "multiprocessing.Process", "multiprocessing.Pool"]
_HTTP = ("get", "post", "put", "patch", "delete", "head", "options", "request")
_WORLD = [
    *(f"{library}.{verb}" for library in ("requests", "httpx") for verb in _HTTP),
    "requests.Session",
    "httpx.Client",
    "httpx.AsyncClient",
    "httpx.stream",
    "aiohttp.ClientSession",
    "aiohttp.request",
    "urllib.request.urlopen",
    "socket.socket",
    "socket.create_connection",
    "socket.getaddrinfo",
    "asyncio.open_connection",
    "asyncio.create_subprocess_*",
    *(f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "getoutput", "Popen")),
    "sqlite3.connect",
    "smtplib.SMTP*",
    "os.getenv",
    "os.environ*",
    "os.system",
    "builtins.open",
    "builtins.input",
]


def clock(code: HandlerCode) -> Iterator[Mistake]:
    for node, name in _uses(code, [*_TIME, *_TODAY]):
        yield Mistake(node, f"{name}() is another time on every attempt; write `await {code.ctx}.now()`")


def chance(code: HandlerCode) -> Iterator[Mistake]:
    for node, name in _uses(code, _CHANCE):
        instead = "uuid()" if name.startswith("uuid.") else "random"
        yield Mistake(node, f"{name}() draws anew on every attempt; write `{code.ctx}.{instead}`")


def waiting(code: HandlerCode) -> Iterator[Mistake]:
    for node, name in _uses(code, _WAITING):
        instead = f"`await {code.ctx}.sleep(...)`" if "sleep" in name else "`await future.or_timeout(...)`"
        yield Mistake(node, f"{name}() waits in memory only, and anew on every attempt; write {instead}")


def tasks(code: HandlerCode) -> Iterator[Mistake]:
    for node, name in _uses(code, [*_TASKS, *_THREADS, *_POOLS]):
        yield Mistake(
            node,
            f"{name} leaves the order to chance, a replay may find another; "
            f"make futures of {code.ctx}, and combine them with durable.gather() or durable.select()",
        )


def world(code: HandlerCode) -> Iterator[Mistake]:
    for node, name in _uses(code, _WORLD):
        name = name.removeprefix("builtins.")
        yield Mistake(
            node,
            f"{name} asks or changes the outside world, again on every attempt; "
            f"do it in a step: `await {code.ctx}.run(name, function)`",
        )


def _uses(code: HandlerCode, patterns: list[str]) -> Iterator[tuple[ast.expr, str]]:
    """What is called; and the environment also where it is only read."""
    for node in code.walk():
        used = node.func if isinstance(node, ast.Call) else node.value if isinstance(node, ast.Subscript) else None
        name = "" if used is None else code.source.meaning(used) or ""
        if isinstance(node, ast.Subscript) and name != "os.environ":
            continue
        if used is not None and any(fnmatchcase(name, each) for each in patterns) and not _is_seeded(node, name):
            yield used, name


def _is_seeded(node: ast.AST, name: str) -> bool:
    return name.endswith((".Random", ".default_rng")) and isinstance(node, ast.Call) and bool(node.args)
