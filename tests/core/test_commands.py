"""What each command of a handler does, beside standing in its journal."""

import pytest

from durable.core import commands, lifecycle
from durable.core.entries import (
    AnyCommand,
    Attach,
    Call,
    ClearAllState,
    ClearState,
    CompleteAwakeable,
    Completed,
    CompletePromise,
    Control,
    GetOutput,
    GetPromise,
    GetState,
    GetStateKeys,
    Now,
    PeekPromise,
    Run,
    Send,
    SendSignal,
    SetState,
    Signalled,
    Sleep,
    Target,
)
from durable.core.ids import CANCEL, InvocationId
from durable.core.invocation import Caller, Status, Timer
from durable.core.ledger import Done, Ledger, Resident, Start, Wake
from durable.core.outcome import Failure, Success
from tests.core.bench import ADD, APPROVE, MAIL, NOW, ORDER, a_ledger, accept, effects, id_of, instance_of, settled

OK = Success(b"1")
GONE = Failure(404, "not found")
NOWHERE = Target("Nowhere", "at_all")
CART, SEVEN = ("Cart", "mary"), ("Order", "7")


@pytest.fixture
def ledger() -> Ledger:
    return a_ledger()


@pytest.fixture
def caller(ledger: Ledger) -> Resident:
    """The invocation with number 1, whose handler asks."""
    resident = accept(ledger, ORDER, identity="mary", version="v1")
    instance_of(ledger, ADD)
    settled(ledger)
    return resident


def ask(ledger: Ledger, resident: Resident, *asked: AnyCommand) -> None:
    for command in asked:
        commands.apply(ledger, resident, command, NOW)


def call(target: Target = MAIL, id: InvocationId | None = None, *, payload: bytes = b"{}", completion: int = 1) -> Call:
    return Call(completion, target, payload, {"a": "b"}, "once" if id else None, id or id_of(2))


def send(target: Target = MAIL, *, due_ms: int | None = None) -> Send:
    return Send(target, b"hi", {}, None, id_of(2), due_ms)


@pytest.mark.parametrize("command", [Run(1, "charge"), GetState("a", None, 0), GetStateKeys([], 0), Now(NOW, 0)])
def test_a_command_that_reaches_nobody_is_only_recorded(ledger: Ledger, caller: Resident, command: AnyCommand) -> None:
    ask(ledger, caller, command)

    assert ledger.commit.entries == {1: (0, [command])}
    assert effects(ledger) == []
    assert not ledger.commit.changed


def test_a_sleep_arms_a_timer(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, Sleep(1, NOW + 5))

    assert ledger.commit.timers == {Timer(NOW + 5, 1, 1): True}


# Calls


def test_a_call_accepts_the_callee_in_the_callers_commit(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, call())

    callee = ledger.invocations[id_of(2)]
    assert ledger.commit.accepted == {2: callee.invocation}
    assert ledger.commit.entries == {1: (0, [call()])}
    assert effects(ledger) == [Start(callee)]


def test_a_callee_knows_who_calls_and_inherits_identity_and_version(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, call())

    request = ledger.invocations[id_of(2)].invocation.request
    assert request.caller == Caller(id_of(1), 1)
    assert (request.identity, request.version, request.headers) == ("mary", "v1", {"a": "b"})


def test_a_call_of_nobody_is_answered_with_404(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, call(NOWHERE))

    assert caller.entries[-1] == Completed(1, Failure(404, "there is no handler Nowhere/at_all in this engine"))
    assert ledger.commit.accepted == {}


def test_a_call_with_a_known_idempotency_key_attaches(ledger: Ledger, caller: Resident) -> None:
    known = accept(ledger)
    settled(ledger)

    ask(ledger, caller, call(MAIL, id_of(2)))
    assert (known.waiters, ledger.commit.accepted) == ([Caller(id_of(1), 1)], {})
    lifecycle.complete(ledger, known, OK, NOW)

    assert caller.entries[-1] == Completed(1, OK)


