"""What each verb journals, and what its future reads; that a replay issues the same and gives the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest

from durable import (
    Context,
    InvocationCancelledError,
    ObjectContext,
    ObjectSharedContext,
    PayloadError,
    Promise,
    RetryPolicy,
    Service,
    State,
    TerminalError,
    Workflow,
    WorkflowContext,
    gather,
    handler,
    select,
)
from durable.core.entries import Target
from durable.core.outcome import Failure, Success
from durable.machine import Outgoing
from tests.fakes import FakeMachine

if TYPE_CHECKING:
    from typing import Any as Unknown


class Receipt(msgspec.Struct):
    id: str
    total: int


@dataclass
class Parcel:
    weight: float


class Till(Service):
    @handler
    async def pay(self, ctx: Context, amount: int) -> Receipt:
        return Receipt("r", amount)


class Order(Workflow):
    paid = Promise(Receipt)
    note = State(str)

    @handler
    async def run(self, ctx: WorkflowContext) -> None: ...


PAY = Outgoing(Target("Till", "pay"), b"7")
POLICY = RetryPolicy(max_attempts=2)


# -- run


def receipt(total: int) -> Receipt:
    return Receipt("r", total)


async def receipt_soon(total: int) -> Receipt:
    return Receipt("r", total)


def receipt_later(total: int) -> Awaitable[Receipt]:
    return receipt_soon(total)


class Gateway:
    def charge(self, total: int) -> Receipt:
        return Receipt("r", total)

    async def charge_soon(self, total: int) -> Receipt:
        return Receipt("r", total)

    async def __call__(self, total: int) -> Receipt:
        return Receipt("r", total)


ACTIONS: list[Callable[[int], Any]] = [
    receipt,
    receipt_soon,
    receipt_later,
    partial(receipt_soon),
    partial(partial(receipt)),
    Gateway().charge,
    Gateway().charge_soon,
    Gateway(),
    partial(Receipt, "r"),
]


@pytest.mark.parametrize("action", ACTIONS)
async def test_run_takes_whatever_can_be_called_and_reads_what_it_declares(action):
    assert await Context(FakeMachine()).run("charge", action, 7) == Receipt("r", 7)


async def test_run_journals_its_name_and_policy():
    machine = FakeMachine()

    Context(machine).run("charge", receipt, 7, retry=POLICY)

    assert machine.issued == [("run", "charge", POLICY)]


async def test_a_recorded_run_does_not_run_again():
    ran: list[int] = []
    machine = FakeMachine()
    await Context(machine).run("note", ran.append, 1)

    await Context(machine.replay()).run("note", ran.append, 1)

    assert ran == [1]


async def test_live_and_replay_see_the_same_value():
    given = Receipt("r", 7)
    machine = FakeMachine()

    def action() -> Receipt:
        return given

    live = await Context(machine).run("charge", action)
    replayed = await Context(machine.replay()).run("charge", action)

    assert live == replayed == given
    assert live is not given


async def test_a_sync_action_leaves_the_loop_alone():
    ran_in = await Context(FakeMachine()).run("where", threading.get_ident)

    assert ran_in != threading.get_ident()


async def test_an_async_action_runs_on_the_loop():
    async def where() -> int:
        return threading.get_ident()

    assert await Context(FakeMachine()).run("where", where) == threading.get_ident()


async def test_a_lambda_may_return_a_coroutine():
    async def double(number: int) -> int:
        return 2 * number

    assert await Context(FakeMachine()).run("double", lambda: double(21)) == 42


@pytest.mark.parametrize("value", [None, True, 3.5, "x", [1, None], {"a": {"b": []}}])
async def test_an_undeclared_result_may_be_plain_json(value):
    assert await Context(FakeMachine()).run("value", lambda: value) == value


@pytest.mark.parametrize("value", [Receipt("r", 7), Parcel(1.5), (1, 2), {1: "x"}, {1}, b"x", UUID(int=1)])
async def test_an_undeclared_result_that_would_come_back_as_another_is_refused(value):
    with pytest.raises(TerminalError, match=r"'value'.* would come back as plain JSON: .* declare") as got:
        await Context(FakeMachine()).run("value", lambda: value)
    assert got.value.status == 500


async def test_a_result_type_that_is_unknown_at_run_time_is_undeclared():
    def total() -> Unknown: ...

    assert await Context(FakeMachine()).run("total", total) is None


async def test_a_result_that_cannot_be_encoded_names_the_step():
    with pytest.raises(TerminalError, match=r"the result of step 'odd' in Fake.handler cannot be encoded"):
        await Context(FakeMachine()).run("odd", object)


async def test_a_terminal_error_of_an_action_is_recorded():
    def decline() -> None:
        raise TerminalError("declined", status=402)

    machine = FakeMachine()
    with pytest.raises(TerminalError, match="declined"):
        await Context(machine).run("charge", decline)

    assert machine.outcome(1) == Failure(402, "declined")


async def test_any_other_error_of_an_action_is_the_machines_to_judge():
    def fail() -> None:
        raise ConnectionError("down")

    with pytest.raises(ConnectionError):
        await Context(FakeMachine()).run("charge", fail)


USES: list[Callable[[ObjectContext], object]] = [
    lambda ctx: ctx.sleep(timedelta(1)),
    lambda ctx: ctx.call(Till.pay, 7),
    lambda ctx: ctx.run("inner", receipt, 7),
    lambda ctx: ctx.set(Order.note, "x"),
    lambda ctx: ctx.random,
    lambda ctx: ctx.uuid(),
]


@pytest.mark.parametrize("use", USES)
async def test_a_step_cannot_use_its_own_context(use):
    machine = FakeMachine()
    ctx = ObjectContext(machine)

    with pytest.raises(RuntimeError, match=r"ctx was used inside ctx.run\('outer'\), whose body does not run again"):
        await ctx.run("outer", use, ctx)

    assert machine.issued == [("run", "outer", None)]


async def test_a_step_cannot_wait_for_its_own_invocation():
    ctx = Context(FakeMachine())
    pause = ctx.sleep(timedelta(1))

    async def wait() -> None:
        await pause

    with pytest.raises(RuntimeError, match=r"ctx was used inside ctx.run\('outer'\)"):
        await ctx.run("outer", wait)


async def test_a_step_may_ask_who_it_works_for():
    ctx = ObjectContext(FakeMachine(key="alice", identity="a"))

    def about() -> list[str | None]:
        return [ctx.key, ctx.identity, ctx.invocation_id]

    assert await ctx.run("about", about) == ["alice", "a", "inv_1fake"]


async def test_a_step_may_start_another_invocation_in_this_process():
    outer, inner = Context(FakeMachine()), Context(FakeMachine())

    async def nested() -> UUID:
        return await asyncio.ensure_future(inner.run("inner", inner_id))

    async def inner_id() -> UUID:
        return UUID(int=7)

    assert await outer.run("outer", nested) == UUID(int=7)


def test_run_without_a_name_is_told_so():
    unchecked: Any = Context(FakeMachine()).run
    with pytest.raises(TypeError, match=r"the first argument of ctx.run, the name of the step, is a str"):
        unchecked(receipt, 7)


# -- calls


async def test_call_reads_the_declared_output():
    machine = FakeMachine()
    future = Context(machine).call(Till.pay, 7)
    machine.answer(1, b'{"id":"r","total":7}')

    assert await future == Receipt("r", 7)
    assert machine.issued == [("call", PAY)]
    assert future.invocation_id == "inv_1callee1"


async def test_the_failure_of_a_callee_is_raised():
    machine = FakeMachine()
    machine.fail(1, "no money", 402)

    with pytest.raises(TerminalError, match="no money") as got:
        await Context(machine).call(Till.pay, 7)
    assert got.value.status == 402


def test_a_call_can_be_cancelled():
    machine = FakeMachine()

    Context(machine).call(Till.pay, 7).cancel()

    assert machine.issued[1:] == [("cancel", "inv_1callee1")]


def test_send_and_send_later_give_the_id_at_once():
    machine = FakeMachine()
    ctx = Context(machine)

    first, second = ctx.send(Till.pay, 7), ctx.send_later(timedelta(1), Till.pay, 7)
    second.cancel()

    assert (first.id, second.id) == ("inv_1callee1", "inv_1callee2")
    assert machine.issued == [("send", PAY, None), ("send", PAY, timedelta(1)), ("cancel", "inv_1callee2")]


def test_a_method_of_an_instance_is_no_reference():
    unchecked: Any = Context(FakeMachine()).call
    with pytest.raises(TypeError, match=r"is not a handler; name one by its class"):
        unchecked(Till().pay, 7)


async def test_attach_reads_what_it_is_told():
    machine = FakeMachine()
    machine.answer(1, b"7")

    assert await Context(machine).attach("inv_1x", int) == 7
    assert machine.issued == [("attach", "inv_1x")]


# -- time and chance


async def test_sleep_waits_for_the_timer():
    machine = FakeMachine()
    machine.answer(1)

    await Context(machine).sleep(timedelta(seconds=5))

    assert machine.issued == [("sleep", timedelta(seconds=5))]


def test_a_duration_without_a_unit_is_refused():
    unchecked: Any = Context(FakeMachine())
    with pytest.raises(TypeError, match=r"a sleep is a timedelta, got 5; write timedelta\(seconds=5\)"):
        unchecked.sleep(5)
    with pytest.raises(TypeError, match="a delay is a timedelta"):
        unchecked.send_later(5, Till.pay, 7)


@pytest.mark.parametrize("duration", [timedelta(seconds=-1), timedelta.max])
def test_a_duration_out_of_range_is_refused(duration):
    with pytest.raises(ValueError, match="a sleep is between zero and ten years"):
        Context(FakeMachine()).sleep(duration)


async def test_now_is_the_machines():
    assert await Context(FakeMachine()).now() == datetime(2030, 1, 1, tzinfo=UTC)


def test_random_and_uuid_are_the_same_on_every_attempt():
    first, second = Context(FakeMachine()), Context(FakeMachine())

    assert (first.random.random(), first.uuid()) == (second.random.random(), second.uuid())
    assert first.uuid() != first.uuid()
    assert first.uuid().version == 4


# -- awakeables and signals


async def test_an_awakeable_has_an_id_and_a_type():
    machine = FakeMachine()
    payment = Context(machine).awakeable(Receipt)
    machine.answer(1, b'{"id":"r","total":7}')

    assert payment.id == "sign_1fake1"
    assert await payment == Receipt("r", 7)


async def test_a_value_of_another_type_names_itself():
    machine = FakeMachine()
    machine.answer(1, b'"oops"')

    with pytest.raises(
        PayloadError, match=r"the value of an awakeable in Fake\.handler does not decode: Expected `object`"
    ):
        await Context(machine).awakeable(Receipt)


def test_awakeables_are_completed_by_id():
    machine = FakeMachine()
    ctx = Context(machine)

    ctx.resolve_awakeable("sign_1x", Receipt("r", 7))
    ctx.reject_awakeable("sign_1x", "no")

    assert machine.issued == [
        ("complete_awakeable", "sign_1x", Success(b'{"id":"r","total":7}')),
        ("complete_awakeable", "sign_1x", Failure(500, "no")),
    ]


async def test_signals_are_sent_and_awaited_by_name():
    machine = FakeMachine()
    ctx = Context(machine)
    machine.answer(2, b"7")

    ctx.send_signal("inv_1x", "go", 7)

    assert await ctx.signal("go", int) == 7
    assert machine.issued == [("send_signal", "inv_1x", "go", Success(b"7")), ("signal", "go")]


async def test_a_signal_can_bring_a_failure():
    machine = FakeMachine()

    Context(machine).reject_signal("inv_1x", "go", "no")

    assert machine.issued == [("send_signal", "inv_1x", "go", Failure(500, "no"))]


# -- state


async def test_get_reads_the_value_or_the_default():
    assert await ObjectSharedContext(FakeMachine()).get(Order.note) is None
    assert await ObjectSharedContext(FakeMachine(state={"note": b'"x"'})).get(Order.note) == "x"


async def test_a_read_keeps_what_it_saw():
    ctx = ObjectContext(FakeMachine(state={"note": b'"before"'}))

    seen = ctx.get(Order.note)
    ctx.set(Order.note, "after")

    assert await seen == "before"


async def test_set_clear_and_clear_all_write_at_once():
    machine = FakeMachine(state={"other": b"1"})
    ctx = WorkflowContext(machine)

    ctx.set(Order.note, "x")
    assert await ctx.state_keys() == ["note", "other"]
    ctx.clear(Order.note)
    assert await ctx.state_keys() == ["other"]
    ctx.clear_all()
    assert await ctx.state_keys() == []


def test_a_state_that_cannot_be_encoded_writes_nothing():
    machine = FakeMachine()
    unchecked: Any = ObjectContext(machine).set

    with pytest.raises(PayloadError, match=r"state Order.note in Fake.handler cannot be encoded: .* at `\$\[0\]`"):
        unchecked(Order.note, [object()])

    assert machine.issued == []


# -- promises


async def test_a_promise_is_asked_for_when_it_is_awaited_and_once():
    machine = FakeMachine()
    promise = WorkflowContext(machine).promise(Order.paid)
    assert machine.issued == []
    machine.answer(1, b'{"id":"r","total":7}')

    assert await promise == await promise == Receipt("r", 7)
    assert machine.issued == [("promise", "paid")]


async def test_a_promise_is_asked_for_when_it_is_combined():
    machine = FakeMachine()
    ctx = WorkflowContext(machine)

    gather(ctx.promise(Order.paid), ctx.promise(Order.paid).or_timeout(timedelta(1)))

    assert machine.issued == [("promise", "paid"), ("sleep", timedelta(1)), ("promise", "paid")]


async def test_a_combined_promise_keeps_its_type():
    machine = FakeMachine()
    machine.answer(1, b'{"id":"r","total":7}')

    assert await select(paid=WorkflowContext(machine).promise(Order.paid)) == ("paid", Receipt("r", 7))


async def test_a_rejected_promise_is_raised():
    machine = FakeMachine()
    machine.fail(1, "not today", 403)

    with pytest.raises(TerminalError, match="not today") as got:
        await WorkflowContext(machine).promise(Order.paid)
    assert got.value.status == 403


@pytest.mark.parametrize(("value", "seen"), [(None, None), (b'{"id":"r","total":7}', Receipt("r", 7))])
async def test_peek_does_not_wait(value, seen):
    machine = FakeMachine()
    machine.answer(1, value)

    assert await WorkflowContext(machine).promise(Order.paid).peek() == seen
    assert machine.issued == [("peek_promise", "paid")]


async def test_resolve_and_reject_complete_it_without_waiting_for_it():
    machine = FakeMachine()
    promise = WorkflowContext(machine).promise(Order.paid)
    machine.answer(1)
    machine.answer(2)

    await promise.resolve(Receipt("r", 7))
    await promise.reject("no", status=403)

    assert machine.issued == [
        ("complete_promise", "paid", Success(b'{"id":"r","total":7}')),
        ("complete_promise", "paid", Failure(403, "no")),
    ]


async def test_a_second_completion_is_a_conflict():
    machine = FakeMachine()
    machine.fail(1, "promise was already completed", 409)

    with pytest.raises(TerminalError, match="already completed"):
        await WorkflowContext(machine).promise(Order.paid).resolve(Receipt("r", 7))


# -- the invocation itself


def test_the_context_tells_about_its_invocation():
    ctx = ObjectSharedContext(FakeMachine(key="alice", identity="a"))

    assert (ctx.key, ctx.identity, ctx.invocation_id, ctx.headers) == ("alice", "a", "inv_1fake", {"x-test": "yes"})


async def test_a_cancellation_is_raised_where_the_handler_waits():
    machine = FakeMachine()
    waiting = asyncio.ensure_future(Context(machine).sleep(timedelta(1)))
    await asyncio.sleep(0)

    machine.request_cancel()

    with pytest.raises(InvocationCancelledError):
        await waiting
