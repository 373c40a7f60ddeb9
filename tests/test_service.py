"""What a class may say, and what its handlers are then."""

from __future__ import annotations

from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from durable import (
    Context,
    ObjectContext,
    ObjectSharedContext,
    PayloadError,
    Promise,
    RetryPolicy,
    Service,
    State,
    TerminalError,
    VirtualObject,
    Workflow,
    WorkflowContext,
    WorkflowSharedContext,
    handler,
)
from durable.core.entries import Target
from durable.core.invocation import Kind
from durable.service import describe, handlers_of
from durable.testing import TestEngine
from tests.fakes import FakeMachine

if TYPE_CHECKING:
    from decimal import Decimal as Unknown

    import durable

# What the type checkers would refuse.
unchecked: Any = handler


class Order(msgspec.Struct):
    id: str
    count: int = 1


class Shipping(Service, name="ShippingService"):
    @handler(name="Ship", retention=timedelta(days=7), retry=RetryPolicy(max_attempts=3), private=True)
    async def ship(self, ctx: Context, order: Order) -> str:
        """Hand it to the carrier."""
        return f"{order.id} x {order.count} for {ctx.identity}"

    @handler
    async def ping(self, ctx: Context) -> None: ...

    @handler
    async def echo(self, ctx: Context, text: str = "silence") -> str:
        return text

    @handler
    async def copy(self, ctx: Context, raw: bytes) -> bytes:
        return raw

    @handler
    async def untyped(self, ctx: Context, value):
        return value


class Basket(VirtualObject):
    items = State(list[str], default=list)

    @handler(name="AddItem")
    async def add_item(self, ctx: ObjectContext, item: str) -> int:
        items = [*await ctx.get(self.items), item]
        ctx.set(self.items, items)
        return len(items)

    @handler
    async def show(self, ctx: ObjectSharedContext) -> list[str]:
        return await ctx.get(self.items)

    @handler
    async def rename(self, ctx: ObjectContext, key: str) -> str:
        return f"{ctx.key} -> {key}"


class Approval(Workflow):
    approved = Promise(bool)

    @handler
    async def run(self, ctx: WorkflowContext) -> bool:
        return await ctx.promise(self.approved)

    @handler
    async def approve(self, ctx: WorkflowSharedContext) -> None:
        await ctx.promise(self.approved).resolve(True)


@pytest.mark.parametrize(
    ("reference", "kind"),
    [
        (Shipping.ship, Kind.SERVICE),
        (Basket.add_item, Kind.EXCLUSIVE),
        (Basket.show, Kind.SHARED),
        (Approval.run, Kind.WORKFLOW),
        (Approval.approve, Kind.SHARED),
    ],
    ids=str,
)
def test_the_context_decides_the_kind(reference, kind):
    assert reference.kind is kind


def test_a_handler_is_named_on_the_wire_by_the_method_or_by_name():
    assert str(Shipping.ship) == "ShippingService.Ship"
    assert str(Shipping.ping) == "ShippingService.ping"


def test_handlers_of_lists_them_by_name_on_the_wire():
    assert handlers_of(Basket) == {"AddItem": Basket.add_item, "show": Basket.show, "rename": Basket.rename}


def test_a_handler_keeps_its_settings_for_the_engine():
    settings = Shipping.ship.settings

    assert (settings.retry, settings.retention, settings.private) == (
        RetryPolicy(max_attempts=3),
        timedelta(days=7),
        True,
    )


def test_an_outcome_is_kept_for_a_day_unless_said_otherwise():
    assert Shipping.ping.settings.retention == timedelta(days=1)


async def test_on_an_instance_a_handler_is_the_plain_method():
    assert await Shipping().echo(Context(FakeMachine()), "hello") == "hello"


# -- settings


class Prices(Service, retention=timedelta(days=2), private=True, metadata={"team": "shop", "tier": "1"}):
    """What things cost.

    In every currency.
    """

    @handler
    async def get(self, ctx: Context) -> None:
        """Look one up."""

    @handler(private=False, retention=timedelta(hours=1), metadata={"tier": "2"}, strict_idempotency=False)
    async def guess(self, ctx: Context) -> None: ...


