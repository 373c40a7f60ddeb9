"""An OpenAPI document as a page to read. No script, and nothing that the document says is ever markup. Pure."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from html import escape
from typing import TypeGuard

import msgspec

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "h2{margin-top:2.5rem;font-family:monospace;font-size:1.1rem;border-top:1px solid #ccc;padding-top:1rem}"
    "p{white-space:pre-wrap}pre{background:#f4f4f4;padding:.75rem;overflow:auto}"
)
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}


def render(document: Mapping[str, object]) -> str:
    """HTML of every operation of ``document``: what it is for, takes and answers; then the schemas it refers to."""
    return "\n".join(_lines(document))


def _lines(document: Mapping[str, object]) -> Iterator[str]:
    info = _inside(document, "info")
    title = _text(info, "title")
    yield "<!doctype html>"
    yield f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head><body>'
    yield f"<h1>{title}</h1>"
    yield from _paragraph(info)
    for path, methods in _inside(document, "paths").items():
        for method, operation in _inside(methods).items():
            yield from _operation(f"{method.upper()} {path}", _inside(operation))
    for name, schema in _inside(document, "components", "schemas").items():
        yield f"<h2>{escape(name)}</h2>"
        yield _json(schema)
    yield "</body></html>"


def _operation(heading: str, operation: Mapping[str, object]) -> Iterator[str]:
    yield f"<h2>{escape(heading)}</h2>"
    yield from _paragraph(operation)
    yield from _bodies("Takes", _inside(operation, "requestBody"))
    for status, response in _inside(operation, "responses").items():
        if status.startswith("2"):
            yield from _bodies(f"Answers {status}", _inside(response))


def _bodies(what: str, body: Mapping[str, object]) -> Iterator[str]:
    for media_type, content in _inside(body, "content").items():
        yield f"<h3>{escape(what)}: {escape(media_type)}</h3>"
        yield _json(_inside(content).get("schema"))


def _paragraph(described: Mapping[str, object]) -> Iterator[str]:
    text = _text(described, "description") or _text(described, "summary")
    if text:
        yield f"<p>{text}</p>"


def _json(value: object) -> str:
    return f"<pre>{escape(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())}</pre>"


def _text(described: Mapping[str, object], name: str) -> str:
    return escape(str(described.get(name, "")))


def _inside(value: object, *names: str) -> Mapping[str, object]:
    """What is at ``names``; nothing, if it is not there or no mapping."""
    for name in names:
        value = value.get(name) if _is_mapping(value) else None
    return value if _is_mapping(value) else {}


def _is_mapping(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping)
