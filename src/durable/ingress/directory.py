"""Which handlers there are, and whether a request may call them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from durable.core.entries import Target
from durable.core.invocation import Kind
from durable.ingress.refusal import Refusal
from durable.ingress.replies import JSON, RAW
from durable.runtime.requests import HandlerInfo, Services


class Directory:
    """The services of an engine, as the words of a request name them."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def names(self) -> list[str]:
        return sorted(self._services)

    def keyed(self, service: str) -> bool:
        return any(info.kind is not Kind.SERVICE for info in self._handlers(service).values())

    def public(self, target: Target) -> HandlerInfo:
        """The handler that a request means, if it may call it."""
        info = self.existing(target)
        if info.private:
            raise Refusal(400, "the invoked service is not public")
        return info

    def existing(self, target: Target) -> HandlerInfo:
        info = self._handlers(target.service).get(target.handler)
        if info is None:
            raise Refusal(
                404,
                f"the service '{target.service}' exists, but the handler '{target.handler}' was not found, "
                "check that the handler exists in the latest registered service version.",
            )
        return info

    def output_type(self, target: Target) -> str:
        """Of the handler as it is now; JSON for one that is gone, whose output is older than this code."""
        info = self._services.get(target.service, {}).get(target.handler)
        return RAW if info is not None and info.raw_output else JSON

    def _handlers(self, service: str) -> Mapping[str, HandlerInfo]:
        handlers = self._services.get(service)
        if handlers is None:
            raise Refusal(404, f"service '{service}' not found, make sure to register the service before calling it.")
        return handlers
