"""DBOS bears a load: ``python -m benchmarks.peers.apps.dbos URL LOAD``, in DBOS's environment.

Async workflows and steps, as its documentation has them for asyncio. Prints a ``Run`` as JSON.
"""

import asyncio
import gc
import sys

import msgspec
from dbos import DBOS

from benchmarks.load import Load, drive

gc.set_threshold(10_000, 50, 50)  # as for us

PAYLOAD = "x" * 100


@DBOS.step()
async def step(payload: str) -> str:
    return payload


@DBOS.workflow()
async def three(payload: str) -> str:
    for _ in range(3):
        payload = await step(payload)
    return payload


async def main(load: Load) -> None:
    DBOS.launch()
    run = await drive(lambda: three(PAYLOAD), load)
    sys.stdout.buffer.write(msgspec.json.encode(run))
    sys.stdout.flush()
    DBOS.destroy()


if __name__ == "__main__":
    DBOS(config={"name": "benchmark", "system_database_url": sys.argv[1], "log_level": "ERROR"})
    asyncio.run(main(msgspec.json.decode(sys.argv[2], type=Load)))
