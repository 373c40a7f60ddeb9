"""What is served, and what the app says of itself."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from durable import Batch, Context, Debounce, Rate, Service, handler
from durable.ingress.admin import admin
from durable.ingress.admin.pages import render
from durable.testing import TestEngine
from tests.ingress.admin.checks import is_empty, is_refused
from tests.ingress.admin.services import AdminEngine

NO_SERVICE = "The requested service 'Nope' does not exist"
NASTY = [
    "<script>alert(1)</script>",
    "</pre><img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "</title><body onload=alert(1)>",
    "<!-- ",
    "]]>",
    "&lt;script&gt;",
    "\u2028\u202e",
]
TAGS = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "pre"}

WHAT_BOUNDS = ("limit", "singleton", "debounce", "batch")


class Tags(HTMLParser):
    """Which tags and attributes a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_health_is_nothing(client: httpx.AsyncClient) -> None:
    is_empty(await client.get("/health"), 200)


async def test_a_closed_engine_is_not_healthy() -> None:
    engine = AdminEngine()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(admin(engine)), base_url="http://localhost") as client:
        replies = [
            await client.get("/health"),
            await client.patch("/invocations/zz/kill"),
            await client.post("/internal/invocations_batch_operations/kill", json={"invocation_ids": ["inv_1"]}),
        ]

    assert {reply.status_code for reply in replies} == {503}
    assert replies[0].headers["retry-after"] == "1"
    assert replies[0].json()["message"].startswith("the engine is not running")