def test_a_call_with_a_known_idempotency_key_and_another_input_is_refused(ledger: Ledger, caller: Resident) -> None:
    known = accept(ledger)

    ask(ledger, caller, call(MAIL, id_of(2), payload=b"[]"))

    assert caller.entries[-1] == Completed(1, lifecycle.DIFFERENT_REQUEST)
    assert known.waiters == []


def test_a_call_of_what_is_damaged_is_answered_at_once(ledger: Ledger, caller: Resident) -> None:
    ledger.damaged[id_of(2)] = "a flipped bit"

    ask(ledger, caller, call(MAIL, id_of(2)), Attach(2, id_of(2)), Control(3, "kill", id_of(2), 0, id_of(3)), send())

    refused = Failure(500, "a flipped bit")
    assert caller.entries[1:6:2] == [Completed(1, refused), Completed(2, refused), Completed(3, refused)]
    assert ledger.commit.accepted == {}


def test_a_call_that_would_wait_for_what_is_damaged_is_answered_at_once(ledger: Ledger, caller: Resident) -> None:
    holder = accept(ledger, ADD)
    ledger.damaged[holder.invocation.id] = "a flipped bit"
    settled(ledger)

    ask(ledger, caller, call(ADD, id_of(9)))

    assert caller.entries[-1] == Completed(1, Failure(500, "the key Cart/mary is not free: a flipped bit"))
    assert ledger.commit.accepted == {}


def test_a_workflow_that_ran_before_is_not_called_again(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, call(ORDER, id_of(1)))

    assert caller.entries[-1] == Completed(1, lifecycle.ALREADY_INVOKED)


def test_a_call_that_would_wait_for_its_own_caller_is_answered_at_once(ledger: Ledger, caller: Resident) -> None:
    holder = accept(ledger, ADD)
    ledger.append(holder, Attach(1, caller.invocation.id))

    ask(ledger, caller, call(ADD, id_of(60)))

    answer = caller.entries[-1]
    assert isinstance(answer, Completed)
    assert isinstance(answer.outcome, Failure)
    assert (answer.outcome.status, answer.outcome.message.split(":")[0]) == (409, "deadlock")
    assert not ledger.has(id_of(60))


def test_doing_something_to_another_needs_what_a_person_needs(ledger: Ledger, caller: Resident) -> None:
    other = accept(ledger, ADD)

    needed = list(commands.needs(ledger, caller, Control(1, "purge", other.invocation.id, 0, id_of(9))))

    assert {other.invocation.id, CART} <= {*needed}


def test_calling_needs_what_accepting_needs(ledger: Ledger, caller: Resident) -> None:
    assert list(commands.needs(ledger, caller, call(ADD))) == [CART]
    assert list(commands.needs(ledger, caller, call(MAIL, id_of(2)))) == [id_of(2)]
    assert list(commands.needs(ledger, caller, call(NOWHERE))) == []


# Sends


def test_a_send_has_no_caller(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, send())

    sent = ledger.invocations[id_of(2)]
    assert sent.invocation.request.caller is None
    assert effects(ledger) == [Start(sent)]


def test_a_send_for_later_is_scheduled(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, send(due_ms=NOW + 5))

    assert ledger.invocations[id_of(2)].invocation.status is Status.SCHEDULED
    assert effects(ledger) == []


def test_a_send_of_what_was_accepted_before_changes_nothing(ledger: Ledger, caller: Resident) -> None:
    accept(ledger)
    settled(ledger)

    ask(ledger, caller, send())

    assert ledger.commit.accepted == {}
    assert effects(ledger) == []


def test_a_send_to_nobody_is_only_recorded(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, send(NOWHERE))

    assert caller.entries == [send(NOWHERE)]
    assert ledger.commit.accepted == {}


# Attach


