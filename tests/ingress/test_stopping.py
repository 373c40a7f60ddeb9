"""Requests that wait when their server stops."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.types import Message, Scope

from durable import Engine
from durable.ingress import ingress
from durable.testing import TestEngine
from tests.runtime.flows import Counter
from tests.shop.processes import free_port

STOPPED = 503


class Waiting:
    """A call that waits, and the statuses that its client was sent."""

    def __init__(self, engine: TestEngine) -> None:
        self.statuses: list[int] = []
        path = "/Counter/k/add_slowly"
        self._scope: Scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [(b"content-type", b"application/json")], "root_path": "",
        }  # fmt: skip
        self._body: list[Message] = [{"type": "http.request", "body": b"1", "more_body": False}]
        self.task = asyncio.create_task(ingress(engine)(self._scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if not self._body:
            await asyncio.Event().wait()
        return self._body.pop()

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])


async def test_a_request_that_is_cancelled_with_its_engine_is_answered_503() -> None:
    async with TestEngine(Counter()) as engine:
        waiting = Waiting(engine)
        await engine.settle()
        waiting.task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting.task
    assert waiting.statuses == [STOPPED]


async def test_a_request_that_is_cancelled_alone_is_left_to_whoever_did_it() -> None:
    async with TestEngine(Counter()) as engine:
        waiting = Waiting(engine)
        await engine.settle()

        waiting.task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting.task
        assert waiting.statuses == []


SERVER = """
import sys
from contextlib import asynccontextmanager
from datetime import timedelta

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from durable import Context, Engine, Service, handler
from durable import Engine
from durable.ingress import ingress


class Nap(Service):
    @handler
    async def take(self, ctx: Context) -> None:
        print("it waits", file=sys.stderr, flush=True)
        await ctx.sleep(timedelta(hours=1))


@asynccontextmanager
async def lifespan(app):
    async with engine:
        yield


database, port, patience = sys.argv[1:]
engine = Engine(database, Nap())
app = Starlette(routes=[Mount("/", ingress(engine))], lifespan=lifespan)
uvicorn.run(app, port=int(port), timeout_graceful_shutdown=int(patience) if patience else None)
"""


class Server:
    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.url = process, f"http://127.0.0.1:{port}"

    def says(self, text: str) -> None:
        assert self.process.stderr is not None
        assert any(text in line for line in self.process.stderr)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)


@contextmanager
def serving(path: Path, patience: str) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-c", SERVER, str(path), str(port), patience]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        server = Server(process, port)
        try:
            server.says("Uvicorn running")
            yield server
        finally:
            process.kill()


async def stop(server: Server, *, twice: bool) -> None:
    await asyncio.to_thread(server.says, "it waits")
    server.interrupt()
    if twice:
        await asyncio.to_thread(server.says, "Waiting for connections to close")
        server.interrupt()


@pytest.mark.slow
@pytest.mark.parametrize(("patience", "twice"), [("", True), ("1", False)], ids=["told twice", "out of patience"])
async def test_a_server_that_waits_no_longer_answers_503(tmp_path: Path, patience: str, twice: bool) -> None:
    with serving(tmp_path / "x.db", patience) as server:
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            stopping = asyncio.create_task(stop(server, twice=twice))
            answer = await client.post(f"{server.url}/Nap/take")
            await stopping

        assert answer.status_code == STOPPED
        assert "retry with the same idempotency key" in answer.json()["message"]


async def test_an_ingress_that_is_served_alone_says_that_nobody_opens_its_engine(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(tmp_path / "db", Counter())
    app = ingress(engine)
    async with app.router.lifespan_context(app):
        assert "not open; use it inside `async with engine:` in the lifespan of your application" in caplog.text
    caplog.clear()
    async with engine, app.router.lifespan_context(app):
        assert not caplog.records
