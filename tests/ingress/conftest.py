"""A client of the ingress over the fake engine."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from durable.ingress import ingress
from tests.ingress.fakes import FakeDoor


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor()


@pytest.fixture
async def client(door: FakeDoor) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(ingress(door, max_body=1000))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        yield client
