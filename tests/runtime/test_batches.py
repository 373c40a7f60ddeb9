"""Batch handlers: called with one input each, given many at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from durable import Batch, Context, Limit, Options, Service, handler
from durable.core.ids import write_invocation
from durable.testing import TestEngine, crash_everywhere, replay_check
from durable.testing.scenario import Scene
from tests.runtime.batches import SECOND, Account, Mailer, answer, begin


class Pooled(Service, limit="tenant"):
    @handler(batch=Batch(3, within=SECOND))
    async def send(self, ctx: Context, mails: list[str]) -> list[int]:
        return [len(mail) for mail in mails]


SUSPENDING = Options(inactivity=timedelta(0))
both = pytest.mark.parametrize("options", [None, SUSPENDING], ids=["resident", "suspending"])


@both
async def test_a_full_batch_runs_at_once_and_each_caller_gets_its_result(options: Options | None) -> None:
    async with TestEngine(mailer := Mailer(), options=options) as engine:
        results = await asyncio.gather(*(engine.call(Mailer.send, "x" * n) for n in (1, 2, 3)))

        assert results == [1, 2, 3]
        assert mailer.given == [["x", "xx", "xxx"]]


async def test_a_batch_needs_no_slot_of_the_named_limit_that_its_calls_hold() -> None:
    options = Options(limits=(Limit("limit/tenant", concurrency=2, hold=True),))
    async with TestEngine(Pooled(), options=options) as engine:
        sent = [await engine.send(Pooled.send.options(limit_key="acme"), "x" * n) for n in range(3)]
        await engine.skip(SECOND * 2)

        assert [await each.status() for each in sent] == ["completed"] * 3


@both
async def test_what_came_runs_when_the_time_since_the_first_is_over(options: Options | None) -> None:
    async with TestEngine(mailer := Mailer(), options=options) as engine:
        first = await engine.send(Mailer.send, "a")
        await engine.skip(SECOND * 0.6)
        second = await engine.send(Mailer.send, "bb")
        await engine.skip(SECOND * 0.3)
        assert mailer.given == []

        await engine.skip(SECOND * 0.1)

        assert mailer.given == [["a", "bb"]]
        assert [await each.result() for each in (first, second)] == [1, 2]


async def test_the_next_batch_counts_its_own_time() -> None:
    async with TestEngine(mailer := Mailer()) as engine:
        for mail in "abcd":
            await engine.send(Mailer.send, mail)
        await engine.skip(SECOND * 0.5)
        await engine.send(Mailer.send, "e")
        await engine.skip(SECOND * 0.5)
        await engine.send(Mailer.send, "f")
        await engine.skip(SECOND)

        assert mailer.given == [["a", "b", "c"], ["d", "e"], ["f"]]


async def test_a_failed_attempt_is_repeated_with_the_same_members() -> None:
    mailer = Mailer()
    mailer.fails = 1
    async with TestEngine(mailer) as engine:
        calls = [begin(engine.call(Mailer.send, mail)) for mail in "abc"]
        await engine.settle()
        other = begin(engine.call(Mailer.send, "d"))
        await engine.skip(timedelta(minutes=1))

        assert sorted(mailer.given) == [["a", "b", "c"], ["a", "b", "c"], ["d"]]
        assert [await call for call in (*calls, other)] == [1, 1, 1, 1]


async def test_a_terminal_error_is_every_members_failure() -> None:
    async with TestEngine(Mailer()) as engine:
        calls = [begin(engine.call(Mailer.send, mail)) for mail in ("a", "poison", "c")]

        assert await asyncio.gather(*calls) == [(418, "poisoned")] * 3


async def test_an_error_in_the_place_of_a_result_is_that_members_failure() -> None:
    async with TestEngine(Mailer()) as engine:
        calls = [begin(engine.call(Mailer.send, mail)) for mail in ("a", "", "ccc")]

        assert await asyncio.gather(*calls) == [1, (400, "no address"), 3]


async def test_a_wrong_number_of_results_is_said() -> None:
    async with TestEngine(Mailer()) as engine:
        calls = [begin(engine.call(Mailer.lose, mail)) for mail in "abc"]

        says = "Mailer.lose was given 3 inputs and returned 2 results; return one result per input, in a list"
        assert await asyncio.gather(*calls) == [(500, says)] * 3


async def test_a_result_of_another_type_is_that_members_failure() -> None:
    async with TestEngine(Mailer()) as engine:
        good, bad, other = [begin(engine.call(Mailer.lie, mail)) for mail in ("a", "text", "c")]

        assert (await good, await other) == (1, 1)
        status, message = await bad
        assert status == 500
        assert str(message).startswith("a result of Mailer.lie is not the int that was declared")


async def test_a_handler_without_results_returns_none() -> None:
    async with TestEngine(mailer := Mailer()) as engine:
        assert await asyncio.gather(*(engine.call(Mailer.log, line) for line in "abc")) == [None] * 3
        assert mailer.given == [["a", "b", "c"]]


async def test_an_input_that_does_not_decode_is_in_no_batch() -> None:
    class Other(Service, name="Mailer"):
        @handler
        async def send(self, ctx: Context, number: int) -> int:
            raise NotImplementedError

    async with TestEngine(mailer := Mailer()) as engine:
        status, _ = await answer(engine.call(Other.send, 3))
        await engine.skip(SECOND)

        assert (status, mailer.given) == (400, [])


async def test_retries_that_are_over_fail_every_member() -> None:
    async with TestEngine(Mailer()) as engine:
        calls = [begin(engine.call(Mailer.never, mail)) for mail in "abc"]
        await engine.skip(timedelta(minutes=1))

        assert await asyncio.gather(*calls) == [(500, "RuntimeError('never')")] * 3


async def test_no_time_at_all_takes_what_is_there() -> None:
    async with TestEngine(Mailer()) as engine:
        assert await asyncio.gather(*(engine.call(Mailer.now, mail) for mail in "abc")) == [3, 3, 3]


async def test_a_batch_of_one() -> None:
    async with TestEngine(Mailer()) as engine:
        assert await asyncio.gather(*(engine.call(Mailer.alone, mail) for mail in "abc")) == [1, 1, 1]


async def test_handlers_call_with_one_input_too() -> None:
    async with TestEngine(mailer := Mailer()) as engine:
        assert await engine.call(Mailer.all, ["a", "bb", "ccc"]) == [1, 2, 3]
        assert mailer.given == [["a", "bb", "ccc"]]


async def test_a_repeated_call_is_one_member() -> None:
    async with TestEngine(mailer := Mailer()) as engine:
        named = Mailer.send.options(idempotency_key="k")
        calls = [begin(engine.call(named, "a")), begin(engine.call(named, "a")), begin(engine.call(Mailer.send, "b"))]
        await engine.skip(SECOND)

        assert await asyncio.gather(*calls) == [1, 1, 1]
        assert [sorted(mails) for mails in mailer.given] == [["a", "b"]]


async def test_a_batch_is_nobodys_whoever_calls() -> None:
    async with TestEngine(mailer := Mailer()) as engine:
        for identity in ("jane", "john"):
            await engine.send(Mailer.send.options(identity=identity), "a")
        await engine.skip(SECOND)

        assert (mailer.given, mailer.identities) == ([["a", "a"]], [None])


async def test_what_is_too_large_for_one_batch_is_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable.batch.LARGEST", 20)
    async with TestEngine(mailer := Mailer()) as engine:
        calls = [await engine.send(Mailer.send, mail) for mail in ("poison", "bbb", "c" * 20)]
        await engine.settle()

        assert sorted(mailer.given) == [["c" * 20], ["poison", "bbb"]]
        assert [await answer(call.result()) for call in calls] == [(418, "poisoned"), (418, "poisoned"), 20]


# -- keys


async def test_a_virtual_object_has_a_batch_per_key_in_its_turn() -> None:
    async with TestEngine(Account()) as engine:
        holding = await engine.send(Account.hold, "jane")
        jane = [await engine.send(Account.add, "jane", number) for number in (1, 2, 3)]
        john = [await engine.send(Account.add, "john", number) for number in (10, 20)]
        await engine.skip(SECOND)
        assert [await each.result() for each in john] == [10, 30]
        assert [await each.status() for each in jane] == ["running"] * 3

        await engine.skip(timedelta(minutes=1))

        assert await holding.result() == 0
        assert [await each.result() for each in jane] == [1, 3, 6]


async def test_shared_handlers_have_batches_beside_the_key() -> None:
    async with TestEngine(Account()) as engine:
        await engine.send(Account.hold, "jane")
        looks = [begin(engine.call(Account.look, "jane", word)) for word in "ab"]
        await engine.skip(SECOND)

        assert await asyncio.gather(*looks) == ["a 0 of 2", "b 0 of 2"]


async def test_clearing_the_state_of_a_key_loses_no_member() -> None:
    async with TestEngine(Account()) as engine:
        calls = [begin(engine.call(Account.add, "jane", number)) for number in (1, 2)]
        await engine.settle()
        await engine.call(Account.clear, "jane")
        await engine.skip(SECOND)

        assert await asyncio.gather(*calls) == [1, 3]


async def test_a_handler_that_waits_for_a_batch_of_its_own_key_is_told_of_the_circle() -> None:
    async with TestEngine(Account()) as engine:
        knot = await engine.send(Account.knot, "jane")
        await engine.skip(SECOND)

        status, message = await answer(knot.result())
        assert (status, str(message).partition(": ")[0]) == (409, "deadlock")
        assert "Account/jane/knot" in str(message)


# -- leaving


@both
@pytest.mark.parametrize("verb", ["kill", "cancel"])
async def test_who_leaves_before_the_batch_begins_is_left_out(verb: str, options: Options | None) -> None:
    async with TestEngine(mailer := Mailer(), options=options) as engine:
        stays = await engine.send(Mailer.send, "stays")
        leaves = await engine.send(Mailer.send, "leaves")
        await engine.settle()
        await getattr(leaves, verb)()
        await engine.skip(SECOND)

        assert mailer.given == [["stays"]]
        assert await stays.result() == 5
        assert await answer(leaves.result()) == (409, "killed" if verb == "kill" else "cancelled")


@pytest.mark.parametrize("verb", ["kill", "cancel"])
async def test_a_batch_that_all_have_left_does_not_run(verb: str) -> None:
    async with TestEngine(mailer := Mailer()) as engine:
        calls = [await engine.send(Mailer.send, mail) for mail in "ab"]
        await engine.settle()
        for call in calls:
            await getattr(call, verb)()
        await engine.skip(SECOND)

        assert mailer.given == []
        assert (await engine.audit()).findings == ()


@pytest.mark.parametrize("verb", ["kill", "cancel"])
async def test_who_leaves_while_the_batch_waits_for_its_key_is_left_out(verb: str) -> None:
    async with TestEngine(Account()) as engine:
        await engine.send(Account.hold, "jane")
        calls = [await engine.send(Account.add, "jane", number) for number in (1, 20, 300)]
        await engine.settle()  # full, and behind the other
        await getattr(calls[1], verb)()
        await engine.skip(timedelta(minutes=1))

        assert [await calls[0].result(), await calls[2].result()] == [1, 301]


@pytest.mark.parametrize("verb", ["kill", "cancel"])
async def test_who_leaves_while_the_batch_runs_takes_nothing_with_it(verb: str) -> None:
    async with TestEngine(mailer := Mailer()) as engine:
        calls = [await engine.send(Mailer.slowly, mail) for mail in "abc"]
        await engine.settle()
        await getattr(calls[0], verb)()
        await engine.skip(timedelta(minutes=1))

        assert mailer.given[0] == mailer.given[-1] == ["a", "b", "c"]  # a replay is given the same
        assert (await calls[0].status(), await calls[1].result(), await calls[2].result()) == ("completed", "b", "c")


def invocation_of(engine: TestEngine, target: str) -> str:
    """The id of the one that is live."""
    rows = [resident.invocation for resident in engine._open.kernel.ledger.invocations.values()]
    [id] = [row.id for row in rows if str(row.request.target) == target and row.outcome is None]
    return write_invocation(id)


@pytest.mark.parametrize(("verb", "says"), [("kill", "killed"), ("cancel", "cancelled")])
@pytest.mark.parametrize("part", ["Mailer/slowly.batch", "Mailer:slowly/gather"])
async def test_the_end_of_a_batch_is_its_members_end(part: str, verb: str, says: str) -> None:
    async with TestEngine(Mailer()) as engine:
        calls = [await engine.send(Mailer.slowly, mail) for mail in "abc"]
        await engine.settle()

        await getattr(engine.invocation(invocation_of(engine, part)), verb)()

        assert [await answer(call.result()) for call in calls] == [(409, says)] * 3


@pytest.mark.parametrize(("verb", "says"), [("kill", "killed"), ("cancel", "cancelled")])
async def test_nobody_joins_a_batch_that_was_stopped_while_it_was_open(verb: str, says: str) -> None:
    async with TestEngine(mailer := Mailer()) as engine:
        early = await engine.send(Mailer.send, "early")
        await engine.settle()
        await getattr(engine.invocation(invocation_of(engine, "Mailer:send/gather")), verb)()
        await engine.settle()
        late = await engine.send(Mailer.send, "late")
        await engine.skip(SECOND)

        assert await answer(early.result()) == (409, says)
        assert (await late.result(), mailer.given) == (4, [["late"]])


# -- crashes


@pytest.mark.parametrize("mails", ["ab", "abc", "abcd"])
async def test_a_crash_at_any_commit_loses_and_doubles_no_member(mails: str) -> None:
    class Post(Service):
        def __init__(self, scene: Scene) -> None:
            self.scene = scene

        @handler(batch=Mailer.send.batch)
        async def send(self, ctx: Context, mails: list[str]) -> list[str]:
            def post() -> None:
                for mail in mails:
                    self.scene.effect("post", key=f"{ctx.invocation_id} {mail}")

            await ctx.run("post", post)
            return [mail.upper() for mail in mails]

    async def scenario(scene: Scene) -> object:
        async with scene.engine(Post(scene)) as engine:
            calls = [await engine.send(Post.send.options(idempotency_key=mail), mail) for mail in mails]
            await engine.skip(SECOND)
            await engine.skip(SECOND)
            return [await call.output() for call in calls]

    assert await crash_everywhere(scenario) >= 8


async def test_a_crash_at_any_commit_keeps_the_sums_of_a_key() -> None:
    async def scenario(scene: Scene) -> object:
        async with scene.engine(Account()) as engine:
            named = [Account.add.options(idempotency_key=str(number)) for number in range(5)]
            calls = [await engine.send(each, "jane", 10**n) for n, each in enumerate(named)]
            await engine.skip(SECOND)
            await engine.skip(SECOND)
            return sorted([await call.output() for call in calls])[-1]

    assert await crash_everywhere(scenario) >= 8


async def test_a_member_waits_for_its_batch_over_a_restart() -> None:
    async with TestEngine(Mailer()) as first:
        call = await first.send(Mailer.send, "abc")
        await first.settle()
    async with TestEngine(mailer := Mailer(), after=first) as second:
        await second.skip(SECOND)

        assert await second.invocation(call.id).result() == 3
        assert mailer.given == [["abc"]]


async def test_recorded_batches_fit_the_code_that_made_them() -> None:
    async with TestEngine(Mailer(), Account()) as engine:
        await engine.call(Mailer.all, ["a", "b", "c"])
        await engine.send(Account.add, "jane", 1)
        await engine.skip(SECOND)

        assert await replay_check(engine, Mailer(), Account()) > 5


async def test_why_a_member_waits() -> None:
    async with TestEngine(Account()) as engine:
        await engine.send(Account.hold, "jane")
        call = await engine.send(Account.add, "jane", 1)
        await engine.skip(SECOND)

        why = str(await call.why())
        assert "Account/jane/add.batch" in why
        assert "Account/jane/hold" in why
