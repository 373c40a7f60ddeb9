"""Why a request gets no further than the door."""

from __future__ import annotations

from collections.abc import Mapping

from durable.errors import DurableError


class Refusal(DurableError):
    """The caller's fault; nothing was accepted."""

    def __init__(self, status: int, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


class UnauthorizedError(Refusal):
    """Raised by ``authenticate`` when a request does not say who it is from; status 401.

    ``challenge`` goes into ``WWW-Authenticate``, so that a client knows what to send.
    """

    def __init__(self, message: str = "unauthorized", *, challenge: str = "Bearer") -> None:
        super().__init__(401, message, headers={"www-authenticate": challenge})
