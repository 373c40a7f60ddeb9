"""The services of ``troubles.py`` on Restate's own SDK; see ``restate_services.py``."""

import json
from collections import Counter as Tally
from datetime import timedelta

from restate import InvocationRetryPolicy, RunOptions, TerminalError, VirtualObject

SOON = timedelta(milliseconds=100)
NEVER = timedelta(days=1024)
attempts = Tally()

# -- CancelTest..., KillTest...

cancel_test_runner = VirtualObject("CancelTestRunner")
cancel_test_blocking_service = VirtualObject("CancelTestBlockingService")
kill_test_runner = VirtualObject("KillTestRunner")
kill_test_singleton = VirtualObject("KillTestSingleton")


@cancel_test_runner.handler(name="startTest")
async def start_test(ctx, operation: str) -> None:
    try:
        await ctx.object_call(block, ctx.key(), operation)
    except TerminalError as error:
        if error.status_code != 409:
            raise
        ctx.set("cancelled", True)


@cancel_test_runner.handler(name="verifyTest")
async def verify_test(ctx) -> bool:
    return await ctx.get("cancelled") or False


@cancel_test_blocking_service.handler()
async def block(ctx, operation: str) -> None:
    id, gate = ctx.awakeable()
    await ctx.generic_call("AwakeableHolder", "hold", json.dumps(id).encode(), key=ctx.key())
    await gate
    match operation:
        case "CALL":
            await ctx.object_call(block, f"{ctx.key()}-callee", "SLEEP")
        case "SLEEP":
            await ctx.sleep(NEVER)
        case "AWAKEABLE":
            await ctx.awakeable()[1]


@cancel_test_blocking_service.handler(name="isUnlocked")
async def is_unlocked(ctx) -> None:
    pass


@kill_test_runner.handler(name="startCallTree")
async def start_call_tree(ctx) -> None:
    await ctx.object_call(recursive_call, ctx.key(), None)


@kill_test_singleton.handler(name="recursiveCall")
async def recursive_call(ctx) -> None:
    id, gate = ctx.awakeable()
    ctx.generic_send("AwakeableHolder", "hold", json.dumps(id).encode(), key=ctx.key())
    await gate
    await ctx.object_call(recursive_call, ctx.key(), None)


@kill_test_singleton.handler(name="isUnlocked")
async def singleton_is_unlocked(ctx) -> None:
    pass


# -- Failing, NonDeterministic

failing = VirtualObject("Failing")


def attempt(what, key, successful):
    attempts[what, key] += 1
    if attempts[what, key] < successful:
        raise ValueError(f"attempt {attempts[what, key]} fails")
    return attempts[what, key]


def error_of(failure):
    return TerminalError(failure["errorMessage"], metadata=failure.get("metadata"))


@failing.handler(name="terminallyFailingCall")
async def terminally_failing_call(ctx, failure: dict) -> None:
    raise error_of(failure)


@failing.handler(name="callTerminallyFailingCall")
async def call_terminally_failing_call(ctx, failure: dict) -> str:
    await ctx.object_call(terminally_failing_call, str(ctx.uuid()), failure)
    return "this is not reached"


@failing.handler(name="failingCallWithEventualSuccess")
async def failing_call_with_eventual_success(ctx) -> int:
    return attempt("call", ctx.key(), 4)


@failing.handler(name="terminallyFailingSideEffect")
async def terminally_failing_side_effect(ctx, failure: dict) -> None:
    async def fail():
        raise error_of(failure)

    await ctx.run_typed("sideEffect", fail)


@failing.handler(name="sideEffectSucceedsAfterGivenAttempts")
async def succeeds_after_given_attempts(ctx, successful: int) -> int:
    async def act():
        return attempt("success", ctx.key(), successful)

    options = RunOptions(initial_retry_interval=timedelta(milliseconds=10), retry_interval_factor=1.0)
    return await ctx.run_typed("sideEffect", act, options)


@failing.handler(name="sideEffectFailsAfterGivenAttempts")
async def fails_after_given_attempts(ctx, most: int) -> int:
    async def act():
        return attempt("failure", ctx.key(), most + 1)

    pace = {"initial_retry_interval": timedelta(milliseconds=10), "retry_interval_factor": 1.0}
    try:
        return await ctx.run_typed("sideEffect", act, RunOptions(max_attempts=most, **pace))
    except TerminalError:
        return attempts["failure", ctx.key()]


# One attempt: the third would take the first one's path again.
non_deterministic = VirtualObject(
    "NonDeterministic", invocation_retry_policy=InvocationRetryPolicy(max_attempts=1, on_max_attempts="pause")
)


def left(ctx):
    attempts["left", ctx.key()] += 1
    return attempts["left", ctx.key()] % 2 == 1


async def go_on(ctx):
    await ctx.sleep(SOON)
    ctx.generic_send("Counter", "add", b"1", key=ctx.key())


@non_deterministic.handler(name="eitherSleepOrCall")
async def either_sleep_or_call(ctx) -> None:
    if left(ctx):
        await ctx.sleep(SOON)
    else:
        await ctx.generic_call("Counter", "get", b"", key="abc")
    await go_on(ctx)


@non_deterministic.handler(name="callDifferentMethod")
async def call_different_method(ctx) -> None:
    await ctx.generic_call("Counter", "get" if left(ctx) else "reset", b"", key="abc")
    await go_on(ctx)


@non_deterministic.handler(name="backgroundInvokeWithDifferentTargets")
async def background_invoke_with_different_targets(ctx) -> None:
    ctx.generic_send("Counter", "get" if left(ctx) else "reset", b"", key="abc")
    await go_on(ctx)


@non_deterministic.handler(name="setDifferentKey")
async def set_different_key(ctx) -> None:
    ctx.set("a" if left(ctx) else "b", "my-state")
    await go_on(ctx)


services = [
    cancel_test_runner,
    cancel_test_blocking_service,
    kill_test_runner,
    kill_test_singleton,
    failing,
    non_deterministic,
]