async def test_a_defect_tells_nothing(engine: AdminEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(id: str) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(engine.door, "look", look)
    transport = httpx.ASGITransport(admin(engine), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        reply = await client.get("/invocations/x")

    is_refused(reply, 500, "internal error, the server's log says more")


async def test_the_version_is_counted_as_restate_counts(client: httpx.AsyncClient) -> None:
    reply = (await client.get("/version")).json()

    assert list(reply) == [
        "version",
        "min_admin_api_version",
        "max_admin_api_version",
        "ingress_endpoint",
        "features",
    ]
    assert (reply["min_admin_api_version"], reply["max_admin_api_version"]) == (2, 4)


async def test_every_service_is_listed(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/services")).json()["services"]

    assert [(each["name"], each["ty"]) for each in listed] == [
        ("Approval", "Workflow"),
        ("Counter", "VirtualObject"),
        ("office", "Service"),
    ]
    assert (await client.get("/services/Counter")).json() == listed[1]


async def test_a_service_is_described(client: httpx.AsyncClient) -> None:
    office = (await client.get("/services/office")).json()

    assert {name: value for name, value in office.items() if name != "handlers"} == {
        "name": "office",
        "ty": "Service",
        "documentation": "Where parcels are weighed.\n\nNot on Sundays.",
        "metadata": {"team": "post"},
        "public": True,
    }
    assert office["handlers"] == (await client.get("/services/office/handlers")).json()["handlers"]


async def test_a_handler_is_described(client: httpx.AsyncClient) -> None:
    weigh = (await client.get("/services/office/handlers/weigh")).json()

    schema = weigh.pop("input_json_schema")
    assert "Parcel" in str(schema)
    assert weigh == {
        "name": "weigh",
        "documentation": "Ask <b>nicely</b> & wait.",
        "metadata": {"team": "post"},
        "public": True,
        "input_description": "application/json",
        "output_description": "JSON integer",
        "output_json_schema": {"type": "integer"},
        "idempotency_retention": "2d 30m",
        "journal_retention": "0s",
    }


class Bounded(Service, limit="tenant"):
    @handler(concurrency=3, queue=12, hold=True)
    async def settle(self, ctx: Context) -> None: ...

    @handler(rate=Rate(4, timedelta(seconds=1)))
    async def geocode(self, ctx: Context) -> None: ...

    @handler(singleton="skip")
    async def rebuild(self, ctx: Context) -> None: ...

    @handler(debounce=Debounce(timedelta(seconds=2), longest=timedelta(minutes=1)))
    async def refresh(self, ctx: Context) -> None: ...

    @handler(batch=Batch(5, within=timedelta(seconds=2)))
    async def mail(self, ctx: Context, mails: list[str]) -> None: ...


async def test_what_bounds_a_handler_is_described() -> None:
    async with TestEngine(Bounded()) as engine:
        transport = httpx.ASGITransport(admin(engine))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            handlers = (await client.get("/services/Bounded")).json()["handlers"]

    said = {each["name"]: {key: each[key] for key in WHAT_BOUNDS if key in each} for each in handlers}
    assert said == {
        "settle": {"limit": {"name": "tenant", "concurrency": 3, "queue": 12, "hold": True}},
        "geocode": {"limit": {"name": "tenant", "rate": {"count": 4, "per": "1s", "burst": 1}}},
        "rebuild": {"limit": {"name": "tenant"}, "singleton": "skip"},
        "refresh": {"limit": {"name": "tenant"}, "debounce": {"window": "2s", "longest": "1m"}},
        "mail": {"limit": {"name": "tenant"}, "batch": {"size": 5, "within": "2s"}},
    }


async def test_bytes_and_privacy_are_described(client: httpx.AsyncClient) -> None:
    stamp = (await client.get("/services/office/handlers/stamp")).json()

    assert stamp["public"] is False
    assert stamp["input_description"] == stamp["output_description"] == "application/octet-stream"
    assert "input_json_schema" not in stamp


@pytest.mark.parametrize(
    ("path", "ty"),
    [
        ("Counter/handlers/add", "Exclusive"),
        ("Counter/handlers/read", "Shared"),
        ("Approval/handlers/run", "Workflow"),
        ("office/handlers/steps", None),
    ],
)
async def test_handlers_have_restates_types(client: httpx.AsyncClient, path: str, ty: str | None) -> None:
    handler = (await client.get(f"/services/{path}")).json()

    assert handler.get("ty") == ty
    assert ("workflow_completion_retention" in handler) == (ty == "Workflow")


@pytest.mark.parametrize("path", ["", "/handlers", "/handlers/x", "/openapi"])
async def test_an_unknown_service_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    is_refused(await client.get(f"/services/Nope{path}"), 404, NO_SERVICE)


async def test_an_unknown_handler_is_not_found(client: httpx.AsyncClient) -> None:
    reply = await client.get("/services/Counter/handlers/nope")

    is_refused(reply, 404, "The requested handler 'nope' on service 'Counter' does not exist")


async def test_the_openapi_document_of_a_service(client: httpx.AsyncClient) -> None:
    document = (await client.get("/services/office/openapi")).json()

    assert (document["openapi"], document["info"]["title"]) == ("3.1.0", "office")
    assert "/office/weigh" in document["paths"]
    assert "/office/stamp" not in document["paths"]


async def test_the_page_of_a_service_lists_what_it_takes_and_is_for(client: httpx.AsyncClient) -> None:
    reply = await client.get("/ui/services/office")

    page = Tags(reply.text)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.tags <= TAGS
    for text in ("POST /office/weigh", "Ask <b>nicely</b> & wait.", "Where parcels are weighed.", '"grams"'):
        assert text in page.text


async def test_an_unknown_service_has_no_page(client: httpx.AsyncClient) -> None:
    is_refused(await client.get("/ui/services/Nope"), 404, NO_SERVICE)


@pytest.mark.parametrize("text", NASTY)
def test_nothing_that_a_document_says_is_markup(text: str) -> None:
    operation = {
        "description": text,
        "requestBody": {"content": {text: {"schema": {text: text}}}},
        "responses": {f"2{text}": {"content": {text: {"schema": text}}}},
    }
    document: dict[str, object] = {
        "info": {"title": text, "description": text},
        "paths": {text: {text: operation}},
        "components": {"schemas": {text: {"description": text}}},
    }

    page = Tags(render(document))

    assert page.tags <= TAGS
    assert page.attributes <= {"lang", "charset"}
    assert text in page.text


@pytest.mark.parametrize("document", [{}, {"info": 1, "paths": [1]}, {"paths": {"/x": {"get": None}}}])
def test_a_document_without_something_is_still_a_page(document: dict[str, object]) -> None:
    assert render(document).endswith("</body></html>")


async def test_the_app_describes_every_route_it_has(client: httpx.AsyncClient, engine: AdminEngine) -> None:
    document = (await client.get("/openapi")).json()

    described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    served = {
        (route.path, method)
        for route in admin(engine).routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert described == served


async def test_the_apps_document_is_valid(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi")).json()

    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))
