"""What only a client over HTTP can meet."""

from __future__ import annotations

from durable.errors import DurableError, EngineStoppedError


class NotOverHttpError(DurableError):
    """What was asked has no route over HTTP, or is the admin API's and the client was given no ``admin_url``."""


class UnansweredError(EngineStoppedError):
    """No answer that settles it within the client's timeout: the request may or may not have been accepted.

    If it was refused each time (429, no connection) it was not, and the message says so. Send it again with the same
    idempotency key; the message names it.
    """


class OutcomeTimeoutError(DurableError, TimeoutError):
    """A call was accepted, and has no outcome within the client's timeout. It goes on.

    Not the invocation's failure, and so no ``TerminalError``: wait for it with ``client.invocation(error.id)``.
    """

    def __init__(self, message: str, id: str) -> None:
        super().__init__(message)
        self.id = id
        """Of the invocation."""
