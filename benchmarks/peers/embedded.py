"""Peers that run in process over one file: an interpreter of their environment bears the load."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.load import Load, Run
from benchmarks.peers.install import dbos_python, unhinged_python
from benchmarks.process import PATIENCE, ROOT
from benchmarks.rounds import Contestant


def dbos_on_sqlite(directory: Path, load: Load) -> Run:
    return _run(dbos_python(), "dbos", f"sqlite:///{directory}/dbos.db", load)


def dbos_on_wal(directory: Path, load: Load) -> Run:
    """With the file in WAL mode, which DBOS leaves to others: a commit then syncs once, and not twice."""
    with closing(sqlite3.connect(directory / "dbos.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
    return dbos_on_sqlite(directory, load)


def dbos_on(url: str) -> Contestant:
    """On the Postgres at ``url``."""
    return partial(_dbos_on, url)


def _dbos_on(url: str, directory: Path, load: Load) -> Run:
    return _run(dbos_python(), "dbos", url, load)


def unhinged(directory: Path, load: Load) -> Run:
    return _run(unhinged_python(), "unhinged", str(directory / "unhinged.db"), load)


def _run(python: Path, app: str, database: str, load: Load) -> Run:
    command = [str(python), "-m", f"benchmarks.peers.apps.{app}", database, msgspec.json.encode(load).decode()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
        timeout=load.warm_up + load.seconds + PATIENCE,
    )
    if done.returncode:
        raise RuntimeError(f"{app} failed:\n{done.stderr.decode()[-5000:]}")
    return msgspec.json.decode(done.stdout, type=Run)