class Sale(Prices, retry=RetryPolicy(max_attempts=1), journal_retention=timedelta(hours=2)):
    @handler
    async def get(self, ctx: Context) -> None:
        """Look one up."""


def test_a_handler_that_says_nothing_has_the_settings_of_its_class():
    assert (Prices.get.private, Prices.get.retention) == (True, timedelta(days=2))
    assert Prices.get.metadata == {"team": "shop", "tier": "1"}
    assert (Prices.get.retry, Prices.get.strict_idempotency) == (None, True)


def test_what_a_handler_says_goes_before_its_class():
    assert (Prices.guess.private, Prices.guess.retention) == (False, timedelta(hours=1))
    assert Prices.guess.metadata == {"team": "shop", "tier": "2"}
    assert Prices.guess.strict_idempotency is False


def test_a_class_has_the_keywords_of_its_base_but_not_its_name():
    assert describe(Sale).name == "Sale"
    assert (Sale.get.private, Sale.get.retention) == (True, timedelta(days=2))


def test_an_inherited_handler_has_the_settings_of_the_class_it_is_taken_from():
    assert (Prices.guess.retry, Sale.guess.retry) == (None, RetryPolicy(max_attempts=1))
    assert (Sale.guess.private, Sale.guess.retention) == (False, timedelta(hours=1))


def test_a_journal_is_kept_as_long_as_the_outcome_and_never_longer():
    assert Prices.get.journal_retention == timedelta(days=2)
    assert Sale.get.journal_retention == timedelta(hours=2)
    assert Sale.guess.journal_retention == timedelta(hours=1)


def test_the_documentation_is_the_docstring():
    assert (Prices.get.documentation, Prices.guess.documentation) == ("Look one up.", None)
    assert describe(Prices).documentation == "What things cost.\n\nIn every currency."
    assert describe(Sale).documentation is None


def test_a_description_says_what_a_service_is():
    described = [describe(cls) for cls in (Shipping, Basket, Approval)]

    assert [(each.name, each.sort) for each in described] == [
        ("ShippingService", "Service"),
        ("Basket", "VirtualObject"),
        ("Approval", "Workflow"),
    ]
    assert described[0].settings.retention == timedelta(days=1)
    assert describe(Prices).settings.metadata == {"team": "shop", "tier": "1"}


def test_metadata_cannot_be_changed_from_outside():
    given = {"team": "shop"}
    wrap = handler(metadata=given)
    given["team"] = "other"

    @wrap
    async def f(self: Service, ctx: Context) -> None: ...

    assert f.metadata == {"team": "shop"}


@pytest.mark.parametrize("metadata", [{"a": 7}, {7: "a"}])
def test_metadata_is_text(metadata):
    with pytest.raises(TypeError, match="is a str, got 7"):
        handler(metadata=metadata)


def test_metadata_is_a_mapping():
    with pytest.raises(TypeError, match=r"^metadata is a mapping of texts, got \['x'\]; write metadata="):
        unchecked(metadata=["x"])


@pytest.mark.parametrize("keyword", ["private", "strict_idempotency"])
def test_a_flag_is_a_bool(keyword):
    with pytest.raises(TypeError, match=f"^{keyword} is True or False, got 'no'"):
        unchecked(**{keyword: "no"})


def test_a_journal_kept_longer_than_its_outcome_is_refused():
    with pytest.raises(ValueError, match=r"journal_retention .* is longer than retention"):
        handler(retention=timedelta(hours=1), journal_retention=timedelta(hours=2))


@pytest.mark.parametrize("keyword", ["retention", "journal_retention"])
def test_a_retention_without_a_unit_is_refused(keyword):
    with pytest.raises(TypeError, match=f"^{keyword} is a timedelta, got 3600; write"):
        unchecked(**{keyword: 3600})


