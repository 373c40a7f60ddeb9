"""The shop as one ASGI application: its own HTTP API, and the engine behind it.

Run it: ``uvicorn examples.shop.app:app``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount

from durable import Engine, TerminalError
from durable.errors import EngineStoppedError
from durable.ingress import ingress
from examples.shop.api import UserApi
from examples.shop.carrier import HttpCarrier
from examples.shop.gateway import HttpGateway
from examples.shop.outside import Outside
from examples.shop.services import OrderFulfillmentWorkflow, ShippingService, UserSession
from examples.shop.settings import Settings
from examples.shop.simulated import Ledger, SimulatedApi, SimulatedCarrier, SimulatedGateway
from examples.shop.webhook import PaymentWebhook


def create_app(settings: Settings) -> Starlette:
    """Put the shop together; nothing is opened before the application starts."""
    http = httpx.AsyncClient()
    ledger = Ledger(f"{settings.database}.simulated")
    gateway = HttpGateway(Outside(http, url)) if (url := settings.gateway_url) else SimulatedGateway(ledger)
    carrier = HttpCarrier(Outside(http, url)) if (url := settings.carrier_url) else SimulatedCarrier(ledger)
    engine = Engine(
        settings.database,
        UserSession(gateway),
        ShippingService(carrier),
        OrderFulfillmentWorkflow(gateway, settings.delivery_time),
    )
    simulated = [Mount("/simulated", SimulatedApi(ledger, settings.public_url).router)]
    if settings.gateway_url and settings.carrier_url:
        simulated = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with http, engine:
            yield

    return Starlette(
        lifespan=lifespan,
        routes=[
            Mount("/api/v1/user", UserApi(engine, settings.api_key)),
            *simulated,
            Mount("/", PaymentWebhook(ingress(engine))),
        ],
        exception_handlers={
            HTTPException: refuse,
            TerminalError: fail,
            EngineStoppedError: turn_away,
        },
    )


def refuse(request: Request, error: Exception) -> Response:
    """The caller's fault, found before any handler was called."""
    status, message, headers = 500, str(error), None
    if isinstance(error, HTTPException):
        status, message, headers = error.status_code, error.detail, error.headers
    return JSONResponse({"error": message}, status, headers)


def fail(request: Request, error: Exception) -> Response:
    """What a handler decided: its own status, as long as HTTP has one like it."""
    status = error.status if isinstance(error, TerminalError) else 500
    return JSONResponse({"error": str(error)}, status if 400 <= status <= 599 else 500)


def turn_away(request: Request, error: Exception) -> Response:
    """The engine is not there: the caller may come back, with the same idempotency key."""
    return JSONResponse({"error": str(error)}, 503, {"retry-after": "1"})


app = create_app(Settings.from_environment())
