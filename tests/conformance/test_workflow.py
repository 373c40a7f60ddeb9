"""WorkflowAPI."""

from __future__ import annotations

from datetime import timedelta

from tests.conformance.doors import Sent
from tests.conformance.services import BlockAndWaitWorkflow
from tests.conformance.world import HttpWorld, World


async def until_running(world: World, key: str) -> None:
    async def running() -> bool:
        return bool(await world.door.call(BlockAndWaitWorkflow.get_state, key))

    await world.until(running)


async def test_workflow_api_set_and_resolve(world: World, key: str) -> None:
    sent = await world.door.send(BlockAndWaitWorkflow.run, key, "input")
    await until_running(world, key)

    await world.door.call(BlockAndWaitWorkflow.unblock, key, "output")

    assert await world.result(sent, within=timedelta(0)) == "output"
    assert await world.door.send(BlockAndWaitWorkflow.run, key, "input") == sent


async def test_workflow_api_set_and_resolve_over_http(http: HttpWorld, key: str) -> None:
    path = f"/restate/workflow/BlockAndWaitWorkflow/{key}"
    first = (await http.door.post(BlockAndWaitWorkflow.run, key, "input", verb="/send")).json()
    await until_running(http, key)
    early = await http.door.ingress.get(f"{path}/output")
    await http.door.call(BlockAndWaitWorkflow.unblock, key, "output")

    attached = await http.door.ingress.get(f"{path}/attach")
    output = await http.door.ingress.get(f"{path}/output")
    again = (await http.door.post(BlockAndWaitWorkflow.run, key, "input", verb="/send")).json()

    assert (first["status"], early.status_code) == ("Accepted", 470)
    assert (attached.json(), output.json()) == ("output", "output")
    assert again == {"invocationId": first["invocationId"], "status": "PreviouslyAccepted"}
    assert await http.door.result(Sent(first["invocationId"], BlockAndWaitWorkflow.run)) == "output"
