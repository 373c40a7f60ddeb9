"""A client of the admin app over an engine in memory."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from durable.ingress.admin import admin
from tests.ingress.admin.services import AdminEngine


@pytest.fixture
async def engine() -> AsyncGenerator[AdminEngine]:
    async with AdminEngine() as engine:
        yield engine


@pytest.fixture
async def client(engine: AdminEngine) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(admin(engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:9070") as client:
        yield client