@pytest.mark.parametrize(
    "keywords", [{"concurrency": 1}, {"queue": 5}, {"hold": True}, {"singleton": "skip"}, {"rate": None}], ids=str
)
def test_a_class_cannot_bind_each_of_its_handlers(keywords):
    (keyword,) = keywords
    with pytest.raises(TypeError, match=rf"^{keyword} of the class Wrong would bind nothing: .*@handler\({keyword}="):
        type("Wrong", (Service,), {}, **keywords)


def test_an_unknown_keyword_is_refused():
    with pytest.raises(TypeError, match="'retries'"):
        unchecked(retries=3)
    with pytest.raises(TypeError, match="'retries'"):
        type("Wrong", (Service,), {}, retries=3)


# -- inheritance


class Base(VirtualObject):
    total = State(int, default=int)

    @handler
    async def get(self, ctx: ObjectSharedContext) -> int:
        return await ctx.get(self.total)

    @handler
    async def step(self, ctx: ObjectContext) -> int:
        return 1


class Derived(Base):
    @handler
    async def step(self, ctx: ObjectContext) -> int:
        return 1 + await super().step(ctx)


def test_an_inherited_handler_belongs_to_the_class_it_is_taken_from():
    assert (str(Base.get), str(Derived.get)) == ("Base.get", "Derived.get")


async def test_an_overriding_handler_can_call_the_one_it_overrides():
    assert await Derived.step.invoke(Derived(), FakeMachine(), b"") == b"2"


# -- refused when the class is defined


def refused(says: str, base: type, **attributes: Any) -> None:
    with pytest.raises(TypeError, match=says):
        type("Wrong", (base,), attributes)


def test_a_method_that_hides_a_handler_is_refused():
    async def step(self: Base, ctx: ObjectContext) -> None: ...

    refused(r"Wrong\.step hides the handler Base\.step; decorate it too", Base, step=step)


def test_a_second_input_is_refused():
    with pytest.raises(
        TypeError, match=r"two takes 2 inputs; a handler takes none or one \(put several in a msgspec.Str"
    ):

        @handler
        async def two(self: Service, ctx: Context, a: str, b: str) -> None: ...


def test_a_sync_function_is_refused():
    with pytest.raises(TypeError, match=r"sync is not async; write `async def sync\(...\)`"):

        @unchecked
        def sync(self: Service, ctx: Context) -> None: ...


def test_a_missing_context_annotation_is_refused():
    with pytest.raises(TypeError, match=r"does not say which context it is given; write `ctx: Context` in a Service"):

        @unchecked
        async def untyped(self: Service, ctx) -> None: ...


def test_no_context_at_all_is_refused():
    with pytest.raises(TypeError, match=r"alone takes no context; write `async def alone\(self, ctx: ...\)`"):

        @unchecked
        async def alone(self: Service) -> None: ...


def test_star_arguments_are_refused():
    with pytest.raises(TypeError, match=r"takes `\*items: "):

        @handler
        async def many(self: Service, ctx: Context, *items: str) -> None: ...


@pytest.mark.parametrize(
    ("base", "reference", "says"),
    [
        (Service, Basket.show, "takes ObjectSharedContext; a handler of a Service takes Context$"),
        (VirtualObject, Approval.run, "of a VirtualObject takes ObjectContext or ObjectSharedContext$"),
        (VirtualObject, Shipping.ping, "takes Context; a handler of a VirtualObject takes"),
        (Workflow, Basket.add_item, "of a Workflow takes WorkflowContext or WorkflowSharedContext$"),
    ],
    ids=str,
)
def test_a_context_that_does_not_fit_the_class_is_refused(base, reference, says):
    refused(says, base, method=reference)


@pytest.mark.parametrize("keyword", ["retention", "journal_retention"])
def test_a_negative_retention_is_refused(keyword):
    with pytest.raises(ValueError, match=f"^{keyword} cannot be negative"):
        unchecked(**{keyword: timedelta(days=-1)})


def test_two_runs_are_refused():
    refused(r"Wrong has 2 runs \(first, second\)", Workflow, first=Approval.run, second=Approval.run)


def test_two_handlers_of_one_name_are_refused():
    refused("Wrong has two handlers 'AddItem': a and b", VirtualObject, a=Basket.add_item, b=Basket.add_item)


