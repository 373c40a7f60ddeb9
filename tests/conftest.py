"""What every test can count on."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """asyncio only: aiosqlite and uvicorn know no other."""
    return "asyncio"
