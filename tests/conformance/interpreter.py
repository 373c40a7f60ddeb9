"""The suites' interpreter: a handler that does what a list of commands says, for the rows about waiting."""

from __future__ import annotations

import os
from datetime import timedelta

from durable import (
    DurableFuture,
    DurableTimeoutError,
    ObjectContext,
    ObjectSharedContext,
    State,
    TerminalError,
    VirtualObject,
    first_success,
    gather,
    handler,
    select,
    settled,
)
from tests.conformance.services import Camel


class CreateAwakeable(Camel, tag="createAwakeable"):
    awakeable_key: str


class CreateSignal(Camel, tag="createSignal"):
    signal_name: str


class Sleep(Camel, tag="sleep"):
    timeout_millis: int


class RunReturns(Camel, tag="runReturns"):
    value: str


class RunThrows(Camel, tag="runThrowTerminalException"):
    reason: str


Awaitable = CreateAwakeable | CreateSignal | Sleep | RunReturns | RunThrows


class AwaitOne(Camel, tag="awaitOne"):
    command: Awaitable


class AwaitAny(Camel, tag="awaitAny"):
    commands: list[Awaitable]


class AwaitFirstCompleted(Camel, tag="awaitFirstCompleted"):
    commands: list[Awaitable]


class AwaitAnySuccessful(Camel, tag="awaitAnySuccessful"):
    commands: list[Awaitable]


class AwaitFirstSucceeded(Camel, tag="awaitFirstSucceededOrAllFailed"):
    commands: list[Awaitable]


class AwaitAllSucceeded(Camel, tag="awaitAllSucceededOrFirstFailed"):
    commands: list[Awaitable]


class AwaitAllCompleted(Camel, tag="awaitAllCompleted"):
    commands: list[Awaitable]


class AwaitAwakeableOrTimeout(Camel, tag="awaitAwakeableOrTimeout"):
    awakeable_key: str
    timeout_millis: int


class ResolveAwakeable(Camel, tag="resolveAwakeable"):
    awakeable_key: str
    value: str


class RejectAwakeable(Camel, tag="rejectAwakeable"):
    awakeable_key: str
    reason: str


class GetEnvVariable(Camel, tag="getEnvVariable"):
    env_name: str


Combined = (
    AwaitAny | AwaitFirstCompleted | AwaitAnySuccessful | AwaitFirstSucceeded | AwaitAllSucceeded | AwaitAllCompleted
)
Command = AwaitOne | Combined | AwaitAwakeableOrTimeout | ResolveAwakeable | RejectAwakeable | GetEnvVariable


class Program(Camel):
    commands: list[Command]


class Resolution(Camel):
    awakeable_key: str
    value: str


class Rejection(Camel):
    awakeable_key: str
    reason: str


class VirtualObjectCommandInterpreter(VirtualObject):
    results = State(list[str], default=list)

    @handler(name="interpretCommands")
    async def interpret_commands(self, ctx: ObjectContext, program: Program) -> str:
        result = ""
        for command in program.commands:
            result = await self._interpret(ctx, command)
            ctx.set(self.results, [*await ctx.get(self.results), result])
        return result

    @handler(name="resolveAwakeable")
    async def resolve_awakeable(self, ctx: ObjectSharedContext, resolution: Resolution) -> None:
        ctx.resolve_awakeable(await _held(ctx, resolution.awakeable_key), resolution.value)

    @handler(name="rejectAwakeable")
    async def reject_awakeable(self, ctx: ObjectSharedContext, rejection: Rejection) -> None:
        ctx.reject_awakeable(await _held(ctx, rejection.awakeable_key), rejection.reason)

    @handler(name="hasAwakeable")
    async def has_awakeable(self, ctx: ObjectSharedContext, key: str) -> bool:
        return bool(await ctx.get(_awakeable_state(key)))

    @handler(name="getResults")
    async def get_results(self, ctx: ObjectSharedContext) -> list[str]:
        return await ctx.get(self.results)

    async def _interpret(self, ctx: ObjectContext, command: Command) -> str:
        match command:
            case AwaitOne(one):
                return _text(await self._begin(ctx, one))
            case AwaitAwakeableOrTimeout(key, timeout_ms):
                return await self._await_or_timeout(ctx, key, timedelta(milliseconds=timeout_ms))
            case ResolveAwakeable(key, value):
                ctx.resolve_awakeable(await _held(ctx, key), value)
            case RejectAwakeable(key, reason):
                ctx.reject_awakeable(await _held(ctx, key), reason)
            case GetEnvVariable(name):
                return await ctx.run("env", _environment, name)
            case _:
                return await _combined(command, [self._begin(ctx, each) for each in command.commands])
        return ""

    async def _await_or_timeout(self, ctx: ObjectContext, key: str, after: timedelta) -> str:
        try:
            return _text(await self._begin(ctx, CreateAwakeable(key)).or_timeout(after))
        except DurableTimeoutError as error:
            raise TerminalError("await-timeout") from error

    def _begin(self, ctx: ObjectContext, awaitable: Awaitable) -> DurableFuture[str | None]:
        match awaitable:
            case CreateAwakeable(key):
                awakeable = ctx.awakeable(str)
                ctx.set(_awakeable_state(key), awakeable.id)
                return awakeable
            case CreateSignal(name):
                return ctx.signal(name, str)
            case Sleep(timeout_ms):
                return ctx.sleep(timedelta(milliseconds=timeout_ms))
            case RunReturns(value):
                return ctx.run("runReturns", _give, value)
            case RunThrows(reason):
                return ctx.run("runThrowTerminalException", _fail, reason)


async def _combined(command: Combined, futures: list[DurableFuture[str | None]]) -> str:
    match command:
        case AwaitAny() | AwaitFirstCompleted():
            _, result = await select(**{str(place): future for place, future in enumerate(futures)})
            return _text(result)
        case AwaitAnySuccessful() | AwaitFirstSucceeded():
            return _text(await first_success(*futures))
        case AwaitAllSucceeded():
            return "|".join(map(_text, await gather(*futures)))
        case AwaitAllCompleted():
            outcomes = await settled(*futures)
            return "|".join(
                f"err:{each.message}" if isinstance(each, TerminalError) else f"ok:{_text(each)}" for each in outcomes
            )


def _text(result: str | None) -> str:
    """A sleep has no result of its own."""
    return "sleep" if result is None else result


def _awakeable_state(key: str) -> State[str]:
    return State(str, default=str, name=f"awk-{key}")


async def _held(ctx: ObjectSharedContext, key: str) -> str:
    id = await ctx.get(_awakeable_state(key))
    if not id:
        raise TerminalError(f"there is no awakeable {key!r}")
    return id


async def _environment(name: str) -> str:
    return os.environ.get(name, "")


async def _give(value: str) -> str:
    return value


async def _fail(reason: str) -> str:
    raise TerminalError(reason)
