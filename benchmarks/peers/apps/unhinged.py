"""Unhinged bears a load: ``python -m benchmarks.peers.apps.unhinged FILE LOAD``, in Unhinged's environment.

It polls: here 25 times as often as by default, and results 50 ms after they were asked for, which cannot be set.
Prints a ``Run`` as JSON.
"""

import asyncio
import gc
import sys
from functools import partial

import msgspec
from unhinged.aio import AsyncTaskContext, AsyncUnhinged

from benchmarks.load import Load, drive

gc.set_threshold(10_000, 50, 50)  # as for us

PAYLOAD = "x" * 100


async def step(payload: str) -> str:
    return payload


async def three(payload: str, ctx: AsyncTaskContext) -> str:
    for name in ("first", "second", "third"):
        payload = await ctx.step(name, partial(step, payload))
    return payload


async def main(path: str, load: Load) -> None:
    app = AsyncUnhinged(path, queue_name="steps")
    app.register_task("three")(three)
    worker = asyncio.create_task(app.start_worker(concurrency=load.concurrency, poll_interval=0.01))

    async def invoke() -> None:
        await app.await_task_result(app.spawn("three", PAYLOAD)["task_id"])

    run = await drive(invoke, load)
    app.stop_worker()
    await worker
    app.close()
    sys.stdout.buffer.write(msgspec.json.encode(run))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], msgspec.json.decode(sys.argv[2], type=Load)))
