"""Every test runs in four modes and through two doors; or once, against a server that two variables name."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta
from secrets import token_hex

import pytest

from durable import Options
from tests.conformance.eager import EagerWriter
from tests.conformance.world import REMOTE, HttpWorld, RemoteWorld, World

# Often enough that a test need not skip an hour.
_CLEANUP = timedelta(seconds=1)

MODES = {
    "normal": Options(cleanup=_CLEANUP),
    "suspending": Options(cleanup=_CLEANUP, inactivity=timedelta(0)),
    "one-worker": Options(cleanup=_CLEANUP, parked=1, resident=1),
    "commit-per-entry": Options(cleanup=_CLEANUP),
}


@pytest.fixture
def key() -> str:
    """One that no other test has, nor had an earlier run against the same server."""
    return f"key-{token_hex(4)}"


@pytest.fixture(params=["remote"] if REMOTE else MODES)
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "commit-per-entry":
        monkeypatch.setattr("durable.runtime.kernel.Writer", EagerWriter)
    return str(request.param)


@pytest.fixture
async def http(mode: str) -> AsyncGenerator[HttpWorld | RemoteWorld]:
    """For what only HTTP has."""
    async with RemoteWorld() if REMOTE else HttpWorld(MODES[mode]) as world:
        yield world


@pytest.fixture(params=["http"] if REMOTE else ["api", "http"])
async def world(request: pytest.FixtureRequest, mode: str) -> AsyncGenerator[World | RemoteWorld]:
    if REMOTE:
        opened: World | RemoteWorld = RemoteWorld()
    else:
        opened = (HttpWorld if request.param == "http" else World)(MODES[mode])
    async with opened as world:
        yield world