def test_state_in_a_service_is_refused():
    refused("Wrong.count is a State, which a Service has not", Service, count=State(int))


@pytest.mark.parametrize("base", [Service, VirtualObject])
def test_a_promise_outside_a_workflow_is_refused(base):
    refused("Wrong.paid is a Promise, which only a Workflow has", base, paid=Promise(bool))


def test_a_class_of_two_sorts_is_refused():
    with pytest.raises(TypeError, match="Both is a Service and a VirtualObject; it can be one"):

        class Both(Service, VirtualObject): ...


@pytest.mark.parametrize("name", ["a-b", "1a", "", "ä"])
def test_a_handler_name_that_no_path_can_hold_is_refused(name):
    with pytest.raises(TypeError, match="cannot be a name on the wire"):
        handler(name=name)


@pytest.mark.parametrize("name", ["restate", "a/b", "Köln"])
def test_a_service_name_that_no_path_can_hold_is_refused(name):
    with pytest.raises(TypeError, match="cannot be a name on the wire"):

        class Town(Service, name=name): ...


# -- refused when the class is served


def test_a_workflow_without_a_run_can_be_a_base_but_not_be_served():
    class Half(Workflow):
        @handler
        async def peek(self, ctx: WorkflowSharedContext) -> None: ...

    with pytest.raises(TypeError, match="Half has no run; give one of its handlers a WorkflowContext"):
        handlers_of(Half)


def test_a_class_without_handlers_cannot_be_served():
    class Empty(Service): ...

    with pytest.raises(TypeError, match="Empty has no handler"):
        handlers_of(Empty)


def test_a_type_that_is_unknown_at_run_time_is_refused_when_served():
    class Blind(Service):
        @handler
        async def see(self, ctx: Context, what: Unknown) -> None: ...

    with pytest.raises(TypeError, match=r"see: the type of 'what' is not known at run time \(name 'Unknown'"):
        handlers_of(Blind)


def test_a_context_imported_for_type_checkers_only_is_known_by_its_name():
    class Lazy(VirtualObject):
        @handler
        async def f(self, ctx: durable.ObjectContext) -> None: ...

    assert Lazy.f.kind is Kind.EXCLUSIVE


# -- called


def test_a_call_is_bound_like_a_call_of_the_method():
    by_place = Basket.add_item.outgoing(("alice", "laptop"), {})
    by_name = Basket.add_item.outgoing(("alice",), {"item": "laptop"})

    assert by_place == by_name
    assert (by_place.target, by_place.payload) == (Target("Basket", "AddItem", "alice"), b'"laptop"')


def test_a_service_is_called_without_a_key():
    assert Shipping.ping.outgoing((), {}).target == Target("ShippingService", "ping", None)


def test_an_input_may_be_called_key():
    assert Basket.rename.outgoing(("alice",), {"key": "bob"}).payload == b'"bob"'


def test_a_default_is_sent():
    assert Shipping.echo.outgoing((), {}).payload == b'"silence"'


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        (("alice",), {}, r"Basket.AddItem\(\) missing a required argument: 'item'; its key comes first, then"),
        (("alice", "x", "y"), {}, r"Basket.AddItem\(\) too many positional arguments"),
        (("alice", "x"), {"colour": 1}, r"Basket.AddItem\(\) got an unexpected keyword argument 'colour'"),
        ((42, "x"), {}, r"the key of Basket.AddItem is a str, got 42"),
    ],
)
def test_wrong_arguments_are_a_type_error(args, kwargs, says):
    with pytest.raises(TypeError, match=says):
        Basket.add_item.outgoing(args, kwargs)


def test_a_key_that_is_no_unicode_is_refused():
    with pytest.raises(PayloadError, match=r"the key of Basket.AddItem is not valid Unicode: '\\ud800'"):
        Basket.add_item.outgoing(("\ud800", "x"), {})


def test_an_input_that_cannot_be_encoded_names_the_handler():
    with pytest.raises(PayloadError, match=r"the input of Basket.AddItem cannot be encoded"):
        Basket.add_item.outgoing(("alice", object()), {})


