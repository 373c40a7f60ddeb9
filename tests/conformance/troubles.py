"""The services of the suites that are blocked, cancelled, killed, fail, or do not replay; see ``services.py``."""

from __future__ import annotations

from collections import Counter as Tally
from datetime import timedelta

from durable import ObjectContext, RetryPolicy, State, TerminalError, VirtualObject, handler
from tests.conformance.services import SOON, AwakeableHolder, Camel, Counter

NEVER = timedelta(days=1024)


class CancelTestRunner(VirtualObject):
    cancelled = State(bool, default=bool)

    @handler(name="startTest")
    async def start_test(self, ctx: ObjectContext, operation: str) -> None:
        try:
            await ctx.call(CancelTestBlockingService.block, ctx.key, operation)
        except TerminalError as error:
            if error.status != 409:
                raise
            ctx.set(self.cancelled, True)

    @handler(name="verifyTest")
    async def verify_test(self, ctx: ObjectContext) -> bool:
        return await ctx.get(self.cancelled)


class CancelTestBlockingService(VirtualObject):
    @handler
    async def block(self, ctx: ObjectContext, operation: str) -> None:
        gate = ctx.awakeable(str)
        await ctx.call(AwakeableHolder.hold, ctx.key, gate.id)
        await gate
        match operation:
            case "CALL":
                # The suites call the own key, which waits for ever; here that is an error, so another one must block.
                await ctx.call(CancelTestBlockingService.block, f"{ctx.key}-callee", "SLEEP")
            case "SLEEP":
                await ctx.sleep(NEVER)
            case "AWAKEABLE":
                await ctx.awakeable(str)

    @handler(name="isUnlocked")
    async def is_unlocked(self, ctx: ObjectContext) -> None:
        """Answers only when nobody holds the key."""


class KillTestRunner(VirtualObject):
    @handler(name="startCallTree")
    async def start_call_tree(self, ctx: ObjectContext) -> None:
        await ctx.call(KillTestSingleton.recursive_call, ctx.key)


class KillTestSingleton(VirtualObject):
    @handler(name="recursiveCall")
    async def recursive_call(self, ctx: ObjectContext) -> None:
        gate = ctx.awakeable(str)
        ctx.send(AwakeableHolder.hold, ctx.key, gate.id)
        await gate
        await ctx.call(KillTestSingleton.recursive_call, ctx.key)

    @handler(name="isUnlocked")
    async def is_unlocked(self, ctx: ObjectContext) -> None:
        """Answers only when nobody holds the key."""


class FailureToPropagate(Camel):
    error_message: str
    metadata: dict[str, str] | None = None

    def error(self) -> TerminalError:
        return TerminalError(self.error_message, metadata=self.metadata)


class Failing(VirtualObject):
    def __init__(self) -> None:
        self.attempts = Tally[str]()
        """By what is attempted and key; in memory only."""

    @handler(name="terminallyFailingCall")
    async def terminally_failing_call(self, ctx: ObjectContext, failure: FailureToPropagate) -> None:
        raise failure.error()

    @handler(name="callTerminallyFailingCall")
    async def call_terminally_failing_call(self, ctx: ObjectContext, failure: FailureToPropagate) -> str:
        await ctx.call(Failing.terminally_failing_call, str(ctx.uuid()), failure)
        return "this is not reached"

    @handler(name="failingCallWithEventualSuccess")
    async def failing_call_with_eventual_success(self, ctx: ObjectContext) -> int:
        return self._attempt("call", ctx.key, successful=4)

    @handler(name="terminallyFailingSideEffect")
    async def terminally_failing_side_effect(self, ctx: ObjectContext, failure: FailureToPropagate) -> None:
        async def fail() -> None:
            raise failure.error()

        await ctx.run("sideEffect", fail)

    @handler(name="sideEffectSucceedsAfterGivenAttempts")
    async def succeeds_after_given_attempts(self, ctx: ObjectContext, successful: int) -> int:
        async def attempt() -> int:
            return self._attempt("success", ctx.key, successful)

        return await ctx.run("sideEffect", attempt, retry=RetryPolicy(first=timedelta(milliseconds=10), factor=1.0))

    @handler(name="sideEffectFailsAfterGivenAttempts")
    async def fails_after_given_attempts(self, ctx: ObjectContext, attempts: int) -> int:
        async def attempt() -> int:
            return self._attempt("failure", ctx.key, attempts + 1)

        retry = RetryPolicy(first=timedelta(milliseconds=10), factor=1.0, max_attempts=attempts)
        try:
            return await ctx.run("sideEffect", attempt, retry=retry)
        except TerminalError:
            return self.attempts["failure", ctx.key]

    def _attempt(self, what: str, key: str, successful: int) -> int:
        self.attempts[what, key] += 1
        attempts = self.attempts[what, key]
        if attempts < successful:
            raise ValueError(f"attempt {attempts} fails")
        return attempts


class NonDeterministic(VirtualObject):
    """Takes another path at every other attempt."""

    def __init__(self) -> None:
        self.attempts = Tally[str]()

    @handler(name="eitherSleepOrCall")
    async def either_sleep_or_call(self, ctx: ObjectContext) -> None:
        if self._left(ctx.key):
            await ctx.sleep(SOON)
        else:
            await ctx.call(Counter.get, "abc")
        await self._go_on(ctx)

    @handler(name="callDifferentMethod")
    async def call_different_method(self, ctx: ObjectContext) -> None:
        if self._left(ctx.key):
            await ctx.call(Counter.get, "abc")
        else:
            await ctx.call(Counter.reset, "abc")
        await self._go_on(ctx)

    @handler(name="backgroundInvokeWithDifferentTargets")
    async def background_invoke_with_different_targets(self, ctx: ObjectContext) -> None:
        ctx.send(Counter.get if self._left(ctx.key) else Counter.reset, "abc")
        await self._go_on(ctx)

    @handler(name="setDifferentKey")
    async def set_different_key(self, ctx: ObjectContext) -> None:
        ctx.set(State(str, default=str, name="a" if self._left(ctx.key) else "b"), "my-state")
        await self._go_on(ctx)

    def _left(self, key: str) -> bool:
        self.attempts[key] += 1
        return self.attempts[key] % 2 == 1

    async def _go_on(self, ctx: ObjectContext) -> None:
        await ctx.sleep(SOON)
        ctx.send(Counter.add, ctx.key, 1)
