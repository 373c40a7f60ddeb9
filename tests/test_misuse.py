"""What is said to who uses the API in a way that no type allows, and that nothing else comes of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from durable import (
    Context,
    Engine,
    ObjectContext,
    ObjectSharedContext,
    Options,
    PayloadError,
    Promise,
    Saga,
    Service,
    State,
    TerminalError,
    VirtualObject,
    Workflow,
    WorkflowContext,
    WorkflowSharedContext,
    gather,
    handler,
    select,
)
from durable.context import Context as AnyContext
from durable.core.ids import InvocationId, write_invocation
from durable.errors import BadIdError, InvocationNotFoundError
from durable.service import handlers_of
from durable.testing import TestEngine
from tests.fakes import FakeMachine

UNKNOWN = write_invocation(InvocationId(bytes(16)))
NOT_FOUND = f"^invocation {UNKNOWN} not found: it was never accepted here, or is forgotten: purged, .*, or past its"


class Greeter(Service):
    @handler
    async def greet(self, ctx: Context, name: str) -> str:
        return f"Hello, {name}!"


class Basket(VirtualObject):
    total = State(int, default=int)
    note = State(str)
    maybe = State(str | None, default=lambda: "none yet")
    raw = State(bytes)

    @handler
    async def look(self, ctx: ObjectSharedContext) -> int:
        return await ctx.get(self.total)

    @handler
    async def add(self, ctx: ObjectContext) -> None: ...


class Order(Workflow):
    paid = Promise(bool)

    @handler
    async def run(self, ctx: WorkflowContext) -> None: ...


# What the type checkers would refuse.
greet: Any = Greeter.greet
declare: Any = State
decorate: Any = handler
engine_of: Any = Engine


def in_a(context: type[AnyContext], machine: FakeMachine | None = None) -> Any:
    return context(machine or FakeMachine())


async def work() -> int:
    return 1


# -- what is handed over


MISTAKES: list[tuple[Callable[[Any], object], str]] = [
    (
        lambda ctx: ctx.run("charge", work()),
        r"^ctx.run\('charge'\) was given the coroutine work\(\), which is no function to call; "
        r"hand it over uncalled, with its arguments: ctx.run\(name, function, \*arguments\)$",
    ),
    (lambda ctx: ctx.run("charge", 7), r"^ctx.run\('charge'\) was given 7, which is no function"),
    (lambda ctx: ctx.run("greet", Greeter.greet, "a"), r"was given <handler Greeter.greet>, which is no function"),
    (lambda ctx: ctx.run("greet", ctx.now()), "was given <durable.futures.Journaled object .*, which is no function"),
    (lambda ctx: ctx.run("charge", work, retry=3), "^retry is a RetryPolicy, got 3; write retry=RetryPolicy"),
    (lambda ctx: ctx.call("Greeter.greet", "a"), "^'Greeter.greet' is not a handler; name one by its class, as in"),
    (lambda ctx: ctx.call(Greeter, "a"), "Greeter'> is not a handler; name one by its class"),
    (lambda ctx: ctx.send(work()), r"^the coroutine work\(\) is not a handler; name one by its class"),
    (lambda ctx: ctx.get("total"), r"^'total' is no State; declare one in the body of a class: `paid = State\(bool\)`"),
    (lambda ctx: ctx.get(Order.paid), "Promise object .* is no State; declare one"),
    (lambda ctx: ctx.set("total", 1), "^'total' is no State"),
    (lambda ctx: ctx.clear("total"), "^'total' is no State"),
    (lambda ctx: ctx.promise("paid"), "^'paid' is no Promise; declare one in the body of a class"),
    (
        lambda ctx: ctx.set(State(int), 1),
        r"^this State has no name: declare it in the body of a class",
    ),
    (lambda ctx: ctx.get(State(int)), "^this State has no name"),
    (lambda ctx: ctx.promise(Promise(int)), r"^this Promise has no name: .*, as in `paid = Promise\(bool\)`, or"),
    (lambda ctx: ctx.restart(UNKNOWN, from_entry="1"), "^from_entry is the number of a journal entry, got '1'"),
    (lambda ctx: ctx.restart(UNKNOWN, from_entry=1 << 70), "^from_entry is the number of a journal entry, got 118"),
    (
        lambda ctx: gather([ctx.now()]),
        r"^gather\(\) takes futures one by one, not a collection; write gather\(\*fu",
    ),
    (
        lambda ctx: gather(ctx.now(), work()),
        r"^gather\(\) was given the coroutine work\(\), whose order a",
    ),
    (lambda ctx: select(a=7), r"^select\(\) was given 7, whose order a replay cannot know"),
    (
        lambda ctx: Saga().undo(work()),
        r"^saga.undo was given the coroutine work\(\), which is no function to call later; "
        r"write saga.undo\(lambda: ctx.run\(name, function, \*arguments\)\)$",
    ),
    (lambda ctx: Saga().undo(ctx.now()), "^saga.undo was given <durable.futures.Journaled .*, which is no function"),
    (
        lambda ctx: greet(ctx, "a"),
        r"^Greeter.greet is a reference, and is not called itself; "
        r"write ctx.call\(Greeter.greet, ...\) in a handler, engine.call\(Greeter.greet, ...\) outside$",
    ),
]


@pytest.mark.parametrize(("mistake", "says"), MISTAKES)
async def test_what_is_no_such_thing_is_refused_and_journals_nothing(
    mistake: Callable[[Any], object], says: str
) -> None:
    machine = FakeMachine()

    with pytest.raises(TypeError, match=says):
        mistake(WorkflowContext(machine))

    assert {command for command, *_ in machine.issued} <= {"now"}


async def test_awaiting_a_handler_says_how_to_call_it() -> None:
    with pytest.raises(TypeError, match=r"^Greeter.greet was not called; write await ctx.call\(Greeter.greet, ...\)$"):
        await greet


async def test_an_undo_step_that_returns_nothing_to_await_is_told() -> None:
    async def leave() -> None:
        saga: Any = Saga()
        async with saga:
            saga.undo(lambda: None)
            raise TerminalError("declined")

    with pytest.raises(TypeError, match=r"^an undo step returned None, which cannot be awaited; let"):
        await leave()


@pytest.mark.parametrize(
    ("context", "name", "says"),
    [
        (
            ObjectSharedContext,
            "set",
            "ObjectSharedContext has no 'set': only an ObjectContext or a Workflow",
        ),
        (WorkflowSharedContext, "clear_all", "only an ObjectContext or a WorkflowContext has"),
        (Context, "get", "Context has no 'get': only a context of a VirtualObject or a Workflow has"),
        (Context, "key", "only a context of a VirtualObject or a Workflow has"),
        (ObjectContext, "promise", "ObjectContext has no 'promise': only a context of a Workflow has"),
        (Context, "slep", "^Context has no 'slep'$"),
    ],
)
def test_what_another_context_has_is_told(context: type[AnyContext], name: str, says: str) -> None:
    with pytest.raises(AttributeError, match=says):
        getattr(in_a(context), name)


def test_the_headers_of_the_request_cannot_be_changed() -> None:
    ctx = in_a(Context)

    ctx.headers["x-test"] = "no"

    assert ctx.headers == {"x-test": "yes"}


# -- values of another type than was declared


@pytest.mark.parametrize(
    ("state", "value", "says"),
    [
        (Basket.total, "x", "not the int that was declared, but of type str: Expected `int`, got `str`"),
        (Basket.total, None, "not the int that was declared, but of type NoneType"),
        (Basket.note, 7, "not the str that was declared, but of type int"),
        (Basket.note, object(), "an object of type object has no JSON"),
        (Basket.raw, "x", "not the bytes that was declared, but of type str"),
    ],
)
def test_a_state_of_another_type_is_not_set(state: State[Any], value: object, says: str) -> None:
    machine = FakeMachine()

    with pytest.raises(PayloadError, match=rf"^state Basket\.{state.name} in Fake\.handler .*{says}") as error:
        ObjectContext(machine).set(state, value)

    assert error.value.status == 500
    assert machine.issued == []


@pytest.mark.parametrize("state", [Basket.note, Basket.raw])
async def test_a_state_without_a_default_is_cleared_by_none(state: State[Any]) -> None:
    machine = FakeMachine()
    ctx = ObjectContext(machine)
    ctx.set(state, b"x" if state is Basket.raw else "x")

    ctx.set(state, None)

    assert machine.issued[-1] == ("clear", state.name)
    assert await ctx.get(state) is None


async def test_a_state_that_may_be_none_is_set_to_it() -> None:
    ctx = ObjectContext(FakeMachine())
    assert await ctx.get(Basket.maybe) == "none yet"

    ctx.set(Basket.maybe, None)

    assert await ctx.get(Basket.maybe) is None
    assert await ctx.state_keys() == ["maybe"]


def test_a_promise_of_another_type_is_not_resolved() -> None:
    machine = FakeMachine()
    promise: Any = WorkflowContext(machine).promise(Order.paid)

    with pytest.raises(PayloadError, match=r"^promise Order\.paid in Fake\.handler is not the bool .* of type str"):
        promise.resolve("yes")

    assert machine.issued == []


@pytest.mark.parametrize(
    ("send", "says"),
    [
        (
            lambda ctx, value: ctx.resolve_awakeable("sign_1x", value),
            "^the value that Fake.handler has for an awake.*",
        ),
        (lambda ctx, value: ctx.send_signal("inv_1x", "go", value), "^signal 'go', sent by Fake.handler,"),
        (lambda ctx, value: ctx.call(Greeter.greet, value), "^the input of Greeter.greet"),
        (lambda ctx, value: ctx.send_later(timedelta(1), Greeter.greet, value), "^the input of Greeter.greet"),
        (lambda ctx, value: ctx.promise(Order.paid).resolve(value), "^promise Order.paid in Fake.handler"),
    ],
)
def test_what_cannot_be_encoded_names_the_handler_and_the_field(send: Callable[..., object], says: str) -> None:
    machine = FakeMachine()

    with pytest.raises(PayloadError, match=rf"{says} cannot be encoded: .* - at `\$\.items\[1\]\.owner`$"):
        send(WorkflowContext(machine), {"items": [{}, {"owner": object()}]})

    assert machine.issued == []


class Wrong(Service):
    @handler
    async def number(self, ctx: Context) -> int:
        text: Any = "x"
        return text

    @handler
    async def future(self, ctx: Context) -> Any:
        return {"greeting": ctx.call(Greeter.greet, "a")}

    @handler
    async def coroutine(self, ctx: Context) -> Any:
        return work()

    @handler
    async def nothing(self, ctx: Context) -> None:
        await work()


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (Wrong.number, "the output of Wrong.number is not the int that was declared, but of type str: Expected `int`"),
        (
            Wrong.future,
            r"the output of Wrong.future cannot be encoded: a CallFuture was not awaited; did you forget "
            r"`await`\? - at `\$.greeting`",
        ),
        (Wrong.coroutine, r"the coroutine work\(\) was not awaited; did you forget `await`\?"),
    ],
    ids=str,
)
async def test_an_output_that_nobody_could_read_is_the_handlers_failure(reference: Any, says: str) -> None:
    async with TestEngine(Wrong(), Greeter()) as engine:
        with pytest.raises(TerminalError, match=says) as error:
            await engine.call(reference)

        assert error.value.status == 500
        assert await engine.call(Wrong.nothing) is None


# -- declarations


@pytest.mark.parametrize(
    ("default", "says"),
    [(0, "got 0; write default=lambda: 0$"), ([], r"got \[\]; write default=lambda: \[\]$")],
)
def test_a_default_that_makes_nothing_is_refused(default: object, says: str) -> None:
    with pytest.raises(TypeError, match=f"^the default of a State is a function that makes one, {says}"):
        declare(int, default=default)


def test_a_state_has_one_name() -> None:
    shared = State(int)

    with pytest.raises(TypeError, match=r"second is state Twice\.first again; declare another one"):
        type("Twice", (VirtualObject,), {"first": shared, "second": shared})


def test_an_inherited_state_keeps_its_name() -> None:
    class Bigger(Basket): ...

    assert Bigger.total.name == "total"


def test_a_state_that_is_named_needs_no_class() -> None:
    machine = FakeMachine()
    with pytest.raises(PayloadError, match=r"^state 'extra' in Fake\.handler is not the int that was declared"):
        in_a(ObjectContext, machine).set(State(int, name="extra"), "x")

    in_a(ObjectContext, machine).set(State(int, name="extra"), 7)

    assert machine.issued == [("set", "extra", b"7")]


class Plain:
    async def f(self, ctx: Context) -> None: ...

    @staticmethod
    async def static(ctx: Context) -> None: ...

    @classmethod
    async def of_class(cls, ctx: Context) -> None: ...

    async def many(self, ctx: Context) -> Any:
        yield 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("Greet", r"^@handler was given 'Greet', and decorates .*; a name is given as @handler\(name='Greet'\)$"),
        (7, "^@handler was given 7, and decorates an `async def` method$"),
        (Plain, "^@handler was given the class Plain; it decorates methods$"),
        (
            vars(Plain)["static"],
            r"^Plain.static is a staticmethod; a handler is a plain method: `async def f\(s",
        ),
        (vars(Plain)["of_class"], "^Plain.of_class is a classmethod; a handler is a plain method"),
        (Plain.many, "^Plain.many yields; a handler returns its result, once$"),
    ],
)
def test_handler_decorates_methods_only(given: object, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        decorate(given)


@pytest.mark.parametrize("wrap", [staticmethod, classmethod, property])
def test_a_handler_inside_another_decorator_is_not_lost(wrap: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match=rf"Hidden\.f is a handler inside a {wrap.__name__}; a handler is a plain met"):
        type("Hidden", (Service,), {"f": wrap(decorate(Plain.f))})


@pytest.mark.parametrize("name", [7, b"x"])
def test_a_name_on_the_wire_is_text(name: object) -> None:
    with pytest.raises(TypeError, match="a name on the wire is a str, got"):
        decorate(name=name)


# -- engines


class Namesake(Service, name="Greeter"):
    @handler
    async def other(self, ctx: Context) -> None: ...


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (("x.db", Greeter), TypeError, r"^Greeter is a class; give the engine an instance: Greeter\(...\)$"),
        (("x.db", 7), TypeError, r"^7 is no Service, VirtualObject or Workflow; write Engine\(database, service, "),
        (("x.db", Greeter(), Options()), TypeError, r"^an Options is among the services of the engine; write Engine\("),
        (("x.db", [Greeter()]), TypeError, r"^\[<.*Greeter object.*\] is no Service, VirtualObject or Workflow"),
        ((Greeter(),), TypeError, "^the first argument of Engine is the path of its database, got <"),
        (("x.db", Greeter(), Greeter()), ValueError, "^two services are named 'Greeter'; give one of them another"),
        (("x.db", Greeter(), Namesake()), ValueError, "^two services are named 'Greeter'"),
    ],
)
def test_an_engine_says_what_it_is_made_of(arguments: tuple[Any, ...], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        engine_of(*arguments)


def test_the_options_of_an_engine_are_options() -> None:
    with pytest.raises(TypeError, match=r"^options is an Options, got {'parked': 3}; write options=Options\(...\)$"):
        engine_of("x.db", Greeter(), options={"parked": 3})


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (lambda engine: engine.invocation("foo").status(), BadIdError, "^bad invocation id 'foo': bad format$"),
        (lambda engine: engine.invocation("foo").result(), BadIdError, "^bad invocation id 'foo': bad format$"),
        (lambda engine: engine.invocation(7).cancel(), TypeError, "^an invocation id is a str, got 7$"),
        (lambda engine: engine.invocation(UNKNOWN).status(), InvocationNotFoundError, NOT_FOUND),
        (lambda engine: engine.invocation(UNKNOWN).result(), InvocationNotFoundError, NOT_FOUND),
        (lambda engine: engine.invocation(UNKNOWN).cancel(), InvocationNotFoundError, NOT_FOUND),
        (lambda engine: engine.invocation(UNKNOWN).kill(), InvocationNotFoundError, NOT_FOUND),
        (lambda engine: engine.invocation(UNKNOWN).signal(7, 1), TypeError, "^the name of a signal is a str, got 7$"),
        (lambda engine: engine.invocation(UNKNOWN).restart(from_entry="1"), TypeError, "^from_entry is the number of"),
        (lambda engine: engine.awakeable("foo").resolve(1), BadIdError, "^bad awakeable id 'foo': bad format$"),
        (lambda engine: engine.awakeable(7).resolve(1), TypeError, "^an awakeable id is a str, got 7$"),
        (
            lambda engine: engine.awakeable("x").resolve([object()]),
            PayloadError,
            r"the value of an awake.*\[0\]`$",
        ),
        (lambda engine: engine.call("greet"), TypeError, "^'greet' is not a handler; name one by its class"),
        (lambda engine: engine.call(work()), TypeError, r"^the coroutine work\(\) is not a handler"),
        (
            lambda engine: engine.call(Greeter.greet),
            TypeError,
            r"^Greeter.greet\(\) missing a required argument",
        ),
    ],
)
async def test_an_engine_says_what_is_wrong_with_a_request(
    ask: Callable[[Any], Any], error: type[Exception], says: str
) -> None:
    async with TestEngine(Greeter()) as engine:
        with pytest.raises(error, match=says):
            await ask(engine)

        assert await engine.call(Greeter.greet, "Ann") == "Hello, Ann!"


def test_every_class_here_can_be_served() -> None:
    for cls in (Greeter, Basket, Order, Wrong):
        assert handlers_of(cls)