def test_options_ride_on_the_reference():
    bound = Basket.show.options(idempotency_key="k", headers={"a": "b"}).options(identity="alice")
    outgoing = bound.outgoing(("alice",), {})

    assert (outgoing.idempotency_key, outgoing.headers, bound.identity) == ("k", {"a": "b"}, "alice")
    assert Basket.show.outgoing(("alice",), {}).idempotency_key is None


@pytest.mark.parametrize("options", [{"idempotency_key": 7}, {"headers": {"a": 7}}, {"headers": {7: "a"}}])
def test_options_are_text(options):
    with pytest.raises(TypeError, match="is a str, got 7"):
        Basket.show.options(**options)


def test_an_empty_idempotency_key_is_refused():
    with pytest.raises(ValueError, match="an idempotency key cannot be empty"):
        Basket.show.options(idempotency_key="")


def test_attach_stays_on_the_reference_until_it_is_taken_off():
    bound = Approval.run.options(attach=True)

    assert (Approval.run.attach, bound.attach, bound.options(headers={}).attach) == (False, True, True)
    assert bound.options(attach=False).attach is False


@pytest.mark.parametrize("reference", [Shipping.ping, Basket.show, Approval.approve], ids=str)
def test_attach_to_what_is_no_run_is_refused(reference):
    with pytest.raises(
        ValueError, match="is not the run of a workflow; to attach to a call, repeat its idempotency key"
    ):
        reference.options(attach=True)


def test_a_handler_outside_a_service_cannot_be_called():
    @handler
    async def loose(self: Service, ctx: Context) -> None: ...

    with pytest.raises(TypeError, match="loose is in a class that is no Service, VirtualObject or Workflow"):
        loose.outgoing((), {})


# -- invoked


async def test_invoke_decodes_the_input_and_encodes_the_output():
    machine = FakeMachine(identity="alice")

    assert await Shipping.ship.invoke(Shipping(), machine, b'{"id":"o-1"}') == b'"o-1 x 1 for alice"'


async def test_invoke_gives_the_context_that_was_asked_for():
    machine = FakeMachine(state={"items": b'["a"]'})

    assert await Basket.add_item.invoke(Basket(), machine, b'"b"') == b"2"
    assert machine.state == {"items": b'["a","b"]'}


async def test_bytes_pass_as_they_are():
    assert await Shipping.copy.invoke(Shipping(), FakeMachine(), b"\xff") == b"\xff"


def test_an_ingress_can_ask_what_passes_as_it_is():
    assert (Shipping.copy.takes_input, Shipping.copy.raw_input, Shipping.copy.raw_output) == (True, True, True)
    assert (Shipping.ping.takes_input, Shipping.ping.raw_input, Shipping.ping.raw_output) == (False, False, False)


def test_an_ingress_can_ask_what_has_to_be_sent():
    assert [each.needs_input for each in (Shipping.ship, Shipping.echo, Shipping.copy, Shipping.ping)] == [
        True,
        False,
        True,
        False,
    ]


async def test_an_undeclared_type_is_plain_json():
    assert await Shipping.untyped.invoke(Shipping(), FakeMachine(), b'{"a": [1]}') == b'{"a":[1]}'


@pytest.mark.parametrize("payload", [b"", b"null"])
async def test_a_handler_without_input_wants_no_body(payload):
    assert await Shipping.ping.invoke(Shipping(), FakeMachine(), payload) == b""


async def test_a_body_for_a_handler_without_input_is_the_callers_fault():
    with pytest.raises(PayloadError, match=r"ShippingService.ping takes no input, but was sent 1 bytes") as got:
        await Shipping.ping.invoke(Shipping(), FakeMachine(), b"1")
    assert got.value.status == 400


async def test_no_body_is_the_default():
    assert await Shipping.echo.invoke(Shipping(), FakeMachine(), b"") == b'"silence"'


async def test_an_input_that_does_not_decode_names_handler_and_field():
    with pytest.raises(PayloadError, match=r"the input of ShippingService.Ship .* `int`.*`\$.count`") as got:
        await Shipping.ship.invoke(Shipping(), FakeMachine(), b'{"id":"o-1","count":"x"}')
    assert got.value.status == 400


