"""The three steps on Restate's own SDK; hypercorn serves this, in Restate's environment, to a Restate server."""

import gc

import restate

gc.set_threshold(10_000, 50, 50)  # as for us

steps = restate.Service("Steps")


async def step(payload: str) -> str:
    return payload


@steps.handler()
async def three(ctx: restate.Context, payload: str) -> str:
    for name in ("first", "second", "third"):
        payload = await ctx.run_typed(name, step, payload=payload)
    return payload


app = restate.app([steps])
