"""An HTTP/1.1 client that does next to nothing, so that it is not what is measured: one request, sent again and again.

It knows keep-alive, ``content-length`` and chunked bodies; a status other than 200 is an error.
"""

from __future__ import annotations

import asyncio
from typing import cast

_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


class HttpError(Exception):
    pass


class Pool:
    """Connections to one address, as many as were ever needed at once."""

    def __init__(self, port: int, path: str, body: bytes) -> None:
        self._port = port
        self.request = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._free: list[Connection] = []

    async def ask(self) -> bytes:
        """The body of the answer."""
        connection = self._free.pop() if self._free else await self.connect()
        body = await connection.ask(self.request)
        self._free.append(connection)
        return body

    async def connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(Connection, "127.0.0.1", self._port)
        return protocol

    def close(self) -> None:
        for connection in self._free:
            connection.close()


class Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._received = b""
        self._answer: asyncio.Future[bytes] | None = None

    async def ask(self, request: bytes) -> bytes:
        if self.closed:
            raise HttpError("the connection was closed before the request")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    @property
    def closed(self) -> bool:
        return self._transport.is_closing()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_END)
        if not end or self._answer is None or not _complete(head, body):
            return
        self._received = b""
        if head.startswith(b"HTTP/1.1 200 "):
            self._answer.set_result(body)
        else:
            self._answer.set_exception(HttpError(f"{head.decode()}\n{body.decode()}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(HttpError(f"the connection was lost: {exc}"))

    def close(self) -> None:
        self._transport.close()


def _complete(head: bytes, body: bytes) -> bool:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return len(body) >= int(rest.partition(b"\r\n")[0]) if found else body.endswith(_LAST_CHUNK)
