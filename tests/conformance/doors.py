"""The two ways in that every test is run through: the API of an engine, and HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

import httpx

from durable import Engine, Invocation, TerminalError
from durable.handlers import Handler


class Sent(NamedTuple):
    id: str
    handler: Handler[..., Any]


class Door(Protocol):
    """A handler's failure is raised as ``TerminalError``."""

    async def call(self, handler: Handler[..., Any], /, *args: Any) -> Any: ...
    async def send(self, handler: Handler[..., Any], /, *args: Any, delay: timedelta | None = None) -> Sent: ...
    async def result(self, sent: Sent) -> Any:
        """Wait for the outcome."""
        ...

    async def status(self, sent: Sent) -> str: ...
    async def resolve(self, awakeable: str, value: Any) -> None: ...
    async def reject(self, awakeable: str, message: str) -> None: ...
    async def control(self, verb: str, sent: Sent) -> None:
        """Cancel, kill, pause, resume, purge."""
        ...

    async def restart(self, sent: Sent, from_entry: int) -> Sent: ...


class House(Protocol):
    engine: Engine
    """The one that runs now."""


class ApiDoor:
    def __init__(self, house: House) -> None:
        self._house = house

    @property
    def engine(self) -> Engine:
        return self._house.engine

    async def call(self, handler: Handler[..., Any], /, *args: Any) -> Any:
        return await self.engine.call(handler, *args)

    async def send(self, handler: Handler[..., Any], /, *args: Any, delay: timedelta | None = None) -> Sent:
        if delay is None:
            return Sent((await self.engine.send(handler, *args)).id, handler)
        return Sent((await self.engine.send_later(delay, handler, *args)).id, handler)

    async def result(self, sent: Sent) -> Any:
        return await self._invocation(sent).result()

    async def status(self, sent: Sent) -> str:
        return await self._invocation(sent).status()

    async def resolve(self, awakeable: str, value: Any) -> None:
        await self.engine.awakeable(awakeable).resolve(value)

    async def reject(self, awakeable: str, message: str) -> None:
        await self.engine.awakeable(awakeable).reject(message)

    async def control(self, verb: str, sent: Sent) -> None:
        await getattr(self._invocation(sent), verb)()

    async def restart(self, sent: Sent, from_entry: int) -> Sent:
        return Sent((await self._invocation(sent).restart(from_entry=from_entry)).id, sent.handler)

    def _invocation(self, sent: Sent) -> Invocation[Any]:
        return Invocation(self.engine.door, sent.id, sent.handler.decode_output)


class HttpDoor:
    """Knows nothing but Restate's routes, so that it can stand before a Restate server as well."""

    def __init__(self, ingress: httpx.AsyncClient, admin: httpx.AsyncClient, *, sql: bool) -> None:
        self.ingress, self.admin = ingress, admin
        self._sql = sql

    async def post(self, handler: Handler[..., Any], /, *args: Any, verb: str = "", **query: str) -> httpx.Response:
        """The plain request, and the plain answer."""
        outgoing = handler.outgoing(args, {})
        headers = dict(outgoing.headers)
        if outgoing.idempotency_key is not None:
            headers["idempotency-key"] = outgoing.idempotency_key
        if handler.takes_input:
            headers["content-type"] = "application/octet-stream" if handler.raw_input else "application/json"
        target = outgoing.target
        path = "/".join(quote(part, safe="") for part in (target.service, target.key, target.handler) if part)
        return await self.ingress.post(f"/{path}{verb}", params=query, content=outgoing.payload, headers=headers)

    async def call(self, handler: Handler[..., Any], /, *args: Any) -> Any:
        return _outcome(handler, await self.post(handler, *args))

    async def send(self, handler: Handler[..., Any], /, *args: Any, delay: timedelta | None = None) -> Sent:
        query = {} if delay is None else {"delay": f"{delay // timedelta(milliseconds=1)}ms"}
        answer = _checked(await self.post(handler, *args, verb="/send", **query))
        return Sent(answer.json()["invocationId"], handler)

    async def result(self, sent: Sent) -> Any:
        return _outcome(sent.handler, await self.ingress.get(f"/restate/invocation/{sent.id}/attach"))

    async def status(self, sent: Sent) -> str:
        if not self._sql:
            return str(_checked(await self.admin.get(f"/invocations/{sent.id}")).json()["status"])
        query = {"query": f"SELECT status FROM sys_invocation WHERE id = '{sent.id}'"}
        answer = await self.admin.post("/query", json=query, headers={"accept": "application/json"})
        return str(_checked(answer).json()["rows"][0]["status"])

    async def resolve(self, awakeable: str, value: Any) -> None:
        _checked(await self.ingress.post(f"/restate/awakeables/{awakeable}/resolve", json=value))

    async def reject(self, awakeable: str, message: str) -> None:
        _checked(await self.ingress.post(f"/restate/awakeables/{awakeable}/reject", content=message))

    async def control(self, verb: str, sent: Sent) -> None:
        _checked(await self.admin.patch(f"/invocations/{sent.id}/{verb}"))

    async def restart(self, sent: Sent, from_entry: int) -> Sent:
        answer = await self.admin.patch(f"/invocations/{sent.id}/restart-as-new", params={"from": str(from_entry)})
        return Sent(_checked(answer).json()["new_invocation_id"], sent.handler)


def _outcome(handler: Handler[..., Any], answer: httpx.Response) -> Any:
    return handler.decode_output(_checked(answer).content)


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    body = answer.json()
    raise TerminalError(body["message"], status=body.get("code", answer.status_code), metadata=body.get("metadata"))
