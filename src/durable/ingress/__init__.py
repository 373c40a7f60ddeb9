"""The HTTP door: a Starlette app that serves an engine's handlers with Restate's routes, statuses and messages."""

from durable.ingress.app import Authenticate, ingress
from durable.ingress.refusal import UnauthorizedError

__all__ = ["Authenticate", "UnauthorizedError", "ingress"]
