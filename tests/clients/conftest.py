"""A real server, for clients that we did not write."""

from collections.abc import AsyncGenerator
from itertools import count

import pytest

from tests.shop.processes import Server, running

_UVICORN = ("-m", "uvicorn", "tests.clients.app:app", "--no-access-log", "--log-level", "warning", "--port", "{port}")
_KEYS = count()


@pytest.fixture(scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[str]:
    room = tmp_path_factory.mktemp("server")
    database = str(room / "engine.db")
    async with running(Server(*_UVICORN, log=room / "server.log", CLIENTS_DATABASE=database)) as server:
        yield server.url


@pytest.fixture
def key() -> str:
    """Another one for each test: they share the server."""
    return f"key-{next(_KEYS)}"
