"""The interpreter of ``interpreter.py`` on Restate's own SDK; see ``restate_services.py``."""

import os
from datetime import timedelta

import restate
from restate import RunOptions, TerminalError, VirtualObject

interpreter = VirtualObject("VirtualObjectCommandInterpreter")


@interpreter.handler(name="interpretCommands")
async def interpret_commands(ctx, program: dict) -> str:
    result = ""
    for command in program["commands"]:
        result = await interpret(ctx, command)
        ctx.set("results", [*(await ctx.get("results") or []), result])
    return result


@interpreter.handler(name="resolveAwakeable", kind="shared")
async def resolve_awakeable(ctx, resolution: dict) -> None:
    ctx.resolve_awakeable(await held(ctx, resolution["awakeableKey"]), resolution["value"])


@interpreter.handler(name="rejectAwakeable", kind="shared")
async def reject_awakeable(ctx, rejection: dict) -> None:
    ctx.reject_awakeable(await held(ctx, rejection["awakeableKey"]), rejection["reason"])


@interpreter.handler(name="hasAwakeable", kind="shared")
async def has_awakeable(ctx, key: str) -> bool:
    return await ctx.get(f"awk-{key}") is not None


@interpreter.handler(name="getResults", kind="shared")
async def get_results(ctx) -> list[str]:
    return await ctx.get("results") or []


async def held(ctx, key):
    id = await ctx.get(f"awk-{key}")
    if id is None:
        raise TerminalError(f"there is no awakeable {key!r}")
    return id


async def interpret(ctx, command):
    match command["type"]:
        case "awaitOne":
            return text(await begin(ctx, command["command"]))
        case "awaitAwakeableOrTimeout":
            awakeable = begin(ctx, command | {"type": "createAwakeable"})
            timeout = ctx.sleep(timedelta(milliseconds=command["timeoutMillis"]))
            name, result = await restate.select(awakeable=awakeable, timeout=timeout)
            if name == "timeout":
                raise TerminalError("await-timeout")
            return result
        case "resolveAwakeable":
            ctx.resolve_awakeable(await held(ctx, command["awakeableKey"]), command["value"])
        case "rejectAwakeable":
            ctx.reject_awakeable(await held(ctx, command["awakeableKey"]), command["reason"])
        case "getEnvVariable":
            return await ctx.run_typed("env", lambda: os.environ.get(command["envName"], ""))
        case combinator:
            return await COMBINATORS[combinator]([begin(ctx, each) for each in command["commands"]])
    return ""


def begin(ctx, awaitable):
    match awaitable["type"]:
        case "createAwakeable":
            id, future = ctx.awakeable()
            ctx.set(f"awk-{awaitable['awakeableKey']}", id)
            return future
        case "createSignal":
            return ctx.signal(awaitable["signalName"])
        case "sleep":
            return ctx.sleep(timedelta(milliseconds=awaitable["timeoutMillis"]))
        case "runReturns":
            return ctx.run_typed("runReturns", lambda: awaitable["value"])
        case "runThrowTerminalException":
            return ctx.run_typed("runThrowTerminalException", throw, RunOptions(), awaitable["reason"])


def throw(reason: str) -> str:
    raise TerminalError(reason)


def text(result):
    return "sleep" if result is None else result


async def first_completed(futures):
    async for future in restate.as_completed(*futures):
        return text(await future)


async def first_succeeded(futures):
    failures = []
    async for future in restate.as_completed(*futures):
        try:
            return text(await future)
        except TerminalError as error:
            failures.append(error)
    raise TerminalError("; ".join(failure.message for failure in failures))


async def all_succeeded(futures):
    results = {}
    async for future in restate.as_completed(*futures):
        results[future] = text(await future)
    return "|".join(results[future] for future in futures)


async def all_completed(futures):
    outcomes = []
    for future in await restate.gather(*futures):
        try:
            outcomes.append(f"ok:{text(await future)}")
        except TerminalError as error:
            outcomes.append(f"err:{error.message}")
    return "|".join(outcomes)


COMBINATORS = {
    "awaitAny": first_completed,
    "awaitFirstCompleted": first_completed,
    "awaitAnySuccessful": first_succeeded,
    "awaitFirstSucceededOrAllFailed": first_succeeded,
    "awaitAllSucceededOrFirstFailed": all_succeeded,
    "awaitAllCompleted": all_completed,
}
