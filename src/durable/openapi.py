"""An OpenAPI 3.1 document of a service as the ingress serves it, from the types that its handlers declare.

It describes; it never decides: what the ingress takes and answers is the ingress's matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from durable.core.invocation import Kind
from durable.flow import PRIORITIES
from durable.handlers import Handler
from durable.service import AnyService, Described, describe

Document: TypeAlias = dict[str, object]
"""JSON."""

_JSON = "application/json"
_RAW = "application/octet-stream"
# A document that says less is better than none. KeyError: msgspec gave two classes one name, as "Page[a.Row]" and
# "Page[b.Row]", or two that differ in their umlauts. The others: the default of a field has no JSON.
_UNTOLD = (KeyError, TypeError, ValueError)
_BYTES: Document = {"type": "string", "format": "binary"}

_ID_HEADER: Document = {"x-restate-id": {"description": "The invocation's id.", "schema": {"type": "string"}}}
_PARAMETERS: Document = {
    "Key": {
        "name": "key",
        "in": "path",
        "required": True,
        "description": "Which object or workflow run is meant.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 1024},
    },
    "IdempotencyKey": {
        "name": "idempotency-key",
        "in": "header",
        "description": "A name for this request: requests with equal names are one invocation, and have one outcome.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    },
    "LimitKey": {
        "name": "x-restate-limit-key",
        "in": "header",
        "description": "For whose part of the handler's named limit it counts: 'acme', or 'acme/eu'.",
        "schema": {"type": "string", "examples": ["acme", "acme/eu"]},
    },
    "SingletonKey": {
        "name": "x-durable-singleton-key",
        "in": "header",
        "description": "In which line it stands; calls with different ones do not meet.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    },
    "Priority": {
        "name": "x-durable-priority",
        "in": "header",
        "description": "0 comes first, while several wait for a limit.",
        "schema": {"type": "integer", "minimum": PRIORITIES[0], "maximum": PRIORITIES[-1], "default": 0},
    },
    "Delay": {
        "name": "delay",
        "in": "query",
        "description": "Start that much later: '1h 30m', ISO 8601 ('PT1H30M'), or milliseconds ('5000').",
        "schema": {"type": "string", "examples": ["500ms", "1h 30m", "PT1H30M"]},
    },
}
_ERROR: Document = {
    "type": "object",
    "required": ["code", "message", "source"],
    "properties": {
        "code": {"type": "integer", "description": "The failure's own status, also where HTTP's is another."},
        "message": {"type": "string"},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "source": {"enum": ["ingress", "invocation"], "description": "Who says no: the door, or the handler."},
    },
}
_ACCEPTED: Document = {
    "type": "object",
    "required": ["invocationId", "status"],
    "properties": {
        "invocationId": {"type": "string"},
        "executionTime": {"type": "string", "format": "date-time", "description": "When it starts, if delayed."},
        "status": {"enum": ["Accepted", "PreviouslyAccepted"]},
    },
}
_RESPONSES: Document = {
    "Error": {
        "description": "A failure, of the request or of the handler.",
        "headers": {
            "x-restate-error-source": {"schema": {"enum": ["ingress", "invocation"]}},
        },
        "content": {_JSON: {"schema": _ERROR}},
    },
    "Full": {
        "description": "Not accepted: as many wait as a limit lets. Send it again later.",
        "headers": {
            "retry-after": {"description": "Seconds.", "schema": {"type": "integer"}},
            "x-restate-error-source": {"schema": {"const": "ingress"}},
        },
        "content": {_JSON: {"schema": _ERROR}},
    },
    "Accepted": {
        "description": "Accepted, now or before; it is carried on whatever happens.",
        "headers": _ID_HEADER,
        "content": {_JSON: {"schema": _ACCEPTED}},
    },
}


def openapi(service: type[AnyService], handlers: Mapping[str, Handler[..., Any]], /, *, version: str = "1") -> Document:
    """The document of ``service``, with those of its ``handlers`` that are not private; paths begin at the ingress.

    ``version`` is that of your code.
    """
    described = describe(service)
    public = [handler for handler in handlers.values() if not handler.private]
    schemas, components = _schemas(public)
    paths: Document = {}
    for handler in public:
        paths |= _Operations(described, handler, schemas).paths()
    info = {"title": described.name, "version": version, **_description(described.documentation)}
    return {
        "openapi": "3.1.0",
        "info": {**info, **_metadata(described.settings.metadata)},
        "paths": paths,
        "components": {"schemas": components, "parameters": _PARAMETERS, "responses": _RESPONSES},
    }


def input_schema(handler: Handler[..., Any], /) -> Document | None:
    """The JSON schema of the input; ``None`` if there is none, or if it is bytes."""
    if not handler.takes_input or handler.raw_input:
        return None
    return _schema(handler.input_type)


def output_schema(handler: Handler[..., Any], /) -> Document | None:
    """The JSON schema of the output; ``None`` if there is none, or if it is bytes."""
    if handler.output_type is type(None) or handler.raw_output:
        return None
    return _schema(handler.output_type)


class _Operations:
    """The paths of one handler."""

    def __init__(self, service: Described, handler: Handler[..., Any], schemas: Mapping[object, Document]) -> None:
        self._service, self._handler, self._schemas = service, handler, schemas
        self._keyed = handler.kind is not Kind.SERVICE

    def paths(self) -> Document:
        handler, service = self._handler, self._service.name
        path = f"/{service}/{{key}}/{handler.name}" if self._keyed else f"/{service}/{handler.name}"
        paths: Document = {path: {"post": self._call()}, f"{path}/send": {"post": self._send()}}
        if handler.kind is Kind.WORKFLOW:
            run = f"/restate/workflow/{service}/{{key}}"
            paths[f"{run}/attach"] = {"get": self._read("attach", "Wait for the run, and answer with its output.")}
            paths[f"{run}/output"] = {"get": self._read("output", "The output of the run; 470 if it has none yet.")}
        return paths

    def _call(self) -> Document:
        return {**self._operation("call"), "responses": {"200": self._output(), **_REFUSALS}}

    def _send(self) -> Document:
        responses = {"202": _ref("responses", "Accepted"), **_REFUSALS}
        operation = self._operation("send")
        return {**operation, "parameters": [*self._parameters(), _ref("parameters", "Delay")], "responses": responses}

    def _read(self, verb: str, summary: str) -> Document:
        return {
            "operationId": f"{verb}_{self._handler.name}",
            "tags": [self._service.name],
            "summary": summary,
            "parameters": [_ref("parameters", "Key")],
            "responses": {"200": self._output(), "default": _ref("responses", "Error")},
        }

    def _operation(self, verb: str) -> Document:
        handler = self._handler
        operation: Document = {
            # Unique, whatever handlers are called: one may be named "x" and another "x_send".
            "operationId": f"{verb}_{handler.name}",
            "tags": [self._service.name],
            **_description(handler.documentation),
            **_metadata(handler.metadata),
            "parameters": self._parameters(),
        }
        if handler.takes_input:
            content = {_RAW: {"schema": _BYTES}} if handler.raw_input else self._json(handler.input_type)
            operation["requestBody"] = {"required": handler.needs_input, "content": content}
        return operation

    def _parameters(self) -> list[Document]:
        settings = self._handler.settings
        there = {
            "Key": self._keyed,
            "IdempotencyKey": self._handler.kind is not Kind.WORKFLOW,  # a run is made once by its key
            "LimitKey": settings.limit is not None,
            "SingletonKey": settings.lines,
            "Priority": True,
        }
        return [_ref("parameters", name) for name, is_there in there.items() if is_there]

    def _output(self) -> Document:
        handler = self._handler
        if handler.output_type is type(None):
            return {"description": "Done; nothing is returned.", "headers": _ID_HEADER}
        content = {_RAW: {"schema": _BYTES}} if handler.raw_output else self._json(handler.output_type)
        return {"description": "The output. An empty body is null.", "headers": _ID_HEADER, "content": content}

    def _json(self, type: object) -> Document:
        return {_JSON: {"schema": self._schemas[type]}}


def _schemas(handlers: list[Handler[..., Any]]) -> tuple[dict[object, Document], Document]:
    """Of every type that handlers take or return, and what these refer to."""
    types = list({type: None for handler in handlers for type in (handler.input_type, handler.output_type)})
    try:
        return _named(types, "")
    except _UNTOLD:
        schemas, components = dict[object, Document](), Document()
        for number, type in enumerate(types, 1):
            own, referred = _alone(type, f"Type{number}.")
            schemas |= own
            components |= referred
        return schemas, components


def _alone(type: object, prefix: str) -> tuple[dict[object, Document], Document]:
    try:
        return _named([type], prefix)
    except _UNTOLD:
        return {type: {}}, {}


def _named(types: list[object], prefix: str) -> tuple[dict[object, Document], Document]:
    template = f"#/components/schemas/{prefix}{{name}}"
    schemas, components = msgspec.json.schema_components(
        map(_known, types), schema_hook=_unknown, ref_template=template
    )
    return dict(zip(types, schemas, strict=True)), {prefix + name: schema for name, schema in components.items()}


def _schema(type: object) -> Document:
    try:
        return msgspec.json.schema(_known(type), schema_hook=_unknown)
    except _UNTOLD:
        return {}


def _known(type: object) -> object:
    return Any if type is object else type  # what a handler that declares nothing takes: any JSON


def _unknown(type: type) -> dict[str, Any]:
    """Of a type that msgspec does not know, and an enclosing one may still decode without."""
    return {"title": type.__name__}


def _ref(kind: str, name: str) -> Document:
    return {"$ref": f"#/components/{kind}/{name}"}


_REFUSALS: Document = {"429": _ref("responses", "Full"), "default": _ref("responses", "Error")}


def _description(documentation: str | None) -> Document:
    if documentation is None:
        return {}
    return {"summary": documentation.partition("\n")[0], "description": documentation}


def _metadata(metadata: Mapping[str, str]) -> Document:
    return {"x-metadata": dict(metadata)} if metadata else {}