async def test_an_output_that_cannot_be_encoded_names_the_handler():
    class Odd(Service):
        @handler
        async def f(self, ctx: Context) -> Any:
            return object()

    with pytest.raises(PayloadError, match=r"the output of Odd\.f cannot be encoded") as got:
        await Odd.f.invoke(Odd(), FakeMachine(), b"")
    assert got.value.status == 500


def test_an_output_decodes_to_the_declared_type():
    assert Basket.show.decode_output(b'["a"]') == ["a"]
    with pytest.raises(TerminalError, match=r"the output of Basket.show does not decode"):
        Basket.show.decode_output(b"7")


def test_state_decodes_or_has_its_default():
    assert Basket.items.decode(None) == []
    assert Basket.items.decode(b'["a"]') == ["a"]


def test_state_that_does_not_decode_names_itself():
    with pytest.raises(PayloadError, match=r"state Basket\.items does not decode"):
        Basket.items.decode(b"7")


def test_a_retry_that_is_no_policy_is_refused() -> None:
    with pytest.raises(TypeError, match="retry is a RetryPolicy, got 3"):
        handler(retry=3)


async def test_a_decorator_below_handler_is_around_every_attempt():
    seen: list[str] = []

    def traced(function):
        @wraps(function)
        async def wrapper(self, ctx, *inputs):
            seen.append(f"begins {ctx.invocation_id[:4]}")
            try:
                return await function(self, ctx, *inputs)
            finally:
                seen.append("ends")

        return wrapper

    class Traced(Service):
        @handler
        @traced
        async def greet(self, ctx: Context, name: str) -> str:
            return f"hello {name}"

    async with TestEngine(Traced()) as engine:
        assert await engine.call(Traced.greet, "Ada") == "hello Ada"

    assert Traced.greet.input_type is str
    assert seen == ["begins inv_", "ends"]


async def test_a_stored_name_need_not_be_the_attributes():
    class Old(VirtualObject, name="Cart"):
        items = State(int, default=int)

        @handler
        async def fill(self, ctx: ObjectContext) -> None:
            ctx.set(self.items, 3)
            ctx.set(State(int, name="extra"), 4)

    class New(VirtualObject, name="Cart"):
        renamed = State(int, default=int, name="items")

        @handler
        async def show(self, ctx: ObjectContext) -> list[int | None]:
            return [await ctx.get(self.renamed), await ctx.get(State(int, name="extra"))]

    async with TestEngine(Old()) as engine:
        await engine.call(Old.fill, "k")
        async with TestEngine(New(), after=engine) as later:
            assert await later.call(New.show, "k") == [3, 4]


@pytest.mark.parametrize(("declare", "what"), [(State, "a state"), (Promise, "a promise")])
def test_a_stored_name_is_some_text(declare, what):
    with pytest.raises(ValueError, match=f"the name of {what} cannot be empty"):
        declare(int, name="")
    with pytest.raises(TypeError, match=f"the name of {what} is a str, got 7"):
        declare(int, name=7)


def test_two_states_or_promises_cannot_have_one_stored_name():
    with pytest.raises(TypeError, match=r"Account has two states 'paid': paid and owed"):

        class Account(VirtualObject):
            paid = State(int, default=int)
            owed = State(int, default=int, name="paid")

    with pytest.raises(TypeError, match=r"Order has two promises 'a': a and b"):

        class Order(Workflow):
            a = Promise(bool)
            b = Promise(str, name="a")


def test_a_state_and_a_promise_may_have_one_name():
    class Order(Workflow):
        paid = State(bool)
        told = Promise(str, name="paid")

        @handler
        async def run(self, ctx: WorkflowContext) -> None: ...

    assert (Order.paid.name, Order.told.name) == ("paid", "paid")


def test_an_inherited_state_may_be_declared_anew():
    class Base(VirtualObject):
        paid = State(int)

        @handler
        async def show(self, ctx: ObjectContext) -> None: ...

    class Account(Base):
        paid = State(int, default=int)

    assert Account.paid.name == "paid"
