"""A client over the ingress of an engine in memory."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from durable.http import HttpClient
from durable.ingress import ingress
from durable.testing import TestEngine
from tests.http.services import AWAKEABLES, Approval, Counter, Greeter


@pytest.fixture
async def engine() -> AsyncGenerator[TestEngine]:
    AWAKEABLES.clear()
    async with TestEngine(Greeter(), Counter(), Approval()) as engine:
        yield engine


@pytest.fixture
async def client(engine: TestEngine) -> AsyncGenerator[HttpClient]:
    async with HttpClient("http://shop", transport=httpx.ASGITransport(ingress(engine))) as client:
        yield client
