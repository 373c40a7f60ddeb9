"""The admin app's own OpenAPI document, from the table of its operations. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from durable.ingress.admin.operations import Operation

Document: TypeAlias = dict[str, object]
"""JSON."""

_PARAMETER = re.compile(r"{(\w+)}")
_ERROR: Document = {
    "type": "object",
    "required": ["message", "restate_code"],
    "properties": {"message": {"type": "string"}, "restate_code": {"type": ["string", "null"]}},
}
_BATCH: Document = {
    "type": "object",
    "required": ["invocation_ids"],
    "properties": {
        "invocation_ids": {"type": "array", "items": {"type": "string"}, "maxItems": 1000},
        "deployment": {"type": "string"},
    },
}

_STATE: Document = {
    "type": "object",
    "required": ["object_key", "new_state"],
    "properties": {
        "object_key": {"type": "string"},
        "new_state": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}},
        },
        "version": {"type": "string"},
    },
}

_LIMITS: Document = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["pattern"],
        "properties": {
            "pattern": {"type": "string"},
            "limits": {
                "type": "object",
                "properties": {
                    "concurrency": {"type": ["integer", "null"], "minimum": 0},
                    "queue": {"type": ["integer", "null"], "minimum": 0},
                    "rate": {
                        "type": ["object", "null"],
                        "required": ["count", "per_ms"],
                        "properties": {
                            "count": {"type": "integer", "minimum": 1},
                            "per_ms": {"type": "integer", "minimum": 1},
                            "burst": {"type": "integer", "minimum": 1},
                        },
                    },
                },
            },
            "hold": {"type": "boolean"},
            "description": {"type": "string"},
        },
    },
}
_PATTERNS: Document = {
    "type": "array",
    "items": {"type": "object", "required": ["pattern"], "properties": {"pattern": {"type": "string"}}},
}
_TIMETABLE: Document = {
    "type": "object",
    "description": "A cron expression or an interval, and what happens if a time cannot be kept.",
    "properties": {
        "cron": {"type": "string"},
        "every": {"type": "string", "format": "duration"},
        "tz": {"type": "string", "default": "UTC"},
        "overlap": {"enum": ["skip", "queue", "cancel", "allow"], "default": "skip"},
        "catch_up": {"enum": ["none", "one", "all"], "default": "one"},
        "window": {"type": "string", "format": "duration"},
        "jitter": {"type": "string", "format": "duration"},
        "start": {"type": "string", "format": "date-time"},
        "end": {"type": "string", "format": "date-time"},
    },
}
_SCHEDULE: Document = {
    "type": "object",
    "required": ["service", "handler", "timetable"],
    "properties": {
        "service": {"type": "string"},
        "handler": {"type": "string"},
        "key": {"type": "string"},
        "input": {},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "timetable": {"$ref": "#/components/schemas/Timetable"},
    },
}
_NEW_SCHEDULE: Document = {
    "allOf": [
        {"$ref": "#/components/schemas/Schedule"},
        {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
    ]
}
_BACKFILL: Document = {
    "type": "object",
    "required": ["start", "end"],
    "properties": {
        "start": {"type": "string", "format": "date-time"},
        "end": {"type": "string", "format": "date-time"},
    },
}
_SCHEMAS: Document = {
    "Error": _ERROR,
    "Batch": _BATCH,
    "State": _STATE,
    "Timetable": _TIMETABLE,
    "Schedule": _SCHEDULE,
    "NewSchedule": _NEW_SCHEDULE,
    "Backfill": _BACKFILL,
    "Limits": _LIMITS,
    "Patterns": _PATTERNS,
}


def document(operations: Sequence[Operation], version: str) -> Document:
    paths: dict[str, Document] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "durable admin API", "version": version},
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "responses": {"Error": _content("Why it was not done", "Error")},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _operation(operation: Operation) -> Document:
    responses: Document = {str(status): {"description": operation.summary} for status in operation.statuses}
    described: Document = {
        "summary": operation.summary,
        "operationId": _name(operation),
        "parameters": _parameters(operation),
        "responses": responses | {"default": {"$ref": "#/components/responses/Error"}},
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True} | _content(operation.summary, operation.body)
    return described


def _name(operation: Operation) -> str:
    words = [word for word in re.split(r"\W+", operation.path) if word]
    return "_".join([operation.method.lower(), *words]).replace("-", "_")


def _parameters(operation: Operation) -> list[Document]:
    in_path: list[str] = _PARAMETER.findall(operation.path)
    return [_parameter(name, "path") for name in in_path] + [_parameter(name, "query") for name in operation.query]


def _parameter(name: str, where: str) -> Document:
    return {"name": name, "in": where, "required": where == "path", "schema": {"type": "string"}}


def _content(description: str, schema: str) -> Document:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}
