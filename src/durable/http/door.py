"""The verbs of a client over ids and bytes, spoken to an ingress and, if there is one, to an admin API."""

from __future__ import annotations

from datetime import timedelta

from durable.core.entries import Verb
from durable.core.outcome import Failure, Outcome
from durable.core.waits import Why
from durable.errors import InvocationNotFoundError
from durable.handlers import Handler
from durable.http import replies
from durable.http.errors import NotOverHttpError, OutcomeTimeoutError
from durable.http.requests import Outbound, lookup, segment
from durable.http.wire import Answer, Ask, Server, Wire, from_invocation, goes_on


class HttpDoor:
    """Satisfies :class:`durable.client.Door`."""

    def __init__(self, wire: Wire, ingress: Server, admin: Server | None) -> None:
        self.wire = wire
        self._ingress, self._admin = ingress, admin

    async def call(self, outbound: Outbound) -> Outcome:
        deadline = self.wire.deadline()
        answer = await self.wire.ask(outbound.call(self._ingress), deadline)
        if outbound.workflow and (outbound.joins or answer.perhaps_second) and _is_conflict(answer):
            # After an answer that was lost, the run that is there may be our own.
            answer = await self.wire.ask(outbound.attach(self._ingress), deadline)
        response = answer.response
        if goes_on(response):
            id = response.headers["x-restate-id"]
            raise OutcomeTimeoutError(f"{replies.message(response)}, or with client.invocation({id!r}).result()", id)
        return replies.outcome(response)

    async def send(self, outbound: Outbound, delay: timedelta | None) -> str:
        answer = await self.wire.ask(outbound.send(self._ingress, delay), self.wire.deadline())
        return replies.invocation_id(answer.response)

    async def lookup(self, handler: Handler[..., object], key: str | None) -> str:
        answer = await self.wire.ask(lookup(self._ingress, handler, key), self.wire.deadline())
        return replies.invocation_id(answer.response)

    # -- durable.client.Door

    async def outcome(self, id: str, /) -> Outcome:
        """Asks again and again, each time for as long as the timeout: only the engine must answer, not the work end."""
        path = f"invocation/{segment(id)}/attach"
        response = (await self._get(path, waits=True)).response
        while goes_on(response):
            response = (await self._get(path, waits=True)).response
        replies.check_id_known(response)
        if response.status_code == 404 and not await self._known(id):
            raise InvocationNotFoundError.of(id)
        return replies.outcome(response)

    async def output(self, id: str, /) -> Outcome | None:
        response = (await self._get(f"invocation/{segment(id)}/output")).response
        if response.status_code == 470 and not from_invocation(response):
            return None
        replies.check_id_known(response)
        return replies.outcome(response)

    async def complete_awakeable(self, id: str, outcome: Outcome, /) -> None:
        if isinstance(outcome, Failure):
            if outcome.status != 500:
                raise NotOverHttpError(f"over HTTP an awakeable is rejected with status 500, not {outcome.status}")
            verb, body = "reject", outcome.message.encode()
        else:
            verb, body = "resolve", outcome.value or b""
        path = f"/restate/awakeables/{segment(id)}/{verb}"
        # It can be sent twice: the first completion counts.
        ask = Ask(server=self._ingress, method="POST", path=path, content=body)
        replies.check_id_known((await self.wire.ask(ask, self.wire.deadline())).response)

    async def status(self, id: str, /) -> str:
        return replies.status((await self._ask_admin("GET", "status", id, "")).response)

    async def why(self, id: str, /) -> Why:
        return replies.why((await self._ask_admin("GET", "why", id, "/why")).response)

    async def cancel(self, id: str, /) -> None:
        replies.check_done((await self._ask_admin("PATCH", "cancel", id, "/cancel")).response)

    async def control(self, verb: Verb, id: str, from_entry: int = 0, /) -> str:
        if verb == "restart":
            path = f"/restart-as-new?from={from_entry}"
            return replies.restarted_id((await self._ask_admin("PATCH", verb, id, path)).response)
        replies.check_done((await self._ask_admin("PATCH", verb, id, f"/{verb}")).response)
        return id

    async def signal(self, id: str, name: str, outcome: Outcome, /) -> None:
        raise NotOverHttpError("signals have no route over HTTP: let a handler send it, or use an awakeable")

    # -- how

    async def _get(self, path: str, *, waits: bool = False) -> Answer:
        ask = Ask(server=self._ingress, method="GET", path=f"/restate/{path}", waits=waits)
        return await self.wire.ask(ask, self.wire.deadline())

    async def _known(self, id: str) -> bool:
        """Whether there is such an invocation: to attach, one that ended with 404 looks like one that is not there."""
        response = (await self._get(f"invocation/{segment(id)}/output")).response
        return response.status_code != 404 or from_invocation(response)

    async def _ask_admin(self, method: str, verb: str, id: str, path: str) -> Answer:
        if self._admin is None:
            raise NotOverHttpError(f"{verb!r} is the admin API's: give the client its address, admin_url=...")
        # A second cancellation interrupts again, and a second restart makes another invocation.
        ask = Ask(
            server=self._admin,
            method=method,
            path=f"/invocations/{segment(id)}{path}",
            repeatable=method == "GET",
            settled_by=frozenset({425}),  # it has not started: that may take days
            again="look at its status before you ask again",
        )
        return await self.wire.ask(ask, self.wire.deadline())


def _is_conflict(answer: Answer) -> bool:
    return answer.response.status_code == 409 and from_invocation(answer.response)
