"""What ``uvicorn --factory`` serves: the services behind the ingress, or an echo with nothing behind it."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from benchmarks.apart import collect_less
from benchmarks.services import Sleeper, Steps
from durable import Engine
from durable.ingress import ingress

DATABASE = "BENCHMARK_DATABASE"
"""The environment's name for the engine's file."""


def engine() -> Starlette:
    collect_less()
    served = Engine(os.environ[DATABASE], Steps(), Sleeper())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with served:
            yield

    return Starlette(lifespan=lifespan, routes=[Mount("/", ingress(served))])


def echo() -> Starlette:
    async def answer(request: Request) -> Response:
        return Response(await request.body(), media_type="application/json")

    return Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])
