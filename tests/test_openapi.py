"""The OpenAPI document of a service: valid, and what the ingress really takes and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import jsonschema
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from durable import (
    Context,
    ObjectContext,
    ObjectSharedContext,
    Service,
    VirtualObject,
    Workflow,
    WorkflowContext,
    WorkflowSharedContext,
    handler,
)
from durable.handlers import Handler
from durable.openapi import input_schema, openapi, output_schema
from durable.serde import encode
from durable.service import AnyService, handlers_of

T = TypeVar("T")


class Node(msgspec.Struct):
    """A tree."""

    name: str
    children: list[Node] = []


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1


@dataclass
class Price:
    amount: Decimal
    since: datetime
    colour: Colour = Colour.RED
    for_: timedelta = timedelta(days=1)


class Page(msgspec.Struct, Generic[T]):
    items: list[T]
    next: Page[T] | None = None


class Cat(msgspec.Struct, tag=True):
    lives: Annotated[int, msgspec.Meta(ge=0, le=9)]


class Dog(msgspec.Struct, tag=True):
    picture: bytes


class Größe(msgspec.Struct):
    cm: int


class Grüße(msgspec.Struct):
    an: str


class Odd:
    """What msgspec does not know."""


class Greeting(Service):
    """Two classes that msgspec gives one name, apart and together."""

    @handler
    async def greet(self, ctx: Context, size: Größe) -> Grüße: ...

    @handler
    async def many(self, ctx: Context, greetings: dict[str, Größe | None]) -> tuple[Größe, Grüße]: ...


class Everything(Service, metadata={"team": "shop"}):
    """All that a handler can take.

    Or return.
    """

    @handler
    async def tree(self, ctx: Context, node: Node) -> Node:
        """Plant it.

        Deeply.
        """
        return node

    @handler(metadata={"tier": "1"})
    async def price(self, ctx: Context, price: Price) -> dict[UUID, Price]: ...

    @handler
    async def pages(self, ctx: Context, page: Page[int]) -> Page[Price]: ...

    @handler
    async def pet(self, ctx: Context, pet: Cat | Dog) -> tuple[Size, Literal["a", "b"]]: ...

    @handler
    async def maybe(self, ctx: Context, when: datetime | None) -> Decimal | None: ...

    @handler
    async def echo(self, ctx: Context, text: str = "silence") -> str: ...

    @handler
    async def copy(self, ctx: Context, raw: bytes) -> bytes: ...

    @handler
    async def raw_or_not(self, ctx: Context, raw: bytes | None) -> bytes | None: ...

    @handler
    async def ping(self, ctx: Context) -> None: ...

    @handler
    async def untyped(self, ctx: Context, value): ...

    @handler
    async def odd(self, ctx: Context, values: list[Odd | None]) -> list[object]: ...

    @handler(private=True)
    async def hidden(self, ctx: Context, secret: Annotated[str, msgspec.Meta(title="Hidden")]) -> None: ...


class Basket(VirtualObject, name="my.Basket-2"):
    @handler
    async def add(self, ctx: ObjectContext, item: str) -> int: ...

    @handler
    async def add_send(self, ctx: ObjectContext, item: str) -> int: ...

    @handler
    async def show(self, ctx: ObjectSharedContext) -> list[str]: ...


class SignUp(Workflow):
    @handler
    async def run(self, ctx: WorkflowContext, address: str) -> bool: ...

    @handler
    async def confirm(self, ctx: WorkflowSharedContext) -> None: ...


class Secret(Service, private=True):
    @handler
    async def f(self, ctx: Context) -> None: ...


def document(service: type[AnyService]) -> Any:
    return openapi(service, handlers_of(service))


def operation(service: type[AnyService], path: str) -> Any:
    return document(service)["paths"][path]["post"]


def parameters(service: type[AnyService], path: str) -> list[str]:
    return [each["$ref"].rpartition("/")[2] for each in operation(service, path)["parameters"]]


@pytest.mark.parametrize("service", [Everything, Greeting, Basket, SignUp, Secret])
def test_the_document_is_valid(service):
    OpenAPIV31SpecValidator(document(service)).validate()


@pytest.mark.parametrize("service", [Everything, Greeting, Basket, SignUp, Secret])
def test_the_document_is_json(service):
    assert msgspec.json.decode(msgspec.json.encode(document(service))) == document(service)


@pytest.mark.parametrize("service", [Everything, Greeting])
def test_every_reference_leads_somewhere(service):
    whole = document(service)

    def references(part: object) -> list[str]:
        if isinstance(part, Mapping):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [found for each in part.values() for found in references(each)]
        return [found for each in part for found in references(each)] if isinstance(part, list | tuple) else []

    for reference in references(whole):
        _, components, kind, name = reference.split("/")
        assert name in whole[components][kind], reference


def test_a_service_has_two_paths_for_a_handler():
    assert {"/Everything/tree", "/Everything/tree/send"} <= document(Everything)["paths"].keys()


def test_an_object_has_its_key_in_the_path():
    assert {"/my.Basket-2/{key}/add", "/my.Basket-2/{key}/add/send"} <= document(Basket)["paths"].keys()
    assert parameters(Basket, "/my.Basket-2/{key}/add") == ["Key", "IdempotencyKey", "Priority"]


def test_only_a_send_has_a_delay():
    assert parameters(Everything, "/Everything/ping") == ["IdempotencyKey", "Priority"]
    assert parameters(Everything, "/Everything/ping/send") == ["IdempotencyKey", "Priority", "Delay"]


class Flowing(Service):
    @handler(limit="tenant", queue=5)
    async def bounded(self, ctx: Context) -> None: ...

    @handler(singleton="skip")
    async def alone(self, ctx: Context) -> None: ...


def test_the_headers_of_limits_and_singletons_are_told_where_they_are_taken():
    assert parameters(Flowing, "/Flowing/bounded") == ["IdempotencyKey", "LimitKey", "Priority"]
    assert parameters(Flowing, "/Flowing/alone") == ["IdempotencyKey", "SingletonKey", "Priority"]


def test_a_call_may_be_refused_for_a_full_queue():
    full = operation(Flowing, "/Flowing/bounded")["responses"]["429"]["$ref"]

    assert full == "#/components/responses/Full"
    assert "retry-after" in document(Flowing)["components"]["responses"]["Full"]["headers"]


def test_a_run_has_no_idempotency_key_and_can_be_attached_to():
    paths = document(SignUp)["paths"]

    assert parameters(SignUp, "/SignUp/{key}/run") == ["Key", "Priority"]
    for verb in ("attach", "output"):
        responses = paths[f"/restate/workflow/SignUp/{{key}}/{verb}"]["get"]["responses"]
        assert responses["200"]["content"] == {"application/json": {"schema": {"type": "boolean"}}}
    assert len(paths) == 6


def test_private_handlers_and_their_types_are_left_out():
    assert not any("hidden" in path for path in document(Everything)["paths"])
    assert "Hidden" not in str(document(Everything)["components"])
    assert document(Secret)["paths"] == {}


def test_a_send_is_answered_with_202():
    assert operation(Everything, "/Everything/ping/send")["responses"].keys() == {"202", "429", "default"}


def test_bytes_are_sent_as_they_are():
    copy = operation(Everything, "/Everything/copy")

    assert copy["requestBody"]["content"].keys() == {"application/octet-stream"}
    assert copy["responses"]["200"]["content"].keys() == {"application/octet-stream"}


def test_no_input_is_no_body_and_no_output_no_content():
    ping = operation(Everything, "/Everything/ping")

    assert "requestBody" not in ping
    assert "content" not in ping["responses"]["200"]


@pytest.mark.parametrize(
    ("name", "required"),
    [("tree", True), ("copy", True), ("echo", False), ("maybe", False), ("raw_or_not", False), ("untyped", True)],
)
def test_a_body_is_required_unless_there_is_a_default_or_a_none(name, required):
    assert operation(Everything, f"/Everything/{name}")["requestBody"]["required"] is required


def test_an_optional_output_may_be_null():
    schema = operation(Everything, "/Everything/maybe")["responses"]["200"]["content"]["application/json"]["schema"]

    assert {"type": "null"} in schema["anyOf"]


def test_two_classes_of_one_name_are_told_apart():
    paths, schemas = document(Greeting)["paths"], document(Greeting)["components"]["schemas"]

    greet = paths["/Greeting/greet"]["post"]
    sizes = greet["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    greetings = greet["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert (schemas[sizes]["title"], schemas[greetings]["title"]) == ("Größe", "Grüße")


def test_a_type_that_cannot_be_told_may_be_anything():
    many = operation(Greeting, "/Greeting/many")

    assert many["responses"]["200"]["content"]["application/json"]["schema"] == {}
    assert output_schema(Greeting.many) == {}


def test_documentation_and_metadata_are_told():
    whole = document(Everything)
    tree, price = whole["paths"]["/Everything/tree"]["post"], whole["paths"]["/Everything/price"]["post"]

    assert whole["info"]["description"] == "All that a handler can take.\n\nOr return."
    assert (whole["info"]["title"], whole["info"]["x-metadata"]) == ("Everything", {"team": "shop"})
    assert (tree["summary"], tree["description"]) == ("Plant it.", "Plant it.\n\nDeeply.")
    assert price["x-metadata"] == {"team": "shop", "tier": "1"}


def test_the_version_is_the_codes():
    whole: Any = openapi(SignUp, handlers_of(SignUp), version="2026.1")

    assert whole["info"]["version"] == "2026.1"


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        (Everything.tree, Node("a", [Node("b")])),
        (Everything.price, Price(Decimal("1.50"), datetime(2030, 1, 1, tzinfo=UTC))),
        (Everything.pages, Page([1], Page([2]))),
        (Everything.pet, Cat(9)),
        (Everything.pet, Dog(b"\xff")),
        (Greeting.greet, Größe(180)),
        (Everything.maybe, datetime(2030, 1, 1, tzinfo=UTC)),
        (Everything.echo, "hello"),
        (Everything.untyped, {"a": [1, None]}),
    ],
)
def test_what_a_handler_is_sent_fits_its_input_schema(reference: Handler[..., Any], value: object):
    schema = input_schema(reference)
    assert schema is not None

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(msgspec.json.decode(encode(value, "a value")), schema, jsonschema.Draft202012Validator)


def test_what_a_handler_would_refuse_does_not_fit():
    schema = input_schema(Everything.pet)
    assert schema is not None

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"type": "Cat", "lives": 10}, schema, jsonschema.Draft202012Validator)


def test_an_output_has_its_schema():
    assert output_schema(SignUp.run) == {"type": "boolean"}
    assert output_schema(Everything.untyped) == {}


def test_nothing_and_bytes_have_no_schema():
    assert [input_schema(each) for each in (Everything.ping, Everything.copy, Everything.raw_or_not)] == [None] * 3
    assert [output_schema(each) for each in (Everything.ping, Everything.copy, Everything.raw_or_not)] == [None] * 3
