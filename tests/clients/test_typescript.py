"""Restate's own client for TypeScript, ``@restatedev/restate-sdk-clients``, against our ingress; in Node.js."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "typescript"
FILES = ("package.json", "package-lock.json", "client.mjs")
UNREACHABLE = re.compile(r"EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|ENOTFOUND|ERR_SOCKET_TIMEOUT|ETIMEDOUT")
TEA_POT = {"message": "tea pot", "metadata": {"leaf": "green"}, "source": "invocation"}

Claim = Callable[[str], Awaitable[Any]]


@pytest.fixture(scope="module")
def client(request: pytest.FixtureRequest) -> Path:
    """The script beside its package, which is installed once for each lock file."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("needs node and npm")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.removeprefix("v").split(".")[0]) < 18:
        pytest.skip(f"needs Node.js 18 or newer, and {node} is {version.strip()}")
    room = request.config.cache.mkdir(f"typescript-{lock_digest()}")
    for name in FILES:
        shutil.copy(HERE / name, room)
    if not (room / "node_modules" / ".package-lock.json").exists():
        install(npm, room)
    return room / "client.mjs"


def install(npm: str, room: Path) -> None:
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=room, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip(f"npm reaches no registry: {done.stderr[:300]}")
    assert done.returncode == 0, done.stderr


def lock_digest() -> str:
    return hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:12]


@pytest.fixture
def claim(client: Path, url: str, key: str) -> Claim:
    async def run(name: str) -> Any:
        node = await asyncio.create_subprocess_exec(
            "node",
            client,
            url,
            key,
            name,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
        )
        out, errors = await node.communicate()
        assert node.returncode == 0, errors.decode()
        return json.loads(out)

    return run


@pytest.mark.parametrize(
    ("name", "came"),
    [
        ("call", "hello Ada"),
        ("emptyCall", None),
        ("header", "7"),
        ("genericCall", 3),
        ("send", {"status": "Accepted", "result": 3}),
        ("delayedSend", {"before": 0, "result": 3}),
        ("idempotency", [3, 3, "PreviouslyAccepted"]),
        ("resolve", {"x": 1}),
        ("terminalError", {"status": 418, "body": {"code": 418, **TEA_POT}}),
        ("terminalServerError", {"status": 503, "body": {"code": 503, **TEA_POT}}),
    ],
)
async def test_it_gets_what_it_asks_for(claim, name, came):
    assert await claim(name) == came


async def test_every_key_is_itself(claim):
    assert await claim("keys") == []


async def test_a_workflow(claim):
    came = await claim("workflow")

    assert came == {
        "statuses": ["Accepted", "PreviouslyAccepted"],
        "one": True,
        "ready": [False, True],
        "results": ["order 1: yes"] * 3,
        "refused": 409,
    }


async def test_an_awakeable_is_rejected(claim):
    came = await claim("reject")

    assert came == {"status": 500, "body": {"code": 500, "message": "näh", "source": "invocation"}}


async def test_an_unknown_service(claim):
    came = await claim("unknownService")

    assert (came["status"], came["body"]["source"]) == (404, "ingress")
