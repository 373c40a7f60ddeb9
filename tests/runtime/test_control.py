"""Kill, pause, resume, restart, purge: from outside, and from a handler."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from durable import Context, Invocation, ObjectContext, Options, Service, TerminalError, VirtualObject, handler
from durable.testing import TestEngine
from tests.runtime.flows import Approval, Counter

HOUR = timedelta(hours=1)
FORGOTTEN = "it was never accepted here, or is forgotten: purged, cancelled before its start, or past its retention"
SUSPENDING = Options(inactivity=timedelta(0))


class Sleeper(VirtualObject):
    def __init__(self) -> None:
        self.ran: list[str] = []

    @handler
    async def sleep(self, ctx: ObjectContext) -> str:
        number = await ctx.run("one", self.note, "one")
        await ctx.sleep(HOUR)
        again = await ctx.run("two", self.note, "two")
        return f"{number} {again} {ctx.random.randint(0, 10**9)}"

    def note(self, name: str) -> int:
        self.ran.append(name)
        return len(self.ran)


class Parent(Service):
    @handler
    async def call(self, ctx: Context) -> str:
        ctx.send(Sleeper.sleep, "sent")
        return await ctx.call(Sleeper.sleep, "called")

    @handler
    async def order(self, ctx: Context, verb_and_id: list[str]) -> str:
        verb, id = verb_and_id
        match verb:
            case "kill":
                await ctx.kill(id)
            case "pause":
                await ctx.pause(id)
            case "resume":
                await ctx.resume(id)
            case "purge":
                await ctx.purge(id)
            case _:
                return await ctx.restart(id)
        return "done"


@pytest.fixture(params=[None, SUSPENDING], ids=["resident", "suspending"])
async def engine(request: pytest.FixtureRequest) -> AsyncGenerator[TestEngine]:
    async with TestEngine(Sleeper(), Parent(), Counter(), Approval(), options=request.param) as engine:
        yield engine


async def begun(engine: TestEngine) -> Invocation[str]:
    sent = await engine.send(Sleeper.sleep, "k")
    await engine.skip(timedelta(seconds=1))
    return sent


async def status_of(invocation: Invocation[str]) -> tuple[int, str]:
    with pytest.raises(TerminalError) as error:
        await invocation.result()
    return error.value.status, str(error.value)


async def test_a_killed_invocation_fails_with_409_and_frees_its_key(engine: TestEngine) -> None:
    sent = await begun(engine)
    behind = await engine.send(Sleeper.sleep, "k")

    await sent.kill()
    await engine.skip(HOUR)

    assert await status_of(sent) == (409, "killed")
    assert (await behind.result()).startswith("2 3")


async def test_a_kill_takes_along_what_was_called_and_sent(engine: TestEngine) -> None:
    parent = await engine.send(Parent.call)
    await engine.skip(timedelta(seconds=1))

    await parent.kill()
    behind = [await engine.send(Sleeper.sleep, key) for key in ("called", "sent")]
    await engine.skip(HOUR)

    assert [await each.status() for each in behind] == ["completed", "completed"]


async def test_a_paused_invocation_goes_on_where_it_was(engine: TestEngine) -> None:
    sent = await begun(engine)
    if await sent.status() == "suspended":
        with pytest.raises(TerminalError, match="is not running, cannot be paused"):
            await sent.pause()
        return
    await sent.pause()
    await engine.skip(2 * HOUR)
    assert await sent.status() == "paused"

    await sent.resume()

    assert (await sent.result()).startswith("1 2")


async def test_what_is_completed_cannot_be_killed_paused_or_resumed(engine: TestEngine) -> None:
    await engine.call(Counter.add, "k", 1)
    done = await engine.send(Counter.add, "k", 1)
    await done.result()

    for act, words in ((done.kill, "already completed"), (done.pause, "not running"), (done.resume, "is completed")):
        with pytest.raises(TerminalError, match=words) as error:
            await act()
        assert error.value.status == 409


async def test_a_restart_repeats_the_whole_work(engine: TestEngine) -> None:
    sent = await begun(engine)
    await engine.skip(HOUR)
    first = await sent.result()

    again = await sent.restart()
    await engine.skip(HOUR)

    assert again.id != sent.id
    assert (await again.result()).split()[:2] == ["3", "4"]
    assert (await again.result()).split()[2] == first.split()[2]  # the same seed


async def test_a_restart_keeps_the_prefix_it_is_told_to(engine: TestEngine) -> None:
    sent = await begun(engine)
    await engine.skip(HOUR)
    await sent.result()

    again = await sent.restart(from_entry=4)  # step one, its result, the sleep, its end
    await engine.settle()

    assert (await again.result()).startswith("1 3")


@pytest.mark.parametrize("entry", [-1, 99])
async def test_a_restart_refuses_a_prefix_that_is_not_there(engine: TestEngine, entry: int) -> None:
    sent = await begun(engine)
    await engine.skip(HOUR)

    with pytest.raises(TerminalError, match="without respective") as error:
        await sent.restart(from_entry=entry)

    assert error.value.status == 400


async def test_a_workflow_can_be_restarted(engine: TestEngine) -> None:
    run = await engine.send(Approval.run, "w")
    await engine.call(Approval.decide, "w", "yes")
    await run.result()

    assert await (await run.restart()).result() == "yes"


async def test_what_is_purged_is_unknown_and_its_key_can_be_used_again(engine: TestEngine) -> None:
    run = await engine.send(Approval.run, "w")
    await engine.call(Approval.decide, "w", "yes")
    await run.result()

    await run.purge()

    assert await status_of(run) == (404, f"invocation {run.id} not found: {FORGOTTEN}")
    again = await engine.send(Approval.run, "w")
    await engine.call(Approval.decide, "w", "no")
    assert await again.result() == "no"


async def test_what_is_not_completed_cannot_be_purged(engine: TestEngine) -> None:
    sent = await begun(engine)

    for act in (sent.purge, sent.purge_journal):
        with pytest.raises(TerminalError, match="is not yet completed"):
            await act()


async def test_without_its_journal_an_invocation_has_its_outcome_but_cannot_be_restarted(engine: TestEngine) -> None:
    sent = await begun(engine)
    await engine.skip(HOUR)
    outcome = await sent.result()

    await sent.purge_journal()

    assert await sent.result() == outcome
    with pytest.raises(TerminalError, match="the input is not available") as error:
        await sent.restart()
    assert error.value.status == 410


async def test_a_handler_may_do_all_this_too(engine: TestEngine) -> None:
    sent = await begun(engine)

    assert await engine.call(Parent.order, ["kill", sent.id]) == "done"
    restarted = await engine.call(Parent.order, ["restart", sent.id])
    assert await engine.call(Parent.order, ["purge", sent.id]) == "done"

    assert await status_of(sent) == (404, f"invocation {sent.id} not found: {FORGOTTEN}")
    await engine.skip(HOUR)
    assert (await engine.invocation(restarted).result()) is not None
    with pytest.raises(TerminalError, match="not found"):
        await engine.call(Parent.order, ["kill", sent.id])


async def test_the_retention_of_an_invocation_ends(engine: TestEngine) -> None:
    once = Counter.add.options(idempotency_key="a")
    assert await engine.call(once, "k", 5) == 5
    await engine.skip(timedelta(hours=23))
    assert await engine.call(once, "k", 5) == 5

    await engine.skip(timedelta(hours=3))

    assert await engine.call(once, "k", 5) == 10
    assert len(engine.disk.invocations) == 1


async def test_hundreds_of_expired_invocations_go_page_by_page() -> None:
    async with TestEngine(Counter()) as engine:
        for n in range(250):
            await engine.send(Counter.add, f"k{n}", 1)
        await engine.settle()

        await engine.skip(timedelta(hours=26))

        assert (len(engine.disk.invocations), engine.disk.journals) == (0, {})


async def test_a_reused_id_gets_no_answer_that_was_meant_for_its_predecessor() -> None:
    asker, once = Forgetful(), Forgetful.ask.options(idempotency_key="same")
    async with TestEngine(asker, Sleeper(), options=Options(strict=False)) as engine:
        first = await engine.send(once)
        assert await first.result() == "forgot"
        await first.purge()
        await engine.skip(timedelta(milliseconds=10))
        asker.waits = True
        second = await engine.send(once)
        await engine.settle()
        assert second.id == first.id

        with pytest.raises(TerminalError, match="not found"):
            await engine.awakeable(asker.awakeables[0]).resolve("old")
        await engine.skip(2 * HOUR)  # the call that the first one made ends

        assert await second.status() == "suspended"
        await engine.awakeable(asker.awakeables[1]).resolve("new")
        assert await second.result() == "new"


class Forgetful(Service):
    """Calls and does not wait; the next time it waits for an awakeable."""

    def __init__(self) -> None:
        self.awakeables: list[str] = []
        self.waits = False

    @handler
    async def ask(self, ctx: Context) -> str:
        if not self.waits:
            ctx.call(Sleeper.sleep, "k")
        awakeable = ctx.awakeable(str)
        self.awakeables.append(awakeable.id)
        return await awakeable if self.waits else "forgot"


async def test_what_is_under_way_is_not_restarted(engine: TestEngine) -> None:
    sent = await begun(engine)
    waiting = await engine.send(Sleeper.sleep, "k")

    for invocation, status in ((sent, 409), (waiting, 425)):
        with pytest.raises(TerminalError) as error:
            await invocation.restart()
        assert error.value.status == status
