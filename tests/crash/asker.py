"""An HTTP client that is left in the dark: it tells an answer from a request of which nobody knows what became."""

from __future__ import annotations

import asyncio
from typing import NamedTuple


class LostError(Exception):
    """There was no answer: it was carried out, or will be, or not."""


class Reply(NamedTuple):
    status: int
    body: bytes


class Asker:
    """One request at a time, on one connection as long as that lasts."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(
        self, method: str, path: str, body: bytes = b"", *, key: str | None = None, patience: float = 30
    ) -> Reply:
        """:class:`LostError` also if the answer is that the engine stops: it may have been asked for before."""
        named = f"idempotency-key: {key}\r\n" if key else ""
        kind = "content-type: application/json\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\n{kind}{named}content-length: {len(body)}\r\n\r\n"
        try:
            async with asyncio.timeout(patience):
                reply = await self._exchange(head.encode() + body)
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            raise LostError from error
        if reply.status == 503:
            self.close()
            raise LostError
        return reply

    async def _exchange(self, request: bytes) -> Reply:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, _, rest = head.partition(b"\r\ncontent-length:")
        body = await self._reader.readexactly(int(rest.partition(b"\r\n")[0]))
        return Reply(int(head[9:12]), body)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
