"""Small stand-ins for what lies behind a port."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from durable.context import Context
from durable.core.awaits import Await, Known, One, Settled
from durable.core.outcome import Failure, Outcome, Success
from durable.errors import InvocationCancelledError, TerminalError
from durable.futures import DurableFuture
from durable.machine import Action, Outgoing
from durable.retry import RetryPolicy


class FakeMachine:
    """A :class:`durable.machine.Machine` in memory: it notes what was issued, and the test answers it."""

    def __init__(
        self, *, state: Mapping[str, bytes] | None = None, key: str = "k", identity: str | None = None
    ) -> None:
        self.handler = "Fake.handler"
        self.invocation_id = "inv_1fake"
        self.key = key
        self.headers: Mapping[str, str] = {"x-test": "yes"}
        self.identity = identity
        self.seed = 42
        self.issued: list[tuple[Any, ...]] = []
        self.state = dict(state or {})
        self.cancelled = False
        self._slots = 0
        self._settled: dict[int | str, tuple[Settled, Outcome]] = {}
        self._actions: list[tuple[int, Action]] = []
        self._news = asyncio.Event()

    def replay(self) -> FakeMachine:
        """The same journal, before a new attempt."""
        again = FakeMachine(state=self.state, key=self.key, identity=self.identity)
        again._settled = dict(self._settled)
        return again

    # -- what a test does

    def answer(self, slot: int | str, value: bytes | None = b"") -> None:
        self.settle(slot, Success(value))

    def fail(self, slot: int | str, message: str, status: int = 500) -> None:
        self.settle(slot, Failure(status, message))

    def settle(self, slot: int | str, outcome: Outcome) -> None:
        position = 2 * (len(self._settled) + 1)
        self._settled[slot] = (Settled(position, failed=isinstance(outcome, Failure)), outcome)
        self._news.set()

    def request_cancel(self) -> None:
        self.cancelled = True
        self._news.set()

    # -- the port

    def _issue(self, *command: Any) -> One:
        self._slots += 1
        self.issued.append(command)
        return One(self._slots)

    def _known(self) -> Known:
        return Known(2 * len(self._settled) + 1)

    def run(self, name: str, action: Action, retry: RetryPolicy | None, /) -> One:
        slot = self._issue("run", name, retry)
        self._actions.append((self._slots, action))
        return slot

    def call(self, outgoing: Outgoing, /) -> tuple[str, One]:
        slot = self._issue("call", outgoing)
        return f"inv_1callee{self._slots}", slot

    def send(self, outgoing: Outgoing, delay: timedelta | None, /) -> str:
        self._issue("send", outgoing, delay)
        return f"inv_1callee{self._slots}"

    def sleep(self, duration: timedelta, /) -> One:
        return self._issue("sleep", duration)

    def now(self) -> tuple[datetime, Known]:
        self._issue("now")
        return datetime(2030, 1, 1, tzinfo=UTC), self._known()

    def awakeable(self) -> tuple[str, One]:
        return f"sign_1fake{self._slots + 1}", self._issue("awakeable")

    def complete_awakeable(self, id: str, outcome: Outcome, /) -> None:
        self._issue("complete_awakeable", id, outcome)

    def signal(self, name: str, /) -> One:
        return self._issue("signal", name)

    def send_signal(self, invocation_id: str, name: str, outcome: Outcome, /) -> None:
        self._issue("send_signal", invocation_id, name, outcome)

    def cancel(self, invocation_id: str, /) -> None:
        self._issue("cancel", invocation_id)

    def attach(self, invocation_id: str, /) -> One:
        return self._issue("attach", invocation_id)

    def get(self, name: str, /) -> tuple[bytes | None, Known]:
        self._issue("get", name)
        return self.state.get(name), self._known()

    def state_keys(self) -> tuple[list[str], Known]:
        self._issue("state_keys")
        return sorted(self.state), self._known()

    def set(self, name: str, value: bytes, /) -> None:
        self._issue("set", name, value)
        self.state[name] = value

    def clear(self, name: str, /) -> None:
        self._issue("clear", name)
        self.state.pop(name, None)

    def clear_all(self) -> None:
        self._issue("clear_all")
        self.state.clear()

    def promise(self, name: str, /) -> One:
        return self._issue("promise", name)

    def peek_promise(self, name: str, /) -> One:
        return self._issue("peek_promise", name)

    def complete_promise(self, name: str, outcome: Outcome, /) -> One:
        return self._issue("complete_promise", name, outcome)

    def notified(self, slot: int | str) -> Settled | None:
        held = self._settled.get(slot)
        return held[0] if held else None

    def outcome(self, slot: int | str, /) -> Outcome:
        return self._settled[slot][1]

    async def wait(self, awaited: Await, /) -> None:
        while awaited.settled(self) is None:
            if self.cancelled:
                self.cancelled = False
                raise InvocationCancelledError
            if not await self._run_action():
                self._news.clear()
                await self._news.wait()

    async def _run_action(self) -> bool:
        if not self._actions:
            return False
        slot, action = self._actions.pop(0)
        if slot not in self._settled:
            try:
                self.answer(slot, await action())
            except TerminalError as error:
                self.settle(slot, Failure.of(error))
        return True


class Attempt:
    """A machine, and some awakeables of it, whose slots count from 1."""

    def __init__(self, awakeables: int) -> None:
        self.machine = FakeMachine()
        self.ctx = Context(self.machine)
        self.futures: list[DurableFuture[str]] = [self.ctx.awakeable(str) for _ in range(awakeables)]

    def answer(self, *slots: int) -> None:
        for slot in slots:
            self.machine.answer(slot, b'"%d"' % slot)