def test_attaching_waits_for_the_outcome(ledger: Ledger, caller: Resident) -> None:
    awaited = accept(ledger)
    settled(ledger)

    ask(ledger, caller, Attach(1, id_of(2)))
    assert effects(ledger) == []
    lifecycle.complete(ledger, awaited, OK, NOW)

    assert effects(ledger) == [Done(awaited), Wake(caller, Completed(1, OK))]


def test_attaching_to_what_has_completed_is_answered_at_once(ledger: Ledger, caller: Resident) -> None:
    lifecycle.complete(ledger, accept(ledger), OK, NOW)
    settled(ledger)

    ask(ledger, caller, Attach(1, id_of(2)))

    assert caller.entries == [Attach(1, id_of(2)), Completed(1, OK)]


def test_attaching_to_nothing_is_answered_with_404(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, Attach(1, id_of(2)))

    assert caller.entries[-1] == Completed(1, GONE)


def test_attaching_to_oneself_leaves_nothing_behind(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, Attach(1, id_of(1)))

    lifecycle.complete(ledger, caller, OK, NOW)

    assert effects(ledger)[-1] == Done(caller)
    assert ledger.commit.waiters == {}


def test_an_output_is_answered_at_once(ledger: Ledger, caller: Resident) -> None:
    running = accept(ledger, ADD)
    done = accept(ledger, MAIL)
    lifecycle.complete(ledger, done, OK, NOW)

    assert list(commands.needs(ledger, caller, GetOutput(1, id_of(2)))) == [id_of(2)]
    for completion, asked in enumerate((running.invocation.id, done.invocation.id, id_of(99)), 1):
        ask(ledger, caller, GetOutput(completion, asked))

    answers = [entry.outcome for entry in caller.entries if isinstance(entry, Completed)]
    assert answers == [Success(None), OK, lifecycle.NOT_FOUND]


# Signals


def test_a_completed_awakeable_wakes_its_owner(ledger: Ledger, caller: Resident) -> None:
    owner = accept(ledger)
    settled(ledger)

    ask(ledger, caller, CompleteAwakeable(id_of(2), 17, OK, NOW))

    assert effects(ledger) == [Wake(owner, Signalled(17, OK))]


def test_a_signal_to_nobody_is_only_recorded(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, SendSignal(id_of(2), "go", OK))

    assert ledger.commit.entries == {1: (0, [SendSignal(id_of(2), "go", OK)])}
    assert effects(ledger) == []


def test_a_cancelled_call_that_never_started_answers_its_caller(ledger: Ledger, caller: Resident) -> None:
    accept(ledger, ADD)
    callee = Call(1, ADD, b"{}", {}, None, id_of(3))

    ask(ledger, caller, callee, SendSignal(id_of(3), CANCEL, Success()))

    assert caller.entries[-1] == Completed(1, Failure(409, "cancelled"))


def test_signalling_needs_the_target_and_then_what_it_needs(ledger: Ledger, caller: Resident) -> None:
    cancel = SendSignal(id_of(2), CANCEL, Success())
    assert list(commands.needs(ledger, caller, cancel)) == [id_of(2)]

    accept(ledger, ADD, due_ms=NOW + 5)

    assert list(commands.needs(ledger, caller, cancel)) == [id_of(2), CART]


def test_attaching_needs_the_target(ledger: Ledger, caller: Resident) -> None:
    assert list(commands.needs(ledger, caller, Attach(1, id_of(2)))) == [id_of(2)]


@pytest.mark.parametrize("command", [Run(1, "charge"), SetState("items", b"1"), GetPromise(1, "paid"), Sleep(1, NOW)])
def test_most_commands_need_nothing(ledger: Ledger, caller: Resident, command: AnyCommand) -> None:
    assert list(commands.needs(ledger, caller, command)) == []


# State


