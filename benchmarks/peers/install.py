"""Fetches the peers, each into an environment of its own under ``.peers/``; what is there stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.process import ROOT

PEERS = ROOT / ".peers"
_SERVER = "node_modules/@restatedev/restate-server-*/bin/restate-server"


def install() -> None:
    """From PyPI and the npm registry; needs Node.js for its npm."""
    # msgspec: for benchmarks.load, which drives what runs in process.
    _environment(PEERS / "dbos", "dbos", "msgspec")
    _environment(PEERS / "unhinged", "unhinged", "msgspec")
    _environment(PEERS / "restate", "restate-sdk", "hypercorn")
    if not list(PEERS.glob(_SERVER)):
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(PEERS)]
        subprocess.run([*npm, "@restatedev/restate-server"], check=True)


def dbos_python() -> Path:
    return PEERS / "dbos/bin/python"


def unhinged_python() -> Path:
    return PEERS / "unhinged/bin/python"


def restate_python() -> Path:
    return PEERS / "restate/bin/python"


def restate_server() -> Path:
    (server,) = PEERS.glob(_SERVER)
    return server


def _environment(path: Path, *packages: str) -> None:
    if path.exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(path)], check=True)
    pip = [str(path / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *packages], check=True)
