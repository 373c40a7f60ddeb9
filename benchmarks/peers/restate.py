"""Restate: its server, and the three steps on its Python SDK."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.http_client import Pool
from benchmarks.load import Load, Run
from benchmarks.over_http import BODY, PATH, ask
from benchmarks.peers.install import restate_python, restate_server
from benchmarks.process import Process, free_ports, started, wait_until


def three_steps(directory: Path, load: Load) -> Run:
    ingress, admin, node, services = free_ports(4)
    environment = {
        "RESTATE_BASE_DIR": str(directory / "data"),
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BIND_IP": "127.0.0.1",
        "RESTATE_BIND_PORT": str(node),
        "RESTATE_INGRESS__BIND_PORT": str(ingress),
        "RESTATE_ADMIN__BIND_PORT": str(admin),
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FILTER": "warn",
        # One node with few processors: fewer partitions share an fsync more often than the default's 24.
        "RESTATE_DEFAULT_NUM_PARTITIONS": "4",
    }
    command = [str(restate_server()), "--no-logo"]
    with (
        _services(directory, services) as sdk,
        started(command, directory / "restate.log", environment) as server,
    ):
        wait_until(lambda: _answers(admin, "health"), server)
        wait_until(lambda: _answers(ingress, "restate/health"), server)
        wait_until(lambda: _answers(admin, "deployments", {"uri": f"http://127.0.0.1:{services}"}), sdk)
        return asyncio.run(ask(Pool(ingress, PATH, BODY), load, lambda: server.cpu_seconds() + sdk.cpu_seconds()))


@contextmanager
def _services(directory: Path, port: int) -> Generator[Process]:
    """Over HTTP/2, as Restate's documentation has it: the server then streams, and needs not replay."""
    command = [str(restate_python()), "-m", "hypercorn", "--bind", f"127.0.0.1:{port}", "--log-level", "warning"]
    with started([*command, "benchmarks.peers.apps.restate:app"], directory / "services.log") as process:
        yield process


def _answers(port: int, path: str, body: object = None) -> bool:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/{path}", data=data, headers={"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10):
            return True
    except OSError:
        return False
