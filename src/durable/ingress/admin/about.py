"""What the admin app says of itself and of its engine."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

from starlette.requests import Request
from starlette.responses import Response

from durable.ingress.admin import replies
from durable.ingress.admin.door import Administered
from durable.ingress.door import trouble

# Of Restate's admin API, which it counts: what is here is the same in all of them.
_VERSIONS = {"min_admin_api_version": 2, "max_admin_api_version": 4}


def release() -> str:
    try:
        return version_of("durable-engine")
    except PackageNotFoundError:  # run from a source tree that was not installed
        return "0"


async def health(engine: Administered, request: Request) -> Response:
    engine.door.handlers()  # raises if the engine does not run
    if (said := trouble(engine.door.full, engine.door.blocked)) is not None:
        return replies.found({"message": said})
    return replies.empty(200)


async def audited(engine: Administered, request: Request) -> Response:
    last = engine.last_audit
    return replies.found({"at": None, "findings": []} if last is None else last)


async def version(engine: Administered, request: Request) -> Response:
    return replies.found({"version": release(), **_VERSIONS, "ingress_endpoint": None, "features": {}})
