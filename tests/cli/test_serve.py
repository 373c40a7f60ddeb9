"""``durable serve``: how a process ends whose engine stops, and how one that is none of ours does not."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

from durable.cli import main
from durable.cli.command import UNREADABLE
from durable.cli.server import STOPPED

APP = """
import asyncio
import sys
from contextlib import asynccontextmanager
from datetime import timedelta

from starlette.applications import Starlette
from starlette.routing import Mount

from durable import Context, Engine, RetryPolicy, Service, handler
from durable.ingress import ingress


class Nap(Service):
    @handler
    async def take(self, ctx: Context) -> None:
        await ctx.run("say", print, "it waits", file=sys.stderr, flush=True)
        await ctx.sleep(timedelta(hours=1))

    @handler
    async def skip(self, ctx: Context) -> None: ...

    @handler(retry=RetryPolicy(max_attempts=1, exhausted="fail"))
    async def fail(self, ctx: Context) -> None:
        raise OSError("no bed")


@asynccontextmanager
async def lifespan(app):
    async with engine:
        yield
        if "--never-closes" in sys.argv:
            await asyncio.Event().wait()


engine = Engine("served.db", Nap())
app = Starlette(routes=[Mount("/", ingress(engine))], lifespan=lifespan)
"""
OURS = ("-m", "durable", "serve", "app:app", "--port", "0")
IMPATIENT = """
import sys
from durable.cli import main, server

server.CLOSES_WITHIN = 0.5
sys.exit(main(["serve", "app:app", "--port", "0", "--timeout-graceful-shutdown", "0"]))
"""
UVICORN = ("-m", "uvicorn", "app:app", "--port", "0")


class Server:
    def __init__(self, process: subprocess.Popen[str], stderr: IO[str]) -> None:
        self.process, self._stderr, self.said = process, stderr, ""

    def says(self, pattern: str) -> str:
        """Read on until it does."""
        for line in self._stderr:
            self.said += line
            if found := re.search(pattern, line):
                return found[found.lastindex or 0]
        raise AssertionError(f"it did not say {pattern!r}: {self.said}")

    async def end(self) -> int:
        """Its exit code, once it has ended and all is read."""
        async with asyncio.timeout(30):
            self.said += await asyncio.to_thread(self._stderr.read)
            return await asyncio.to_thread(self.process.wait)


@contextmanager
def serving(directory: Path, arguments: Sequence[str], first: str = "") -> Iterator[tuple[Server, httpx.AsyncClient]]:
    (directory / "app.py").write_text(first + APP)
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, cwd=directory, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        server = Server(process, process.stderr)
        try:
            url = server.says(r"running on (http://[\d.:]+)")
            yield server, httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)
        finally:
            process.kill()


def remove(directory: Path) -> None:
    for path in directory.glob("served.db*"):
        path.unlink()


@pytest.mark.slow
async def test_an_engine_that_stops_ends_the_process_with_70_and_tells_those_who_wait(tmp_path: Path) -> None:
    with serving(tmp_path, OURS) as (server, http):
        async with http:
            waiting = asyncio.create_task(http.post("/Nap/take"))
            await asyncio.to_thread(server.says, "it waits")
            remove(tmp_path)

            replies = [await http.post("/Nap/skip"), await waiting]

        assert await server.end() == STOPPED

    assert [reply.status_code for reply in replies] == [503, 503]
    assert "durable serve: the engine stopped: " in server.said
    assert "served.db" in server.said.partition("durable serve: ")[2]


@pytest.mark.slow
async def test_a_process_whose_application_does_not_close_ends_nevertheless(tmp_path: Path) -> None:
    with serving(tmp_path, ("-c", IMPATIENT, "--never-closes")) as (server, http):
        async with http:
            remove(tmp_path)
            assert (await http.post("/Nap/skip")).status_code == 503

        assert await server.end() == STOPPED

    assert "durable serve: the engine stopped: " in server.said


@pytest.mark.slow
async def test_a_server_that_is_asked_to_end_does_so_as_uvicorn_does(tmp_path: Path) -> None:
    with serving(tmp_path, OURS) as (server, http):
        async with http:
            assert (await http.post("/Nap/skip")).status_code == 200
            server.process.send_signal(signal.SIGTERM)

        assert await server.end() == -signal.SIGTERM

    assert "the engine stopped" not in server.said


@pytest.mark.slow
async def test_a_server_of_somebody_else_goes_on_and_says_that_it_is_not_well(tmp_path: Path) -> None:
    with serving(tmp_path, UVICORN) as (server, http):
        async with http:
            assert (await http.get("/restate/health")).status_code == 200
            remove(tmp_path)
            assert (await http.post("/Nap/skip")).status_code == 503

            assert (await http.get("/restate/health")).status_code == 503
            server.process.send_signal(signal.SIGTERM)

        assert await server.end() == -signal.SIGTERM


@pytest.mark.slow
def test_an_engine_that_cannot_be_opened_is_no_engine_that_stopped(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "served.db").write_bytes(b"no database" * 1000)

    ended = subprocess.run([sys.executable, *OURS], cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False)

    assert ended.returncode == 3, ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "line"),
    [
        ("", r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING durable\.invoker: an attempt of Nap/fail "),
        ("import logging; logging.basicConfig(format='mine: %(message)s')", r"^mine: an attempt of Nap/fail "),
    ],
)
async def test_the_log_has_time_level_and_logger_unless_the_application_has_its_own(
    tmp_path: Path, first: str, line: str
) -> None:
    with serving(tmp_path, OURS, first) as (server, http):
        async with http:
            assert (await http.post("/Nap/fail")).status_code == 500

            await asyncio.to_thread(server.says, line)


def test_without_uvicorn_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "durable.cli.server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)

    assert main(["serve", "app:app"]) == UNREADABLE

    assert "pip install durable-engine[server]" in capsys.readouterr().err
