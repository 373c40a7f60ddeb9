"""Real processes for the kill tests: started, waited for, killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHOP = ("-m", "uvicorn", "examples.shop.app:app", "--no-access-log", "--log-level", "warning", "--loop", "asyncio")


class Server:
    """A Python process that listens on a port of its own, and on the same one again when it is started again."""

    def __init__(self, *arguments: str, log: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.arguments = [argument.format(port=self.port) for argument in arguments]
        self.environment = environment
        self.log = log
        self.up = asyncio.Event()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments],
                cwd=ROOT,
                env={**os.environ, "NO_PROXY": "127.0.0.1", **self.environment},
                stdout=log,
                stderr=log,
            )

    async def listens(self) -> None:
        """Wait until the process accepts connections; only then ``up`` is set."""
        while not await accepts(self.port):
            assert self.process is not None, "not started"
            assert self.process.poll() is None, f"the server died:\n{self.log.read_text()[-4000:]}"
            await asyncio.sleep(0.005)
        self.up.set()

    def kill(self) -> None:
        """SIGKILL, and the proof that nothing else ended it."""
        assert self.process is not None, "not started"
        self.up.clear()
        self.process.kill()
        code = self.process.wait()
        assert code == -signal.SIGKILL, f"the server had ended with {code}:\n{self.log.read_text()[-4000:]}"

    async def restart(self) -> None:
        self.kill()
        self.start()
        await self.listens()


@asynccontextmanager
async def running(server: Server) -> AsyncGenerator[Server]:
    """Start a server, wait for it, and kill whatever runs in its place at the end."""
    server.start()
    try:
        await server.listens()
        yield server
    finally:
        server.kill()


def shop(directory: Path, **settings: str) -> Server:
    """The example shop over a file in ``directory``."""
    database = str(directory / "shop.db")
    return Server(*SHOP, "--port", "{port}", log=directory / "shop.log", SHOP_DATABASE=database, **settings)


def free_port() -> int:
    # Below the range that systems take a client's ports from: a client that knocks while the server is away must
    # not be given the server's port as its own, or it ends up connected to itself.
    # And each worker that tests has its own: while the server is away, its port is free to all.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for port in random.sample(range(20_000 + worker % 16, 32_000, 16), 100):
        with closing(socket.socket()) as attempt:
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port between 20000 and 32000")


async def accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
