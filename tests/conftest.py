"""What every test can count on."""

from pathlib import Path

import anyio
import pytest

from tests.audit.planting import Planter
from tests.runtime.damage import Database


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """asyncio only: aiosqlite and uvicorn know no other."""
    return "asyncio"


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """With something of everything in it. It is copied, and not changed."""
    database = Database(tmp_path_factory.mktemp("database"))
    anyio.run(database.fill)
    return database


@pytest.fixture
def planter(database: Database, tmp_path: Path) -> Planter:
    """Plants damage in a copy of the database."""
    return Planter(database.copy(tmp_path), database.halves[0].ids)
