"""What is served: services and handlers, as Restate's admin API describes them, as far as they have it here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from durable.batch import Batch
from durable.batched import BatchHandler
from durable.core.invocation import Kind
from durable.handlers import Handler
from durable.ingress.admin import replies
from durable.ingress.admin.door import Administered
from durable.ingress.admin.pages import PAGE_HEADERS, render
from durable.ingress.refusal import Refusal
from durable.openapi import input_schema, openapi, output_schema
from durable.retry import RetryPolicy
from durable.service import AnyService, describe, handlers_of
from durable.singleton import Debounce

_TYPES = {Kind.EXCLUSIVE: "Exclusive", Kind.SHARED: "Shared", Kind.WORKFLOW: "Workflow"}
_UNITS = (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1))


class _Described(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is not so is left out."""


class _Retry(_Described, frozen=True, kw_only=True):
    initial_interval: str
    exponentiation_factor: float
    max_attempts: int | None
    max_interval: str
    on_max_attempts: str


class _Rate(_Described, frozen=True, kw_only=True):
    count: int
    per: str
    burst: int


class _Limit(_Described, frozen=True, kw_only=True):
    name: str | None = None
    """The limit that its limit keys are of."""
    concurrency: int | None = None
    rate: _Rate | None = None
    queue: int | None = None
    hold: bool = False


class _Debounce(_Described, frozen=True, kw_only=True):
    window: str
    longest: str | None = None


class _Batch(_Described, frozen=True, kw_only=True):
    size: int
    within: str


class _Handler(_Described, frozen=True, kw_only=True):
    name: str
    ty: str | None = None
    documentation: str | None = None
    metadata: Mapping[str, str] = {}
    public: bool
    input_description: str
    output_description: str
    input_json_schema: Mapping[str, object] | None = None
    output_json_schema: Mapping[str, object] | None = None
    idempotency_retention: str | None = None
    workflow_completion_retention: str | None = None
    journal_retention: str
    retry_policy: _Retry | None = None
    """Only if it has one of its own, or of its service."""
    limit: _Limit | None = None
    """As its code declares it."""
    singleton: str | None = None
    debounce: _Debounce | None = None
    batch: _Batch | None = None


class _Service(_Described, frozen=True, kw_only=True):
    name: str
    ty: str
    documentation: str | None = None
    metadata: Mapping[str, str] = {}
    handlers: list[_Handler]
    public: bool
    """Whether any of its handlers is."""


async def all_services(engine: Administered, request: Request) -> Response:
    return replies.found({"services": [_service(cls) for _, cls in sorted(engine.services.items())]})


async def one_service(engine: Administered, request: Request) -> Response:
    return replies.found(_service(the_class(engine, request)))


async def all_handlers(engine: Administered, request: Request) -> Response:
    handlers = handlers_of(the_class(engine, request))
    return replies.found({"handlers": [_handler(handler) for handler in handlers.values()]})


async def one_handler(engine: Administered, request: Request) -> Response:
    name = str(request.path_params["handler"])
    handler = handlers_of(the_class(engine, request)).get(name)
    if handler is None:
        service = request.path_params["service"]
        raise Refusal(404, f"The requested handler '{name}' on service '{service}' does not exist")
    return replies.found(_handler(handler))


async def document(engine: Administered, request: Request) -> Response:
    cls = the_class(engine, request)
    return replies.found(openapi(cls, handlers_of(cls)))


async def page(engine: Administered, request: Request) -> Response:
    cls = the_class(engine, request)
    return Response(render(openapi(cls, handlers_of(cls))), media_type="text/html", headers=PAGE_HEADERS)


def the_class(engine: Administered, request: Request) -> type[AnyService]:
    name = str(request.path_params["service"])
    cls = engine.services.get(name)
    if cls is None:
        raise Refusal(404, f"The requested service '{name}' does not exist")
    return cls


def _service(cls: type[AnyService]) -> _Service:
    described, handlers = describe(cls), handlers_of(cls).values()
    return _Service(
        name=described.name,
        ty=described.sort,
        documentation=described.documentation,
        metadata=described.settings.metadata,
        handlers=[_handler(handler) for handler in handlers],
        public=not all(handler.private for handler in handlers),
    )


def _handler(handler: Handler[..., object]) -> _Handler:
    run = handler.kind is Kind.WORKFLOW
    takes, gives = input_schema(handler), output_schema(handler)
    return _Handler(
        name=handler.name,
        ty=_TYPES.get(handler.kind),
        documentation=handler.documentation,
        metadata=handler.metadata,
        public=not handler.private,
        input_description=_description(takes, raw=handler.raw_input),
        output_description=_description(gives, raw=handler.raw_output),
        input_json_schema=takes,
        output_json_schema=gives,
        idempotency_retention=None if run else _friendly(handler.idempotency_retention),
        workflow_completion_retention=_friendly(handler.retention) if run else None,
        journal_retention=_friendly(handler.journal_retention),
        retry_policy=None if handler.retry is None else _retry(handler.retry),
        limit=_limit(handler),
        singleton=handler.settings.singleton,
        debounce=None if handler.settings.debounce is None else _debounce(handler.settings.debounce),
        batch=_batch(handler.batch) if isinstance(handler, BatchHandler) else None,
    )


def _description(schema: Mapping[str, object] | None, *, raw: bool) -> str:
    if raw:
        return "application/octet-stream"
    if schema is None:
        return "none"
    sort = schema.get("type")
    return f"JSON {sort}" if isinstance(sort, str) else "application/json"


def _retry(policy: RetryPolicy) -> _Retry:
    return _Retry(
        initial_interval=_friendly(policy.first),
        exponentiation_factor=policy.factor,
        max_attempts=policy.max_attempts,
        max_interval=_friendly(policy.longest),
        on_max_attempts="Pause" if policy.exhausted == "pause" else "Kill",
    )


def _limit(handler: Handler[..., object]) -> _Limit | None:
    name, bounds = handler.settings.limit, handler.bounds()
    if bounds is None:
        return None if name is None else _Limit(name=name)
    return _Limit(
        name=name,
        concurrency=bounds.concurrency,
        rate=None
        if (rate := bounds.rate) is None
        else _Rate(count=rate.count, per=_friendly(rate.per), burst=rate.burst),
        queue=bounds.queue,
        hold=bounds.hold,
    )


def _debounce(debounce: Debounce) -> _Debounce:
    longest = None if debounce.longest is None else _friendly(debounce.longest)
    return _Debounce(window=_friendly(debounce.window), longest=longest)


def _batch(batch: Batch) -> _Batch:
    return _Batch(size=batch.size, within=_friendly(batch.within))


def _friendly(duration: timedelta) -> str:
    """As Restate writes it: ``1d``, ``1h 30m``, ``500ms``."""
    left, parts = duration // timedelta(microseconds=1), list[str]()
    for unit, length in _UNITS:
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"