def test_state_is_written_with_the_command(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, SetState("a", b"1"), SetState("b", b"2"), ClearState("a"))

    assert ledger.instances[SEVEN].state == {"b": b"2"}
    assert ledger.commit.state == {(*SEVEN, "a"): None, (*SEVEN, "b"): b"2"}


def test_clearing_all_clears_every_name(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, SetState("a", b"1"), SetState("b", b"2"), ClearAllState(), SetState("c", b"3"))

    assert ledger.instances[SEVEN].state == {"c": b"3"}
    assert ledger.commit.state == {(*SEVEN, "a"): None, (*SEVEN, "b"): None, (*SEVEN, "c"): b"3"}


# Promises


def test_a_promise_that_is_not_completed_is_waited_for(ledger: Ledger, caller: Resident) -> None:
    other = accept(ledger, APPROVE)
    ask(ledger, caller, GetPromise(1, "approved"))
    settled(ledger)

    ask(ledger, other, CompletePromise(1, "approved", OK))

    assert effects(ledger) == [Wake(caller, Completed(1, OK)), Wake(other, Completed(1, Success(b"")))]
    assert ledger.commit.listeners == {(*SEVEN, "approved", Caller(id_of(1), 1)): False}
    assert ledger.instances[SEVEN].listeners == {}


@pytest.mark.parametrize("command", [GetPromise(2, "approved"), PeekPromise(2, "approved")])
def test_a_promise_that_is_completed_answers_at_once(ledger: Ledger, caller: Resident, command: AnyCommand) -> None:
    ask(ledger, caller, CompletePromise(1, "approved", OK))

    ask(ledger, caller, command)

    assert caller.entries[-1] == Completed(2, OK)
    assert ledger.commit.listeners == {}


def test_a_peek_at_a_promise_that_is_not_completed_finds_nothing(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, PeekPromise(1, "approved"))

    assert caller.entries[-1] == Completed(1, Success(None))
    assert ledger.commit.listeners == {}


def test_the_first_completion_of_a_promise_counts(ledger: Ledger, caller: Resident) -> None:
    ask(ledger, caller, CompletePromise(1, "approved", OK), CompletePromise(2, "approved", Failure(409, "no")))

    assert caller.entries[-1] == Completed(2, commands.PROMISE_COMPLETED)
    assert ledger.instances[SEVEN].promises == {"approved": OK}
    assert ledger.commit.promises == {(*SEVEN, "approved"): OK}


def test_every_listener_of_a_promise_hears_its_failure(ledger: Ledger, caller: Resident) -> None:
    others = [accept(ledger, APPROVE), accept(ledger, APPROVE)]
    for other in others:
        ask(ledger, other, GetPromise(1, "approved"))
    refused = Failure(403, "refused")

    ask(ledger, caller, CompletePromise(1, "approved", refused))

    assert [other.entries[-1] for other in others] == [Completed(1, refused)] * 2


def test_a_listener_that_did_not_ask_hears_nothing(ledger: Ledger, caller: Resident) -> None:
    # Its row has no checksum.
    other = accept(ledger, APPROVE)
    ask(ledger, other, Run(1, "charge"), GetPromise(2, "shipped"))
    for completion in (1, 2, 3):
        ledger.listen(ledger.instances[SEVEN], "approved", Caller(other.invocation.id, completion), wanted=True)
    settled(ledger)

    ask(ledger, caller, CompletePromise(1, "approved", OK))

    assert effects(ledger) == [Wake(caller, Completed(1, Success(b"")))]
    assert "approved" not in ledger.instances[SEVEN].listeners


def test_completing_a_promise_needs_its_listeners(ledger: Ledger, caller: Resident) -> None:
    command = CompletePromise(2, "approved", OK)
    assert list(commands.needs(ledger, caller, command)) == []

    ask(ledger, caller, GetPromise(1, "approved"), GetPromise(3, "another"))

    assert list(commands.needs(ledger, caller, command)) == [id_of(1)]
