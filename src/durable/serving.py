"""What an engine runs: the handlers of its services, and its own handlers beside them, which nobody is shown."""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Iterable, Mapping
from datetime import timedelta

import msgspec

from durable.collector import beside, has_batches
from durable.core.invocation import Kind, Single
from durable.core.ledger import Rule
from durable.flow import Limit, matches, parse_pattern
from durable.handlers import Handler
from durable.machine import Machine
from durable.mapper import MAPPERS
from durable.replacement import REPLACE_STATE, StateReplacer
from durable.retry import RetryPolicy
from durable.runtime.invoker import Runnable
from durable.runtime.requests import HandlerInfo, Services
from durable.service import AnyService, VirtualObject, check_service, handlers_of
from durable.settings import Settings

Names = tuple[str, str]
"""Of a service and a handler, on the wire."""

OF_OBJECTS: Mapping[str, Runnable] = {REPLACE_STATE: StateReplacer()}
"""What each virtual object has beside its own handlers."""


class Bound(msgspec.Struct, frozen=True):
    """A handler and the service instance that it runs on."""

    handler: Handler[..., object]
    owner: AnyService

    @property
    def retry(self) -> RetryPolicy | None:
        return self.handler.settings.retry

    @property
    def source(self) -> str:
        return self.handler.source

    def invoke(self, machine: Machine, payload: bytes, /) -> Coroutine[object, object, bytes]:
        return self.handler.invoke(self.owner, machine, payload)


class Served(msgspec.Struct, frozen=True):
    """One handler: what its calls are accepted with, and what runs them."""

    rule: Rule
    runnable: Runnable


def bind(services: tuple[AnyService, ...]) -> dict[Names, Bound]:
    bound: dict[Names, Bound] = {}
    for owner in services:
        check_service(owner)
        taken = {service for service, _ in bound}
        for name, handler in handlers_of(type(owner)).items():
            if handler.service in taken:
                raise ValueError(f"two services are named {handler.service!r}; give one of them another `name=`")
            bound[handler.service, name] = Bound(handler, owner)
    return bound


def serve(bound: Mapping[Names, Bound], of_objects: Mapping[str, Runnable] = OF_OBJECTS) -> dict[Names, Served]:
    """Every handler that can be run, the engine's own among them."""
    objects = {service for (service, _), each in bound.items() if isinstance(each.owner, VirtualObject)}
    served = {names: Served(_rule(each.handler), each) for names, each in bound.items()}
    exclusive, shared = Rule(Kind.EXCLUSIVE, retention_ms=0), Rule(Kind.SERVICE, retention_ms=0)
    served |= {
        (service, name): Served(exclusive, runnable) for service in objects for name, runnable in of_objects.items()
    }
    served |= {names: Served(shared, runnable) for names, runnable in MAPPERS.items()}
    for each in bound.values():
        if has_batches(each.handler):
            batches = beside(each.handler, each.owner, _rule(each.handler))
            served |= {names: Served(rule, runnable) for names, (rule, runnable) in batches.items()}
    return served


def directory(served: Mapping[Names, Served]) -> dict[Names, Rule]:
    return {names: each.rule for names, each in served.items()}


def runnables(served: Mapping[Names, Served]) -> dict[Names, Runnable]:
    return {names: each.runnable for names, each in served.items()}


def check_served(limits: Iterable[Limit], bound: Mapping[Names, Bound], served: Collection[Names]) -> None:
    """:class:`ValueError` for a limit of what there is not; the engine's own handlers are there, and are not named."""
    pools = {each.handler.settings.limit for each in bound.values()} - {None}
    for limit in limits:
        kind, *names = parse_pattern(limit.pattern)
        there: Iterable[tuple[str, ...]] = {(service,) for service, _ in bound}
        known: Iterable[tuple[str, ...]] = {(service,) for service, _ in served}
        wanted = tuple(names[:1])
        if kind == "handler":
            there, known, wanted = bound, served, tuple(names)
        elif kind == "key":
            there = known = {(service,) for (service, _), each in bound.items() if each.handler.keyed}
        elif kind == "limit":
            there = known = {(pool,) for pool in pools if pool}
        if kind != "engine" and not any(matches(wanted, name) for name in known):
            what = {"limit": "named limit, see @handler(limit=...)", "key": "service with keys"}.get(kind, kind)
            listed = ", ".join(sorted("/".join(name) for name in there)) or "none"
            raise ValueError(f"{limit} is for no {what} of this engine; there are: {listed}")


def shown(bound: Mapping[Names, Bound]) -> Services:
    """What callers from outside must know."""
    services: dict[str, dict[str, HandlerInfo]] = {}
    for (service, name), each in bound.items():
        handler = each.handler
        services.setdefault(service, {})[name] = HandlerInfo(
            handler.kind,
            handler.settings.private,
            handler.takes_input,
            handler.raw_input,
            handler.raw_output,
            handler.settings.limit is not None,
            handler.settings.lines,
            handler.needs_input,
        )
    return services


def _rule(handler: Handler[..., object]) -> Rule:
    settings = handler.settings
    shorter = settings.journal_retention < max(settings.retention, settings.idempotency_retention)
    return Rule(
        kind=Kind.EXCLUSIVE if settings.lines else handler.kind,
        retention_ms=_ms(settings.retention),
        journal_retention_ms=_ms(settings.journal_retention) if shorter else None,
        strict_idempotency=settings.strict_idempotency,
        idempotency_retention_ms=_ms(settings.idempotency_retention),
        limit=settings.limit,
        single=_single(settings),
    )


def _single(settings: Settings) -> Single | None:
    if settings.singleton is not None:
        return Single(settings.singleton)
    debounce = settings.debounce
    if debounce is None:
        return None
    return Single("last", _ms(debounce.window), None if debounce.longest is None else _ms(debounce.longest))


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
