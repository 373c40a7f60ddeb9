"""What the real clients talk to: an engine behind its ingress, served by uvicorn."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Mount

from durable import Engine
from durable.ingress import ingress
from tests.clients.services import Approval, Counter, Greeter, Question

engine = Engine(os.environ["CLIENTS_DATABASE"], Greeter(), Counter(), Approval(), Question())


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    async with engine:
        yield


app = Starlette(lifespan=lifespan, routes=[Mount("/", ingress(engine))])
